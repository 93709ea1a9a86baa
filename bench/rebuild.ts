import { statSync } from 'node:fs';
import { SqliteLedger } from '../log/sqlite/ledger.ts';
import { MACHINE_VERSION } from '../machines/version.ts';
import { audit } from '../projections/audit.ts';
import { rebuildFile } from '../cli/ledger-file.ts';
import { bareReading } from './floors.ts';
import { open } from './landfall.ts';
import { Lanes } from './lanes.ts';
import { MIB, perSecond, timedAsync } from './measure.ts';
import type { Benchmark } from './report.ts';
import { course, newAttempt, TRANSITIONS_PER_ATTEMPT } from './workload.ts';

/** Measures two passes over a whole ledger: a rebuild of the projections, and an audit that decides every verdict again. */

const ATTEMPTS = 8000;
const ATTEMPTS_FULL = 40_000;

export const rebuild: Benchmark = {
  summary: 'rebuild with the chain verified, and the full audit, in entries per second',
  async run({ folder, full }) {
    const attempts = full ? ATTEMPTS_FULL : ATTEMPTS;
    const { ledger, driver, file } = await open(folder, 'rebuild');
    await new Lanes(driver, 2, 512).run(Array.from({ length: attempts }, () => course(newAttempt())));
    await ledger.close();
    const entries = attempts * TRANSITIONS_PER_ATTEMPT;

    bareReading(file);
    const reading = bareReading(file);
    if (reading.entries !== entries) throw new Error(`the ledger has ${reading.entries} entries of ${entries}`);
    const floor = { name: 'SELECT + JSON.parse', value: perSecond(entries, reading.ms) };
    const rebuildMs = await timedAsync(() => rebuildFile(file));
    const verifyMs = await timedAsync(() => reopened(file, (reader) => reader.verify()));
    const auditMs = await timedAsync(() => audited(file, entries));
    return {
      benchmark: 'rebuild',
      workload: `a ledger of ${entries} entries, ${attempts} settled attempts, ${Math.round(statSync(file).size / MIB)} MiB`,
      figures: [
        { name: 'chain and columns verified', value: perSecond(entries, verifyMs), unit: 'entries/s', floor },
        {
          name: 'projections rebuilt, chain verified first',
          value: perSecond(entries, rebuildMs),
          unit: 'entries/s',
          floor,
          goal: { atLeast: 80_000 },
        },
        {
          name: 'full audit: chain, projections, every verdict decided again',
          value: perSecond(entries, auditMs),
          unit: 'entries/s',
          floor,
          goal: { atLeast: 30_000 },
        },
      ],
      notMeasured: ['a file that the caches do not hold', 'SQLite’s own integrity check, which `landfall audit` adds'],
    };
  },
};

async function audited(file: string, entries: number): Promise<void> {
  await reopened(file, async (ledger) => {
    const found = await audit(ledger, 0, { projections: ledger.readConnection() });
    if (found.entries !== entries || found.findings.length > 0)
      throw new Error(`the audit found ${JSON.stringify(found)}`);
  });
}

async function reopened(file: string, work: (ledger: SqliteLedger) => Promise<unknown>): Promise<void> {
  const ledger = await SqliteLedger.open({ file, mode: 'read', machineVersion: MACHINE_VERSION });
  try {
    await work(ledger);
  } finally {
    await ledger.close();
  }
}
