import { describe, expect, it } from 'vitest';
import { Fault } from '../../events/fault.ts';
import { vmOf, cloudEvent } from '../support/builders.ts';
import { HandTime, turns } from '../support/hand-time.ts';
import { MemoryLedger } from '../support/memory-ledger.ts';
import type { Batch, Head, Owner } from '../../log/port.ts';
import { EmbeddedEngine } from '../../service/engine/embedded.ts';
import { submissionOf } from '../../service/engine/engine.ts';
import { OwnershipWorld } from '../consumers/kafka/ownership-world.ts';

/** Tests the contract of a partition runner with both kinds of owner: the embedded engine and the Kafka ownership. */

type Runner = {
  readonly fault: () => Fault | null;
  /** The number of claims so far. */
  readonly claims: () => number;
  /** The reported fault codes. */
  readonly reported: () => string[];
  /** The number of durable entries. */
  readonly entries: () => number;
  readonly send: () => void;
  /** While true, commits fail with LEDGER_FULL. */
  readonly setFailing: (isFailing: boolean) => void;
  /** While true, claims fail with LEDGER_BUSY. */
  readonly setBusy: (isBusy: boolean) => void;
  readonly stop: () => Promise<void>;
  readonly time: HandTime;
};

const full = () => new Fault('LEDGER_FULL', 'the disk is full', 'Free some space.');
const busy = () => new Fault('LEDGER_BUSY', 'another process has the ledger', 'Stop it.');

class FailingLedger extends MemoryLedger {
  claims = 0;
  isFailing = false;
  isBusy = false;

  override async claim(): Promise<Owner> {
    if (this.isBusy) throw busy();
    this.claims += 1;
    const owner = await super.claim();
    const commit = async (batch: Batch): Promise<Head> => {
      if (this.isFailing) throw full();
      return owner.commit(batch);
    };
    return { ...owner, commit };
  }
}

async function embedded(): Promise<Runner> {
  const ledger = new FailingLedger();
  const time = new HandTime();
  const reported: string[] = [];
  const engineLedger = {
    parts: [],
    claim: () => ledger.claim(),
    directory: () => ledger,
    openAttempts: () => ledger.openAttempts(),
    setHorizon: async () => {},
    close: async () => {},
  };
  const engine = new EmbeddedEngine(engineLedger, time, { died: ({ code }) => reported.push(code) });
  await engine.start();
  const event = () => cloudEvent('operator.acted', { action: 'look', ok: true }, { subject: vmOf(1) });
  return {
    fault: () => engine.fault,
    claims: () => ledger.claims,
    reported: () => reported,
    entries: () => ledger.entries.length,
    send: () => void engine.submit([submissionOf(event())]).catch(() => {}),
    setFailing: (isFailing) => (ledger.isFailing = isFailing),
    setBusy: (isBusy) => (ledger.isBusy = isBusy),
    stop: () => engine.stop(),
    time,
  };
}

async function kafka(): Promise<Runner> {
  const world = new OwnershipWorld(undefined, new FailingLedger());
  await turns();
  const { ledger } = world;
  if (!(ledger instanceof FailingLedger)) throw new Error('the world has another ledger');
  let next = 0;
  return {
    fault: () => world.ownership.fault,
    claims: () => ledger.claims,
    reported: () => world.told.filter((told) => !told.startsWith('from ')),
    entries: () => ledger.entries.length,
    send: () => {
      const from = world.inputPositions.get(world.ownership.stream) ?? -1;
      next = Math.max(next, from + 1);
      if (world.deliver([next], Math.max(0, from))) next += 1;
    },
    setFailing: (isFailing) => (ledger.isFailing = isFailing),
    setBusy: (isBusy) => (ledger.isBusy = isBusy),
    stop: () => world.ownership.stop(),
    time: world.time,
  };
}

describe.each([
  ['embedded engine', embedded],
  ['Kafka ownership', kafka],
] as const)('the partition runner of the %s', (_, open) => {
  it('claims once and then decides inputs', async () => {
    const runner = await open();
    runner.send();
    await turns();
    expect([runner.claims(), runner.entries(), runner.fault()]).toEqual([1, 1, null]);
  });

  it('reports a failed commit and claims again after a delay', async () => {
    const runner = await open();
    runner.setFailing(true);
    runner.send();
    await turns();
    expect([runner.fault()?.code, runner.claims()]).toEqual(['LEDGER_FULL', 1]);
    runner.setFailing(false);
    await runner.time.pass(250);
    expect([runner.fault(), runner.claims(), runner.reported()]).toEqual([null, 2, ['LEDGER_FULL']]);
  });

  it('retries a failed claim with growing delays and reports it once', async () => {
    const runner = await open();
    runner.setFailing(true);
    runner.send();
    await turns();
    runner.setBusy(true);
    for (let second = 0; second < 60; second += 1) await runner.time.pass(1000);
    expect([runner.fault()?.code, runner.claims()]).toEqual(['LEDGER_BUSY', 1]);
    expect(runner.reported()).toEqual(['LEDGER_FULL', 'LEDGER_BUSY']);
    expect(runner.time.alarms).toBe(1);
    runner.setBusy(false);
    runner.setFailing(false);
    await runner.time.pass(4000);
    await runner.time.pass(1000);
    expect([runner.fault(), runner.claims()]).toEqual([null, 2]);
  });

  it('does not claim again after a stop', async () => {
    const runner = await open();
    runner.setFailing(true);
    runner.send();
    await turns();
    await runner.stop();
    await runner.time.pass(60_000);
    expect([runner.claims(), runner.time.alarms]).toEqual([1, 0]);
  });

  it('makes accepted inputs durable before a stop resolves', async () => {
    const runner = await open();
    runner.send();
    await runner.stop();
    expect(runner.entries()).toBe(1);
  });
});
