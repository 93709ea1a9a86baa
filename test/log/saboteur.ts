import { existsSync, readFileSync, rmSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import type { InlineProjection } from '../../log/sqlite/inline-projections.ts';

/**
 * A projection that ends the writer's thread around its next COMMIT, when a file beside the ledger says so: `applied` commits
 * first, `lost` does not. The caller sees the same either way.
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
