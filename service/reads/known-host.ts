import { WALL } from '../../events/vocabulary.ts';
import type { Reads } from './parts.ts';

/**
 * Returns true if a host is registered, or is the source or destination of an open attempt. Hosts of recordings do not
 * count.
 */
export function isKnownHost(parts: Reads, host: string): boolean {
  const registered = `SELECT 1 FROM hosts WHERE host = ? AND body ->> 'clock' = ? LIMIT 1`;
  const named = 'SELECT 1 FROM attempts WHERE settled = 0 AND (source = ? OR destination = ?) AND clock = ? LIMIT 1';
  return parts.some(
    ({ db }) =>
      db.prepare(registered).get(host, WALL) !== undefined || db.prepare(named).get(host, host, WALL) !== undefined,
  );
}
