import { join } from 'node:path';
import { Driver } from '../engine/driver.ts';
import type { AttemptState } from '../events/attempt.ts';
import { toInput } from '../events/cloud-event.ts';
import { defaultConfiguration } from '../events/configuration.ts';
import type { Entry } from '../events/entries.ts';
import type { Input } from '../events/inputs.ts';
import type { VmRecord } from '../events/records.ts';
import { sha256 } from '../log/chain.ts';
import { type Batch, GENESIS, type Owner } from '../log/port.ts';
import { SqliteLedger } from '../log/sqlite/ledger.ts';
import { isOver } from '../machines/vm.ts';
import { MACHINE_VERSION } from '../machines/version.ts';
import { directory } from '../projections/directory.ts';

/** Assembles Landfall for a benchmark as in production, and a variant without a disk. */

export const PROJECTIONS = new URL('../projections/inline-projection.ts', import.meta.url).href;

export type Running = { readonly ledger: SqliteLedger; readonly driver: Driver; readonly file: string };

export async function open(folder: string, name: string): Promise<Running> {
  const file = join(folder, `${name}.db`);
  const ledger = await SqliteLedger.open({
    file,
    mode: 'write',
    projections: [PROJECTIONS],
    machineVersion: MACHINE_VERSION,
  });
  const driver = new Driver(await ledger.claim(0), directory(ledger.readConnection()));
  return { ledger, driver, file };
}

/** Parses, validates and digests the text of an input. */
export function inputOf(text: string): Input {
  return toInput(JSON.parse(text), sha256);
}

/** Applies one input. @throws Error if the input is refused, because the benchmark would then measure different work. */
export function take(driver: Driver, text: string, now: number, clock: string): void {
  const { outcome } = driver.partition.take(inputOf(text), null, now, clock);
  if (outcome !== 'consumed') throw new Error(`an input of the workload was ${outcome}: ${text}`);
}

/** Returns a driver whose commits succeed at once without storage. `keep` receives every batch. */
export function driverInMemory(keep: (entries: readonly Entry[]) => void = () => {}): Driver {
  const records = new Map<string, VmRecord>();
  const attempts = new Map<string, Pick<Entry, 'timers'> & { state: AttemptState }>();
  let sequence = 0;
  const owner: Owner = {
    partition: 0,
    claimedHead: { sequence: 0, hash: GENESIS },
    inputPositions: new Map(),
    checkpoints: new Map(),
    commit: ({ entries }: Batch) => {
      for (const { record, attempt, timers } of entries) {
        if (record !== null) records.set(record.vm, record);
        if (attempt !== null) attempts.set(attempt.attempt.migration, { state: attempt, timers });
        // Settled attempts are never read again here, so they are dropped. Keeping them would slow down the measurements in
        // between.
        if (attempt !== null && isOver(attempt)) {
          attempts.delete(attempt.attempt.migration);
          records.delete(attempt.attempt.vm);
        }
      }
      keep(entries);
      sequence += entries.length;
      return Promise.resolve({ sequence, hash: GENESIS });
    },
    recall: (identities) => identities.map(() => null),
    release: () => Promise.resolve(),
  };
  return new Driver(owner, {
    record: (vm) => records.get(vm) ?? null,
    attempt: (migration) => attempts.get(migration) ?? null,
    deadlines: () => [],
    hosts: () => [],
    configuration: () => defaultConfiguration,
    times: () => [],
  });
}
