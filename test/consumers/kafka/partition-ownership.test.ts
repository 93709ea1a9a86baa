import { describe, expect, it } from 'vitest';
import { Fault } from '../../../events/fault.ts';
import { turns } from '../../support/hand-time.ts';
import { readyWorld, RECREATED, STREAM } from './ownership-world.ts';

/** One partition while it is ours: what it takes, what it never takes over, and when it claims. */

const fenced = () => new Fault('LEDGER_FENCED', 'another owner', 'Claim it anew.');
const unknown = () => new Fault('LEDGER_OUTCOME_UNKNOWN', 'lost', 'Claim it anew.');
const BEGUN = 'import abc';

describe('inputs', () => {
  it('are taken from where the ledger says, and what comes twice is passed over', async () => {
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

  it('that a reset passed over are not: the owner ends, and the claim tells what is missing', async () => {
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

  it('may be behind the markers of transactions', async () => {
    const world = await readyWorld();
    world.deliver([0, 1]);
    world.ownership.skipTo(4);
    expect(world.deliver([4, 5], 4)).toBe(true);
    await turns();
    expect(world.decided).toEqual([0, 1, 4, 5]);
  });

  it('of a topic that ends before what was taken are not taken', async () => {
    const world = await readyWorld();
    world.deliver([0, 1, 2]);
    await turns();
    world.offsetRange = { low: 0, high: 0 };
    expect(world.deliver([0], 0)).toBe(false);
    await turns();
    await world.time.pass(100);
    expect(world.told).toEqual(['from 0', 'INPUTS_BROKEN', 'INPUTS_ALTERED']);
  });

  it('wait by count and by bytes', async () => {
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

  it('are committed in parts of 4 MiB', async () => {
    const world = await readyWorld();
    world.deliver([0, 1, 2, 3, 4, 5, 6, 7, 8], 0, 1024 * 1024);
    await turns();
    expect(world.batches.map(({ entries }) => entries.length)).toEqual([4, 4, 1]);
  });
});

describe('a topic that may have been made anew', () => {
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

  it('is asked for what was taken last, and goes on where that is there', async () => {
    const world = await reclaimed({ low: 0, high: 9 });
    expect(world.told).toEqual(['from 0', 'LEDGER_FENCED', 'from 2']);
    expect(world.deliver([2, 3, 4])).toBe(true);
    await turns();
    expect(world.decided).toEqual([0, 1, 2, 3, 4]);
  });

  it('is refused where another record is there, and is not claimed again and again', async () => {
    const world = await reclaimed({ low: 0, high: 9 });
    expect(world.deliver([2, 3, 4], 2, 100, 'other')).toBe(false);
    expect(world.ownership.fault?.message).toContain('inputs/0 has another record at 2');
    await world.time.pass(30_000);
    expect([world.ownership.fault?.code, world.claims, world.decided]).toEqual(['INPUTS_ALTERED', 2, [0, 1, 2]]);
    await world.time.pass(60_000);
    expect([world.ownership.fault, world.claims]).toEqual([null, 3]);
  });

  it('is taken at its word where it no longer keeps that record', async () => {
    const world = await reclaimed({ low: 3, high: 9 });
    expect(world.told.at(-1)).toBe('from 3');
    expect(world.deliver([3, 4])).toBe(true);
  });

  it('takes nothing from elsewhere before that', async () => {
    const world = await reclaimed({ low: 0, high: 9 });
    expect([world.deliver([3, 4]), world.deliver([0, 1]), world.ownership.fault]).toEqual([false, false, null]);
    await turns();
    expect(world.told.slice(3)).toEqual(['from 2']);
    expect(world.deliver([1, 2, 3])).toBe(true);
  });

  it('is asked again after the group was joined anew', async () => {
    const world = await readyWorld();
    world.deliver([0, 1, 2]);
    world.ownership.verifyTopic();
    await turns();
    expect(world.told).toEqual(['from 0', 'from 2']);
    expect(world.deliver([2, 3], 2, 100, 'other')).toBe(false);
    expect(world.ownership.fault?.code).toBe('INPUTS_ALTERED');
  });

  it('is asked again where nothing comes', async () => {
    const world = await reclaimed({ low: 0, high: 9 });
    await world.time.pass(10_000);
    expect(world.told.slice(2)).toEqual(['from 2', 'from 2']);
  });
});

describe('a claim', () => {
  it('is not made of what the topic of inputs never held', async () => {
    const world = await readyWorld((begun) => {
      begun.inputPositions.set(STREAM, 1_000_000);
      begun.offsetRange = { low: 0, high: 12 };
    });
    expect([world.told, world.claims]).toEqual([['INPUTS_ALTERED'], 0]);
    expect(world.ownership.fault?.remedy).toContain('kafkaPrefix');
    await world.time.pass(60_000);
    expect([world.ownership.fault?.code, world.claims]).toEqual(['INPUTS_ALTERED', 0]);
  });

  it('goes on in a topic that was made anew once an operator said so, though its offsets are lower', async () => {
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

  it('that finds inputs deleted is not repeated, and goes on once an operator accepted it', async () => {
    const world = await readyWorld((begun) => (begun.offsetRange = { low: 5, high: 9 }));
    await world.time.pass(60_000);
    await world.time.pass(60_000);
    expect([world.ownership.fault?.code, world.claims]).toEqual(['INPUTS_LOST', 1]);
    world.inputPositions.set(STREAM, 4);
    await world.time.pass(60_000);
    expect([world.ownership.fault, world.told.at(-1), world.claims]).toEqual([null, 'from 5', 2]);
  });

  it('does not fence who imports', async () => {
    const world = await readyWorld((begun) => begun.checkpoints.set(BEGUN, 7));
    await world.time.pass(60_000);
    expect([world.ownership.fault?.code, world.claims]).toEqual(['IMPORT_UNFINISHED', 0]);
    world.checkpoints.set('imported abc', 7);
    await world.time.pass(60_000);
    expect([world.ownership.fault, world.claims]).toEqual([null, 1]);
  });

  it('of one that was fenced waits for the group to say again that the partition is ours', async () => {
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

  it('is not made by one that was overtaken while it was idle, before the group says so again', async () => {
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

  it('waits while it is absent from the group', async () => {
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

it('is down as soon as its owner is, and is claimed when what that one carried has ended', async () => {
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

it('gives nothing up that it took: a stop waits for it', async () => {
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
