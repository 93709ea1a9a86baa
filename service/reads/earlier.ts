import { conflictIdentity } from '../../engine/partition/partition.ts';
import type { Input } from '../../events/inputs.ts';
import type { Identity } from '../../log/port.ts';
import type { Reads } from './parts.ts';

/**
 * Finds the earlier refusal of a repeated input, so that a client that lost the reply gets the refusal again instead of a
 * success. On Kafka a repeated conflicting input arrives here too, because it has no entry. Other refusals are looked up only
 * for input types whose sender acts on a refusal.
 */
const asked: ReadonlySet<string> = new Set([
  'landfall.vm.requested.v1',
  'landfall.migration.started.v1',
  'landfall.migration.returned.v1',
  'landfall.migration.resolved.v1',
  'landfall.command.acknowledged.v1',
]);

type Refusal = { readonly code: string; readonly message: string; readonly remedy: string };

export function refusalOfEarlier(parts: Reads, input: Input): Refusal | null {
  return findLetter(parts, conflictIdentity(input)) ?? (asked.has(input.type) ? findLetter(parts, input) : null);
}

function findLetter(parts: Reads, { source, id }: Identity): Refusal | null {
  const sql =
    'SELECT code, message, remedy FROM dead_letters WHERE source = ? AND id = ? ORDER BY sequence DESC LIMIT 1';
  for (const { db } of parts) {
    const row = db.prepare(sql).get(source, id);
    if (row === undefined) continue;
    return { code: String(row['code']), message: String(row['message']), remedy: String(row['remedy']) };
  }
  return null;
}
