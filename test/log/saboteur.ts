import { existsSync, readFileSync, rmSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import type { InlineProjection } from '../../log/sqlite/inline-projections.ts';

/**
 * A projection that ends the writer thread at its next COMMIT if a file beside the ledger asks for it: `applied` commits first,
 * `lost` does not. The caller gets LEDGER_OUTCOME_UNKNOWN in both cases.
 */
export function extract(): void {}

export function prepare(): void {}

export function reset(): void {}

export function open(db: DatabaseSync): InlineProjection {
  const order = `${db.location()}.sabotage`;
  return {
    apply() {},
    flush() {
      if (!existsSync(order)) return;
      const outcome = readFileSync(order, 'utf8');
      rmSync(order);
      if (outcome === 'applied') db.exec('COMMIT');
      process.exit(1);
    },
  };
}
