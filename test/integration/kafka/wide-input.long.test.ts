import { randomBytes, randomUUID } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { describe, expect, it } from 'vitest';
import { connectTo } from '../../../kafka/client.ts';
import { splitForSending, RecordProducer } from '../../../kafka/record-producer.ts';
import { event, type Served, started, textOf } from '../../service/harness.ts';
import { brokersForTests } from './brokers/index.ts';
import { eventually, forTest, instance, ready } from './instances.ts';
import { scratchTopics } from './scratch.ts';

/** One input causes more entries than one batch of records can hold. */

const shared = await brokersForTests();
const ATTEMPTS = 20_000;
/** A configuration without timers during the test, so that only inputs make entries. */
const QUIET = { questionLimitSeconds: 20_000, recheckIntervalSeconds: 20_000, recheckTimeoutSeconds: 40_000 };
const LONG = { timeout: 120_000, interval: 200 };

const sequenceOf = async (one: Served) =>
  Number(textOf((await one.get('/readyz')).body['position'])?.split(':')[1] ?? Number.NaN);

/** Returns a failed call with a random error text, which does not compress. */
function failed(nth: number): { key: string; value: string }[] {
  const [vm, migration] = [randomUUID(), `m-${nth}`];
  const error = { kind: 'libvirt', message: randomBytes(1800).toString('base64') };
  const returned = event('migration.returned', { migration, ok: false, error }, { subject: vm });
  return [started(migration, vm), returned].map((each) => ({ key: vm, value: JSON.stringify(each) }));
}

describe.skipIf(shared === null)('A fact about a host with 20,000 open attempts', () => {
  it('is decided by one owner and replicated by other instances', async () => {
    const scratch = forTest(await scratchTopics(shared?.bootstrap ?? [], 1));
    const one = await instance(scratch, 'one', QUIET);
    await ready(scratch, one);
    const producer = new RecordProducer(connectTo({ brokers: scratch.brokers, clientId: 'test' }));
    const begun = await sequenceOf(one);
    const inputs = Array.from({ length: ATTEMPTS }, (_, nth) => failed(nth)).flat();
    for (const part of splitForSending(inputs)) await producer.send(`${scratch.prefix}.inputs`, 0, part);
    await producer.close();
    await expect.poll(() => sequenceOf(one), LONG).toBeGreaterThanOrEqual(begun + 2 * ATTEMPTS);
    const before = await sequenceOf(one);
    const delay = monitorEventLoopDelay({ resolution: 20 });
    delay.enable();
    const at = Date.now();
    await one.post(event('host.facts', { host: 'host-a', stream: 'connected' }));
    await expect.poll(() => sequenceOf(one), LONG).toBeGreaterThan(before + ATTEMPTS);
    console.info(`decided after ${Date.now() - at} ms; the event loop stood still for ${delay.max / 1e6} ms at most`);
    const claims = one.logged.filter((line) => line.includes('claimed the partition'));
    expect(claims).toHaveLength(1);
    const two = await instance(scratch, 'two');
    const reached = await sequenceOf(one);
    await expect.poll(() => sequenceOf(two), LONG).toBe(reached);
    await eventually(async () => ((await two.get('/readyz')).status === 200 ? true : null));
  });
});
