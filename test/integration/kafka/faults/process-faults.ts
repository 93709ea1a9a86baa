import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { brokersForTests } from '../brokers/index.ts';
import { forTest, instance, instanceProcess, ready } from '../instances.ts';
import { scratchTopics } from '../scratch.ts';
import { check, checkCopies, settled } from './checker.ts';
import { Load } from './load.ts';

/** Instances are killed, paused, started and stopped under a load of inputs. */

const PARTITIONS = 4;
/** The shortest session timeout that brokers allow by default, in seconds. */
const SESSION_SECONDS = 6;

export async function processFaults({ kills }: { kills: number }): Promise<void> {
  const shared = await brokersForTests();
  describe.skipIf(shared === null)('instances in separate processes', { timeout: 1_200_000 }, () => {
    suite(shared?.bootstrap ?? [], kills);
  });
}

function suite(brokers: readonly string[], kills: number): void {
  const set = async () => {
    const scratch = forTest(await scratchTopics(brokers, PARTITIONS));
    const load = new Load({ brokers, prefix: scratch.prefix, partitions: PARTITIONS, width: 20, pauseMs: 150 });
    const conclude = async (...names: readonly string[]): Promise<void> => {
      const { violations, heads } = await check(brokers, scratch.prefix, load);
      expect(violations).toEqual([]);
      for (const name of names) expect(await checkCopies(scratch.copies(name), heads)).toEqual([]);
    };
    return { scratch, load, conclude };
  };

  it(`lose nothing when one is killed ${kills} times and restarted`, async () => {
    const { scratch, load, conclude } = await set();
    const steady = await instance(scratch, 'steady', { kafkaSessionSeconds: SESSION_SECONDS });
    await ready(scratch, steady);
    load.start();
    for (let kill = 0; kill < kills; kill += 1) {
      const { child, output } = instanceProcess(scratch, 'killed', { kafkaSessionSeconds: SESSION_SECONDS });
      await seen(output, /"msg":"claimed the partition"/);
      await wait(Math.random() * 1500);
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    const { child, output } = instanceProcess(scratch, 'killed', { kafkaSessionSeconds: SESSION_SECONDS });
    await seen(output, /"msg":"claimed the partition"/);
    await load.stop();
    expect((await settled(brokers, scratch.prefix, load)).violations).toEqual([]);
    console.log(JSON.stringify({ kills, inputs: load.count, repeated: load.repeated }));
    await wait(1000);
    child.kill('SIGTERM');
    expect((await once(child, 'close'))[0]).toBe(0);
    await steady.stop();
    await conclude('steady', 'killed');
  });

  it('fence an instance that was paused longer than its session', async () => {
    const { scratch, load, conclude } = await set();
    const { child, output } = instanceProcess(scratch, 'stopped', { kafkaSessionSeconds: SESSION_SECONDS });
    await seen(output, /"msg":"claimed the partition"(.|\n)*"msg":"claimed the partition"/);
    load.start();
    await load.reached(1000);
    child.kill('SIGSTOP');
    const other = await instance(scratch, 'other', { kafkaSessionSeconds: SESSION_SECONDS });
    await ready(scratch, other);
    await load.reached(load.count + 1000);
    child.kill('SIGCONT');
    // The instance was stopped during a commit; its next commit is fenced.
    await seen(output, /"code":"LEDGER_FENCED"/);
    await load.reached(load.count + 1000);
    await load.stop();
    expect((await settled(brokers, scratch.prefix, load)).violations).toEqual([]);
    await wait(1000);
    child.kill('SIGTERM');
    expect((await once(child, 'close'))[0]).toBe(0);
    await other.stop();
    await conclude('other', 'stopped');
  });

  it('lose nothing when two instances join and leave', async () => {
    const { scratch, load, conclude } = await set();
    const first = await instance(scratch, 'first', { kafkaSessionSeconds: SESSION_SECONDS });
    await ready(scratch, first);
    load.start();
    await load.reached(500);
    const [second, third] = [await instance(scratch, 'second'), await instance(scratch, 'third')];
    await ready(scratch, first, second, third);
    await load.reached(load.count + 1000);
    await Promise.all([second.stop(), third.stop()]);
    await ready(scratch, first);
    await load.reached(load.count + 500);
    await load.stop();
    expect((await settled(brokers, scratch.prefix, load)).violations).toEqual([]);
    // The copies of both instances must be complete: entries from their ownership and entries since then.
    const back = [await instance(scratch, 'second'), await instance(scratch, 'third')];
    await ready(scratch, first, ...back);
    await Promise.all([first, ...back].map((each) => each.stop()));
    await conclude('first', 'second', 'third');
  });
}

async function seen(output: () => string, what: RegExp): Promise<void> {
  for (const deadline = Date.now() + 60_000; !what.test(output()); await wait(50)) {
    if (Date.now() > deadline) throw new Error(`${what} was not seen in:\n${output().slice(-4000)}`);
  }
}
