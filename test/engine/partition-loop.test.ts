import { describe, expect, it } from 'vitest';
import { Driver } from '../../engine/driver.ts';
import { COMMIT_BYTES, PartitionLoop, type LoopObserver, type LoopOptions } from '../../engine/partition-loop.ts';
import { toInput } from '../../events/cloud-event.ts';
import { Fault } from '../../events/fault.ts';
import type { Input } from '../../events/inputs.ts';
import { sha256 } from '../../log/chain.ts';
import type { Batch, Head, Owner } from '../../log/port.ts';
import { VM, vmOf } from '../support/builders.ts';
import { HandTime, turns } from '../support/hand-time.ts';
import { MemoryLedger } from '../support/memory-ledger.ts';

/** An owner whose commits wait until the test lets them succeed or fail. */
class HeldOwner implements Owner {
  readonly partition = 0;
  readonly claimedHead: Head;
  readonly inputPositions = new Map<string, number>();
  readonly checkpoints = new Map<string, number>();
  readonly #owner: Owner;
  readonly #held: { go: () => void; fail: (fault: Fault) => void }[] = [];
  isHolding = false;

  constructor(owner: Owner) {
    this.#owner = owner;
    this.claimedHead = owner.claimedHead;
  }

  get held(): number {
    return this.#held.length;
  }

  async commit(batch: Batch): Promise<Head> {
    if (this.isHolding) await new Promise<void>((go, fail) => this.#held.push({ go, fail }));
    return this.#owner.commit(batch);
  }

  recall: Owner['recall'] = (identities) => this.#owner.recall(identities);

  async release(): Promise<void> {}

  letGo(fault?: Fault): void {
    for (const { go, fail } of this.#held.splice(0)) {
      if (fault === undefined) go();
      else fail(fault);
    }
  }
}

async function setUp(observer: LoopObserver = {}, options: LoopOptions = {}) {
  const ledger = new MemoryLedger();
  const time = new HandTime();
  const owner = new HeldOwner(await ledger.claim());
  const loop = new PartitionLoop(new Driver(owner, ledger), time, observer, options);
  return { ledger, time, owner, loop };
}

let ids = 0;
function input(type: string, data: unknown, id = `e${(ids += 1)}`): Input {
  return toInput({ specversion: '1.0', source: 'test', id, type: `landfall.${type}.v1`, subject: VM, data }, sha256);
}
const acted = (id?: string) => input('operator.acted', { action: 'look', ok: true }, id);
const started = () => input('migration.started', { migration: 'm-1', source: 'host-a', destination: 'host-b' });
const returned = () =>
  input('migration.returned', { migration: 'm-1', ok: false, error: { kind: 'connection', message: 'lost' } });

describe('PartitionLoop', () => {
  it('commits inputs that arrive together in one batch', async () => {
    const sizes: number[] = [];
    const { loop } = await setUp({ committed: (entries) => sizes.push(entries) });
    const receipts = await Promise.all([loop.submit([acted(), acted()]), loop.submit([acted()])]);
    expect(receipts.flat().map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    expect(sizes).toEqual([3]);
  });

  it('acknowledges a duplicate only after the first input is durable', async () => {
    const { loop, owner, ledger } = await setUp();
    owner.isHolding = true;
    const first = loop.submit([acted('same')]);
    await turns();
    let told = false;
    const second = loop.submit([acted('same')]).then((receipts) => {
      told = true;
      return receipts;
    });
    await turns();
    expect(told).toBe(false);
    owner.letGo();
    expect((await first)[0]?.taken.outcome).toBe('consumed');
    expect(await second).toEqual([{ taken: { outcome: 'duplicate' }, sequence: null }]);
    expect(ledger.entries).toHaveLength(1);
  });

  it('acknowledges several duplicates only after the first input is durable', async () => {
    const { loop, owner } = await setUp({}, { commitsUnderWay: 8 });
    owner.isHolding = true;
    const told: string[] = [];
    const submit = async (name: string) => {
      await loop.submit([acted('same')]);
      told.push(name);
    };
    const all = [submit('first')];
    await turns();
    all.push(submit('second'));
    await turns();
    all.push(submit('third'));
    await turns();
    expect(told).toEqual([]);
    owner.letGo();
    await Promise.all(all);
    expect(told).toHaveLength(3);
  });

  it('decides no new batch while too many entries wait for their commit', async () => {
    const { loop, owner } = await setUp({}, { commitsUnderWay: 8 });
    owner.isHolding = true;
    const all: Promise<unknown>[] = [];
    for (let commit = 0; commit < 5; commit += 1) {
      all.push(loop.submit(Array.from({ length: 2048 }, () => acted())));
      await turns();
    }
    expect([owner.held, loop.queued]).toEqual([3, 2]);
    owner.letGo();
    await turns();
    expect([owner.held, loop.queued]).toEqual([2, 0]);
    owner.letGo();
    await Promise.all(all);
  });

  it('rejects a duplicate if the commit of the first input failed', async () => {
    const { loop, owner } = await setUp();
    owner.isHolding = true;
    const first = loop.submit([acted('same')]);
    await turns();
    const second = loop.submit([acted('same')]);
    await turns();
    owner.letGo(new Fault('LEDGER_FULL', 'full', ''));
    await expect(first).rejects.toMatchObject({ code: 'LEDGER_FULL' });
    await expect(second).rejects.toMatchObject({ code: 'LEDGER_FULL' });
    expect(loop.fault?.code).toBe('LEDGER_FULL');
    await expect(loop.submit([acted()])).rejects.toMatchObject({ code: 'LEDGER_FULL' });
  });

  it('stops after an exception and rejects all pending inputs', async () => {
    const died: Fault[] = [];
    const { loop, ledger } = await setUp({ died: (fault) => died.push(fault) });
    ledger.record = () => {
      throw new Error('unreadable');
    };
    for (const { status } of await Promise.allSettled([loop.submit([acted()]), loop.submit([acted()])]))
      expect(status).toBe('rejected');
    expect(died).toMatchObject([{ code: 'LEDGER_FAILED', cause: { message: 'unreadable' } }]);
    await expect(loop.submit([acted()])).rejects.toBe(died[0]);
    expect(ledger.entries).toEqual([]);
  });

  it('fires due deadlines and reports their delay', async () => {
    const late: number[] = [];
    const { loop, time, ledger } = await setUp({ fired: (_count, ms) => late.push(ms) });
    await loop.submit([started(), returned()]);
    const before = ledger.entries.length;
    await time.pass(4999);
    expect(ledger.entries).toHaveLength(before);
    await time.pass(8);
    const timers = ledger.entries.slice(before).filter(({ cause }) => cause.kind === 'timer');
    expect(timers.length).toBeGreaterThan(0);
    expect(late[0]).toBeLessThanOrEqual(8);
    await time.pass(400_000);
    for (let round = 0; round < 20; round += 1) await time.pass(5_000);
    expect(ledger.attempt('m-1')?.state.attempt.verdicts.at(-1)?.contested).toBe(true);
  });

  it('decides waiting inputs before a deadline that is due', async () => {
    const { loop, time, ledger } = await setUp();
    await loop.submit([started(), returned()]);
    const answers = ['host-a', 'host-b'].map((host, index) =>
      input('host.answered', { question: `m-1/q${index + 3}`, host, ok: true, domain: null }),
    );
    // The alarm and the answers are ready in the same turn of the event loop.
    const submitted = loop.submit(answers);
    await time.pass(60_000);
    await submitted;
    const causes = ledger.entries.slice(2).map(({ cause }) => cause.kind);
    expect(causes.slice(0, 2)).toEqual(['input', 'input']);
  });

  it('fires deadlines although new inputs arrive all the time', async () => {
    const { loop, time, ledger } = await setUp();
    await loop.submit([started(), returned()]);
    let isOn = true;
    const load = (async () => {
      while (isOn) await Promise.race([loop.submit(Array.from({ length: 1100 }, () => acted())), turns()]);
    })();
    await turns();
    for (let round = 0; round < 3; round += 1) await time.pass(2000);
    isOn = false;
    await load;
    expect(ledger.entries.some(({ cause }) => cause.kind === 'timer')).toBe(true);
    await loop.stop();
  });

  it('makes accepted inputs durable during a stop and rejects new inputs', async () => {
    const { loop, owner, ledger } = await setUp();
    owner.isHolding = true;
    const taken = loop.submit([acted()]);
    const stopped = loop.stop();
    await expect(loop.submit([acted()])).rejects.toMatchObject({ code: 'STOPPING' });
    await turns();
    owner.isHolding = false;
    owner.letGo();
    await stopped;
    expect(await taken).toHaveLength(1);
    expect(ledger.entries).toHaveLength(1);
  });

  it('divides a submission that writes too many entries into several commits', async () => {
    const sizes: number[] = [];
    const { ledger, loop } = await setUp({ committed: (entries) => sizes.push(entries) });
    const of = (type: string, data: object, subject?: string) =>
      toInput(
        { specversion: '1.0', source: 'test', id: `e${(ids += 1)}`, type: `landfall.${type}.v1`, subject, data },
        sha256,
      );
    const begun = Array.from({ length: 900 }, (_, index) => {
      const [migration, subject] = [`many-${index}`, vmOf(index)];
      const error = { kind: 'connection', message: 'lost' };
      return [
        of('migration.started', { migration, source: 'host-a', destination: 'host-b' }, subject),
        of('migration.returned', { migration, ok: false, error }, subject),
      ];
    });
    await loop.submit(begun.flat());
    sizes.length = 0;
    const facts = (host: string, stream: string) => of('host.facts', { host, stream });
    const before = ledger.stored.length;
    const all = ['connected', 'lost', 'connected', 'lost'].flatMap((stream) => [
      facts('host-a', stream),
      facts('host-b', stream),
    ]);
    const receipts = await loop.submit(all);
    const entries = ledger.stored.length - before;
    expect(entries).toBeGreaterThan(2048);
    expect(sizes.length).toBeGreaterThan(1);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(entries);
    // Each input reports the sequence of its first entry, across commits.
    const ofInputs = ledger.stored.slice(before).filter(({ entry }) => entry.host !== null);
    expect(receipts.map(({ sequence }) => sequence)).toEqual(ofInputs.map(({ sequence }) => sequence));
  });

  it('starts a new batch at the byte limit', async () => {
    const sizes: number[] = [];
    const { loop } = await setUp({ committed: (entries) => sizes.push(entries) });
    const large = (count: number) =>
      loop.deliver(
        Array.from({ length: count }, () => ({ input: acted(), at: null })),
        COMMIT_BYTES / 2,
      );
    await Promise.all([large(1), large(1), large(1), large(2)]);
    expect(sizes).toEqual([2, 3]);
  });
});
