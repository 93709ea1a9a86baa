import { Fault } from './fault.ts';

/** The prefix of the sources of Landfall's own inputs. */
const OWN_SOURCES = 'landfall:';

/**
 * @throws Fault FORBIDDEN if an external event uses a source reserved for Landfall, because it could occupy Landfall's
 * identities.
 */
export function requireForeign(source: string): void {
  if (!source.startsWith(OWN_SOURCES)) return;
  const given = JSON.stringify(source.slice(0, 100));
  throw new Fault(
    'FORBIDDEN',
    `source: ${given} is reserved for Landfall`,
    'Use a source that names the reporting system.',
  );
}
