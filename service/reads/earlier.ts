import type { Input } from '../../events/inputs.ts';
import type { Reads } from './parts.ts';

/**
 * Finds the earlier refusal of a repeated input, so that a client that lost the reply gets the refusal again instead of a
 * success. Only input types whose sender acts on a refusal are looked up.
 */
const asked: ReadonlySet<string> = new Set([
  'landfall.vm.requested.v1',
  'landfall.migration.started.v1',
  'landfall.migration.returned.v1',
  'landfall.migration.resolved.v1',
  'landfall.command.acknowledged.v1',
]);

export function refusalOfEarlier(
  parts: Reads,
  { type, source, id }: Input,
): { code: string; message: string; remedy: string } | null {
  if (!asked.has(type)) return null;
  const sql =
    'SELECT code, message, remedy FROM dead_letters WHERE source = ? AND id = ? ORDER BY sequence DESC LIMIT 1';
  for (const { db } of parts) {
    const row = db.prepare(sql).get(source, id);
    if (row === undefined) continue;
    return { code: String(row['code']), message: String(row['message']), remedy: String(row['remedy']) };
  }
  return null;
}
