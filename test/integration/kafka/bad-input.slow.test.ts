import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../log/chain.ts';
import { connectTo } from '../../../kafka/client.ts';
import { topicsOf } from '../../../kafka/options.ts';
import { partitionOf } from '../../../kafka/partitioner.ts';
import { RecordProducer } from '../../../kafka/record-producer.ts';
import { declared, started, textOf } from '../../service/harness.ts';
import { brokersForTests } from './brokers/index.ts';
import { eventually, forTest, instance, ready } from './instances.ts';
import { lettersOf } from './letters.ts';
import { scratchTopics } from './scratch.ts';

/** Records that are not valid inputs. */

const shared = await brokersForTests();
const PARTITIONS = 3;
const NO_UTF8 = Buffer.from([0xff, 0xfe, 0x00, 0x80]);

describe.skipIf(shared === null)('A record that is not an input', () => {
  it('becomes a dead letter with reason, position and bytes', async () => {
    const brokers = shared?.bootstrap ?? [];
    const scratch = forTest(await scratchTopics(brokers, PARTITIONS));
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    const { inputs, deadLetters } = topicsOf(scratch.prefix);
    const vm = randomUUID();
    const home = partitionOf(vm, PARTITIONS);
    const away = (home + 1) % PARTITIONS;
    const good = JSON.stringify(declared(vm));
    const producer = new RecordProducer(connectTo({ brokers, clientId: 'test' }));
    const send = (partition: number, key: string | null, value: string | Buffer | null) =>
      producer.send(inputs, partition, [{ key, value }]);
    await send(home, null, good);
    await send(home, randomUUID(), good);
    await send(away, vm, good);
    await send(home, vm, '{"specversion": "1.0", "id":');
    await send(home, vm, null);
    await send(home, vm, NO_UTF8);
    await send(home, vm, JSON.stringify({ ...declared(vm), type: 'landfall.vm.declared.v9' }));
    const large = JSON.stringify({ ...declared(vm), padding: 'é'.repeat(5 * 1024 * 1024) });
    await send(home, vm, large);
    await send(home, vm, good);
    await producer.close();
    expect((await one.post(started('m-1', vm))).status).toBe(202);
    // This input is valid but refused, because the attempt is open.
    const refused = { ...started('m-1', vm), time: '2026-11-25T10:00:00Z' };
    expect((await one.post(refused)).status).toBe(409);
    // The second partition may be slightly behind.
    const letters = await eventually(async () => {
      const { body } = await one.get('/v1/dead-letters');
      return body.items.length === 9 ? body.items : null;
    });
    const codesOf = (partition: number) =>
      letters.filter((item) => textOf(item['position']).startsWith(`${partition}:`)).map((item) => item['code']);
    expect(codesOf(away)).toEqual(['BAD_KEY']);
    expect(codesOf(home)).toEqual([
      'BAD_KEY',
      'BAD_KEY',
      'BAD_JSON',
      'BAD_JSON',
      'BAD_UTF8',
      'UNKNOWN_TYPE',
      'TOO_LARGE',
      'ATTEMPT_EXISTS',
    ]);
    expect((await one.get(`/v1/vms/${vm}`)).body['host']).toBe('host-a');
    const left = await eventually(async () => {
      const found = await lettersOf(brokers, deadLetters);
      return found.length === 9 ? found : null;
    });
    const letterAt = (offset: number) =>
      left.find(({ headers }) => headers['stream'] === `${inputs}/${home}` && headers['offset'] === String(offset));
    expect(letterAt(2)?.headers).toMatchObject({ code: 'BAD_JSON', bytes: '28' });
    expect(letterAt(2)?.headers['cut']).toBeUndefined();
    expect(letterAt(2)?.value).toEqual(Buffer.from('{"specversion": "1.0", "id":'));
    expect(letterAt(4)?.value).toEqual(NO_UTF8);
    const cut = letterAt(6);
    expect(cut?.headers).toMatchObject({ cut: 'true', bytes: String(Buffer.byteLength(large)), digest: sha256(large) });
    expect(cut?.value.length).toBeGreaterThan(65_500);
    expect(cut?.value).toEqual(Buffer.from(large).subarray(0, cut?.value.length));
    const again = left.find(({ headers }) => headers['code'] === 'ATTEMPT_EXISTS');
    expect(JSON.parse(String(again?.value))).toMatchObject(refused);
    // The dead letter is a valid event: sent with a new id, it is refused for the same reason.
    const resent = await one.post({ ...(JSON.parse(String(again?.value)) as object), id: randomUUID() });
    expect(resent.body['code']).toBe('ATTEMPT_EXISTS');
    await one.stop();
  });
});
