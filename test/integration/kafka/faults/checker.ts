import { setTimeout as wait } from 'node:timers/promises';
import { join } from 'node:path';
import { extend } from '../../../../log/chain.ts';
import { entryOf } from '../../../../log/entry-text.ts';
import { topicsOf } from '../../../../kafka/options.ts';
import { GENESIS, type Head } from '../../../../log/port.ts';
import { SqliteLedger } from '../../../../log/sqlite/ledger.ts';
import { MACHINE_VERSION } from '../../../../machines/version.ts';
import { audit } from '../../../../projections/audit.ts';
import type { Load } from './load.ts';
import { committedRecords } from './topic.ts';

/**
 * Compares the ledger's topic with the sent inputs: no acknowledged input is missing, no input is consumed or decided twice, the
 * inputs of each VM keep their order, the chain is complete, and the projections of every instance equal a rebuild.
 */

export type Checked = { readonly violations: string[]; readonly entries: number; readonly heads: readonly Head[] };

const SETTLE_MS = 90_000;

/** Repeats the check until all acknowledged inputs are decided, or a time limit ends. */
export async function settled(brokers: readonly string[], prefix: string, load: Load): Promise<Checked> {
  // Restarted brokers may still elect a leader.
  const unread = (error: unknown): Checked => ({ violations: [String(error)], entries: 0, heads: [] });
  for (const deadline = Date.now() + SETTLE_MS; ; await wait(1000)) {
    const checked = await check(brokers, prefix, load).catch(unread);
    if (checked.violations.length === 0 || Date.now() > deadline) return checked;
  }
}

export async function check(brokers: readonly string[], prefix: string, load: Load): Promise<Checked> {
  const partitions = await committedRecords(brokers, topicsOf(prefix).ledger);
  const violations: string[] = [];
  const taken = new Map<string, string[]>();
  const verdicts = new Map<string, number>();
  const settledAttempts = new Set<string>();
  let entries = 0;
  const heads = partitions.map((records, partition) => {
    let head: Head = { sequence: 0, hash: GENESIS };
    for (const record of records) {
      if (record.kind === 'foreign') violations.push(`partition ${partition}: ${record.reason}`);
      if (record.kind !== 'entry') continue;
      entries += 1;
      try {
        head = extend(head, record.link);
      } catch (error) {
        violations.push(`partition ${partition}: ${String(error)}`);
      }
      const { cause, vm, refusal, verdict, attempt } = entryOf(record.link.text);
      if (refusal !== null) violations.push(`${partition}:${record.link.sequence} was refused: ${refusal.message}`);
      if (cause.kind === 'input' && cause.part === undefined && vm !== null) {
        taken.set(vm, [...(taken.get(vm) ?? []), `${cause.source} ${cause.id}`]);
      }
      const migration = attempt?.attempt.migration ?? '';
      if (verdict !== null) verdicts.set(migration, (verdicts.get(migration) ?? 0) + 1);
      if ((attempt?.attempt.settledAt ?? null) !== null) settledAttempts.add(migration);
    }
    return head;
  });
  for (const [vm, sent] of load.acknowledged) {
    const found = taken.get(vm) ?? [];
    if (found.join() !== sent.join()) violations.push(`${vm}: sent ${sent.join()}, taken ${found.join()}`);
  }
  for (const { migration } of load.attempts) {
    if (verdicts.get(migration) !== 1) violations.push(`${migration} has ${verdicts.get(migration) ?? 0} verdicts`);
    if (!settledAttempts.has(migration)) violations.push(`${migration} is not settled`);
  }
  return { violations: violations.slice(0, 20), entries, heads };
}

/** Returns the differences between the topic and the local copies of a stopped instance. `folder` contains the copies. */
export async function checkCopies(folder: string, heads: readonly Head[]): Promise<string[]> {
  const violations: string[] = [];
  for (const [partition, head] of heads.entries()) {
    const file = join(folder, `${partition}.db`);
    const ledger = await SqliteLedger.open({ file, mode: 'read', machineVersion: MACHINE_VERSION });
    try {
      const { findings, head: found } = await audit(ledger, partition, { projections: ledger.readConnection() });
      violations.push(...findings.map(({ position, message }) => `${file} ${position}: ${message}`));
      if (found.hash !== head.hash) violations.push(`${file} ends at ${found.position}, the topic at ${head.sequence}`);
    } finally {
      await ledger.close();
    }
  }
  return violations;
}
