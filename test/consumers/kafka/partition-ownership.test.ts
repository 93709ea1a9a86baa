import { describe, expect, it } from 'vitest';
import { Fault } from '../../../events/fault.ts';
import { turns } from '../../support/hand-time.ts';
import { readyWorld, RECREATED, STREAM } from './ownership-world.ts';

const fenced = () => new Fault('LEDGER_FENCED', 'another owner', 'Claim it anew.');
const unknown = () => new Fault('LEDGER_OUTCOME_UNKNOWN', 'lost', 'Claim it anew.');
const BEGUN = 'import abc';

describe('PartitionOwnership', () => {
  it('consumes from the ledger’s input position and skips repeated inputs', async () => {
    const world = await readyWorld((begun) => {
      begun.inputPositions.set(STREAM, 9);
      begun.offsetRange = { low: 3, high: 10 };
    });
    expect(world.told).toEqual(['from 10']);
    expect(world.deliver([8, 9, 10, 11])).toBe(true);
    expect(world.deliver([10, 11, 12])).toBe(true);
    await turns();
    expect(world.decided).toEqual([10, 11, 12]);
    expect(world.inputPositions.get(STREAM)).toBe(12);
  });

  it('ends its run at a gap and reports the missing inputs', async () => {
    const world = await readyWorld();
    world.deliver([0, 1]);
    await turns();
    world.offsetRange = { low: 5, high: 7 };
    expect(world.deliver([5, 6], 5)).toBe(false);
    await turns();
    await world.time.pass(100);
    expect(world.told).toEqual(['from 0', 'INPUTS_BROKEN', 'INPUTS_LOST']);
    expect(world.ownership.fault?.message).toBe('inputs 2 to 4 of inputs/0 were deleted before they were consumed');
    expect(world.decided).toEqual([0, 1]);
  });

  it('accepts inputs behind transaction markers', async () => {
    const world = await readyWorld();
    world.deliver([0, 1]);
    world.ownership.skipTo(4);
    expect(world.deliver([4, 5], 4)).toBe(true);
    await turns();
    expect(world.decided).toEqual([0, 1, 4, 5]);
  });

  it('refuses a topic that ends before the consumed inputs', async () => {
    const world = await readyWorld();
    world.deliver([0, 1, 2]);
    await turns();
    world.offsetRange = { low: 0, high: 0 };
    expect(world.deliver([0], 0)).toBe(false);
    await turns();
    await world.time.pass(100);
    expect(world.told).toEqual(['from 0', 'INPUTS_BROKEN', 'INPUTS_ALTERED']);
  });

  it('limits the pending inputs by count and by bytes', async () => {
    const world = await readyWorld((begun) => (begun.isHolding = true));
    world.deliver([0, 1, 2], 0, 1000);
    let hasRoom = false;
    void world.ownership.waitForRoom({ inputs: 10, bytes: 3000 }).then(() => (hasRoom = true));
    await world.ownership.waitForRoom({ inputs: 4, bytes: 3001 });
    await turns();
    expect([hasRoom, world.ownership.waiting]).toEqual([false, 3]);
    world.letGo();
    await turns();
    expect([hasRoom, world.ownership.waiting]).toEqual([true, 0]);
  });

  it('commits inputs in parts of at most 4 MiB', async () => {
    const world = await readyWorld();
    world.deliver([0, 1, 2, 3, 4, 5, 6, 7, 8], 0, 1024 * 1024);
    await turns();
    expect(world.batches.map(({ entries }) => entries.length)).toEqual([4, 4, 1]);
  });
});

describe('PartitionOwnership after the topic may have been recreated', () => {
  const reclaimed = async (held: { low: number; high: number }) => {
    const world = await readyWorld();
    world.deliver([0, 1, 2]);
    await turns();
    world.overtake(fenced());
    await turns();
    world.offsetRange = held;
    world.assignmentEpoch = 2;
    await world.time.pass(1000);
    return world;
  };

  it('continues if the topic still holds the last consumed record', async () => {
    const world = await reclaimed({ low: 0, high: 9 });
    expect(world.told).toEqual(['from 0', 'LEDGER_FENCED', 'from 2']);
    expect(world.deliver([2, 3, 4])).toBe(true);
    await turns();
    expect(world.decided).toEqual([0, 1, 2, 3, 4]);
  });

  it('refuses a topic with another record and does not claim again', async () => {
    const world = await reclaimed({ low: 0, high: 9 });
    expect(world.deliver([2, 3, 4], 2, 100, 'other')).toBe(false);
    expect(world.ownership.fault?.message).toContain('inputs/0 has another record at 2');
    await world.time.pass(30_000);
    expect([world.ownership.fault?.code, world.claims, world.decided]).toEqual(['INPUTS_ALTERED', 2, [0, 1, 2]]);
    await world.time.pass(60_000);
    expect([world.ownership.fault, world.claims]).toEqual([null, 3]);
  });

  it('continues if the topic has deleted the last consumed record', async () => {
    const world = await reclaimed({ low: 3, high: 9 });
    expect(world.told.at(-1)).toBe('from 3');
    expect(world.deliver([3, 4])).toBe(true);
  });

  it('accepts no inputs before the last consumed record is verified', async () => {
    const world = await reclaimed({ low: 0, high: 9 });
    expect([world.deliver([3, 4]), world.deliver([0, 1]), world.ownership.fault]).toEqual([false, false, null]);
    await turns();
    expect(world.told.slice(3)).toEqual(['from 2']);
    expect(world.deliver([1, 2, 3])).toBe(true);
  });

  it('verifies the last consumed record again after a rejoin', async () => {
    const world = await readyWorld();
    world.deliver([0, 1, 2]);
    world.ownership.verifyTopic();
    await turns();
    expect(world.told).toEqual(['from 0', 'from 2']);
    expect(world.deliver([2, 3], 2, 100, 'other')).toBe(false);
    expect(world.ownership.fault?.code).toBe('INPUTS_ALTERED');
  });

  it('requests the last consumed record again if nothing is delivered', async () => {
    const world = await reclaimed({ low: 0, high: 9 });
    await world.time.pass(10_000);
    expect(world.told.slice(2)).toEqual(['from 2', 'from 2']);
  });
});

describe('a claim by PartitionOwnership', () => {
  it('is refused if the ledger is ahead of the topic', async () => {
    const world = await readyWorld((begun) => {
      begun.inputPositions.set(STREAM, 1_000_000);
      begun.offsetRange = { low: 0, high: 12 };
    });
    expect([world.told, world.claims]).toEqual([['INPUTS_ALTERED'], 0]);
    expect(world.ownership.fault?.remedy).toContain('kafkaPrefix');
    await world.time.pass(60_000);
    expect([world.ownership.fault?.code, world.claims]).toEqual(['INPUTS_ALTERED', 0]);
  });

  it('succeeds on a recreated topic after an operator accepted the topic', async () => {
    const world = await readyWorld((begun) => {
      begun.inputPositions.set(STREAM, 1_000_000);
      begun.offsetRange = { low: 0, high: 12 };
    });
    expect(world.ownership.fault?.code).toBe('INPUTS_ALTERED');
    world.checkpoints.set(RECREATED, 1);
    world.inputPositions.set(`${STREAM}#1`, 4);
    await world.time.pass(10_000);
    expect([world.ownership.fault, world.told.at(-1)]).toEqual([null, 'from 5']);
    world.deliver([5, 6]);
    await turns();
    expect([world.decided, world.inputPositions.get(`${STREAM}#1`), world.inputPositions.get(STREAM)]).toEqual([
      [5, 6],
      6,
      1_000_000,
    ]);
  });

  it('is not repeated after deleted inputs until an operator accepts the loss', async () => {
    const world = await readyWorld((begun) => (begun.offsetRange = { low: 5, high: 9 }));
    await world.time.pass(60_000);
    await world.time.pass(60_000);
    expect([world.ownership.fault?.code, world.claims]).toEqual(['INPUTS_LOST', 1]);
    world.inputPositions.set(STREAM, 4);
    await world.time.pass(60_000);
    expect([world.ownership.fault, world.told.at(-1), world.claims]).toEqual([null, 'from 5', 2]);
  });

  it('does not fence an import that is in progress', async () => {
    const world = await readyWorld((begun) => begun.checkpoints.set(BEGUN, 7));
    await world.time.pass(60_000);
    expect([world.ownership.fault?.code, world.claims]).toEqual(['IMPORT_UNFINISHED', 0]);
    world.checkpoints.set('imported abc', 7);
    await world.time.pass(60_000);
    expect([world.ownership.fault, world.claims]).toEqual([null, 1]);
  });

  it('happens only after a newer assignment if the owner was fenced', async () => {
    const world = await readyWorld((begun) => (begun.isHolding = true));
    world.deliver([0]);
    await turns();
    world.letGo(fenced());
    await turns();
    for (let look = 0; look < 50; look += 1) await world.time.pass(1000);
    expect([world.ownership.fault?.code, world.claims]).toEqual(['LEDGER_FENCED', 1]);
    world.assignmentEpoch = null;
    await world.time.pass(1000);
    expect(world.claims).toBe(1);
    world.assignmentEpoch = 2;
    await world.time.pass(1000);
    expect([world.ownership.fault, world.claims]).toEqual([null, 2]);
  });

  it('happens only after a newer assignment if an idle owner was fenced', async () => {
    const world = await readyWorld();
    world.overtake(fenced());
    expect(world.ownership.fault?.code).toBe('LEDGER_FENCED');
    expect([world.told, world.deliver([0])]).toEqual([['from 0', 'LEDGER_FENCED'], false]);
    await world.time.pass(60_000);
    expect(world.claims).toBe(1);
    world.assignmentEpoch = 2;
    await world.time.pass(1000);
    expect([world.ownership.fault, world.claims]).toEqual([null, 2]);
  });

  it('happens only while the partition is assigned', async () => {
    const world = await readyWorld((begun) => (begun.isHolding = true));
    world.deliver([0]);
    await turns();
    world.assignmentEpoch = null;
    world.letGo(unknown());
    await turns();
    for (let look = 0; look < 50; look += 1) await world.time.pass(1000);
    expect(world.claims).toBe(1);
    world.assignmentEpoch = 1;
    await world.time.pass(1000);
    expect([world.ownership.fault, world.claims]).toEqual([null, 2]);
  });
});

describe('a partition run', () => {
  it('is followed by a claim only after its relay has stopped', async () => {
    const sent = Promise.withResolvers<void>();
    const world = await readyWorld((begun) => {
      begun.isHolding = true;
      begun.stopRelay = () => sent.promise;
    });
    world.deliver([0]);
    await turns();
    world.letGo(unknown());
    await turns();
    expect(world.ownership.fault?.code).toBe('LEDGER_OUTCOME_UNKNOWN');
    await world.time.pass(60_000);
    expect(world.claims).toBe(1);
    sent.resolve();
    await turns();
    await world.time.pass(60_000);
    expect(world.claims).toBe(2);
  });

  it('makes accepted inputs durable before its stop resolves', async () => {
    const world = await readyWorld((begun) => (begun.isHolding = true));
    world.deliver([0, 1]);
    await turns();
    let hasStopped = false;
    const stopping = world.ownership.stop().then(() => (hasStopped = true));
    await turns();
    expect([hasStopped, world.deliver([2])]).toEqual([false, false]);
    world.isHolding = false;
    world.letGo();
    await stopping;
    expect(world.decided).toEqual([0, 1]);
  });
});
