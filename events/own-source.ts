import { Fault } from './fault.ts';

/** What the sources of Landfall's own inputs begin with. */
const OWN_SOURCES = 'landfall:';

/** @throws Fault FORBIDDEN where an event from outside has a source of Landfall's own: it could use up its identities. */
export function requireForeign(source: string): void {
  if (!source.startsWith(OWN_SOURCES)) return;
  const given = JSON.stringify(source.slice(0, 100));
  throw new Fault('FORBIDDEN', `source: ${given} is Landfall's own`, 'Use a source that names who reports.');
}
