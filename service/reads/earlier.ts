import type { Input } from '../../events/inputs.ts';
import type { Reads } from './parts.ts';

/**
 * What was refused stays refused: whoever lost the reply and sends the same again is told the same, not that all is well.
 * Only inputs whose refusal somebody acts upon are looked up.
 */
const asked: ReadonlySet<string> = new Set([
  'landfall.vm.requested.v1',
  'landfall.migration.started.v1',
  'landfall.migration.returned.v1',
  'landfall.migration.resolved.v1',
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
