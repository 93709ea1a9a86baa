import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { connectTo } from '../../../kafka/client.ts';
import { topicsOf } from '../../../kafka/options.ts';
import { RecordProducer } from '../../../kafka/record-producer.ts';
import { landfall, recording, scratchFolder } from '../../support/landfall.ts';
import { declared, textOf, VM } from '../../service/harness.ts';
import { brokersForTests, uniqueName } from './brokers/index.ts';
import { eventually, forTest, instance, ready } from './instances.ts';
import { alterTopic, scratchTopics } from './scratch.ts';

const shared = await brokersForTests();
const brokers = shared?.bootstrap.join(',') ?? '';
const ONE = ['--replication-factor', '1', '--min-insync-replicas', '1'];

describe.skipIf(shared === null)('landfall kafka', () => {
  const run = (args: readonly string[], prefix: string, env: Record<string, string> = {}) =>
    landfall(['kafka', ...args, '--kafka-brokers', brokers, '--kafka-prefix', prefix], { env });

  it('init creates the topics, checks them, and names differences', async () => {
    const prefix = uniqueName('init');
    const made = await run(['init', '--partitions', '2', ...ONE], prefix);
    expect([made.code, made.stdout.match(/^created/gm)?.length]).toEqual([0, 4]);
    const again = await run(['init', '--partitions', '2', ...ONE], prefix);
    expect([again.code, again.stdout.match(/^present/gm)?.length]).toEqual([0, 4]);
    const other = await run(['init', '--partitions', '3', ...ONE], prefix);
    expect(other.code).toBe(2);
    expect(other.stderr).toContain(`${prefix}.ledger has 2 partition(s), not 3`);
    const copies = await run(
      ['init', '--partitions', '2', '--replication-factor', '7', '--min-insync-replicas', '2'],
      uniqueName('seven'),
    );
    expect([copies.code, copies.stderr]).toEqual([2, expect.stringMatching(/KAFKA_FAILED|replication/i)]);
    const unsafe = await run(['init', '--replication-factor', '3', '--min-insync-replicas', '1'], uniqueName('unsafe'));
    expect([unsafe.code, unsafe.stderr]).toEqual([2, expect.stringContaining('KAFKA_UNSAFE')]);
  });

  it('serve refuses topics with a short retention or a low record limit', async () => {
    const scratch = forTest(await scratchTopics(shared?.bootstrap ?? [], 1));
    const { inputs, commands, deadLetters } = topicsOf(scratch.prefix);
    const alter = (topic: string, changes: Record<string, string>) =>
      alterTopic(shared?.bootstrap ?? [], topic, changes);
    await alter(inputs, { 'retention.ms': '3600000', 'retention.bytes': '1000000' });
    await alter(commands, { 'cleanup.policy': 'compact', 'max.message.bytes': '1048588' });
    await alter(deadLetters, { 'retention.ms': '60000' });
    const serve = ['serve', '--port', '0', '--kafka-brokers', brokers, '--kafka-prefix', scratch.prefix];
    const env = { LANDFALL_DB: join(scratch.folder('one'), 'ledger.db') };
    const refused = await landfall(serve, { env });
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('KAFKA_MISMATCH')]);
    const named = Array.from(refused.stderr.matchAll(/: (\S+ is \S+), not/g), ([, what]) => what);
    expect(named).toEqual([
      'retention.ms is 3600000',
      'retention.bytes is 1000000',
      'cleanup.policy is compact',
      'max.message.bytes is 1048588',
      'retention.ms is 60000',
    ]);
  });

  it('init names each refused topic, its reason and the flag', async () => {
    const prefix = uniqueName('refused');
    const refused = await landfall(['kafka', 'init', '--kafka-brokers', brokers, '--kafka-prefix', prefix]);
    expect(refused.code).toBe(2);
    for (const topic of ['inputs', 'ledger', 'commands', 'dead-letters'])
      expect(refused.stderr).toMatch(new RegExp(`${prefix}\\.${topic}: .*replication factor of 3`));
    expect(refused.stderr).toContain('--replication-factor');
  });

  it('reports a connection error within seconds', async () => {
    const nobody = await landfall(['kafka', 'init', '--kafka-brokers', '127.0.0.1:1']);
    expect([nobody.code, nobody.stderr]).toEqual([2, expect.stringContaining('Check kafkaBrokers')]);
    const none = await landfall(['kafka', 'init']);
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('no brokers are configured')]);
    const missing = await landfall([
      'serve',
      '--port',
      '0',
      '--kafka-brokers',
      brokers,
      '--kafka-prefix',
      uniqueName('none'),
    ]);
    expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining('landfall kafka init')]);
  });

  it('play decides recordings in demo topics that instances serve', async () => {
    const scratch = forTest(await scratchTopics(shared?.bootstrap ?? [], 2));
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    const played = await run(['play', recording('abort'), recording('finish_reply_lost')], scratch.prefix);
    expect(played.code).toBe(0);
    expect(played.stdout.match(/^✔/gm)?.length).toBeGreaterThan(1);
    const again = await run(['play', recording('abort')], scratch.prefix);
    expect([again.code, again.stderr, /^✔/m.test(again.stdout)]).toEqual([0, '', false]);
    await one.stop();
    const two = await instance(scratch, 'two');
    const shown = await eventually(async () => {
      const { status, body } = await two.get('/v1/migrations?ledger=demo');
      return status === 200 && body.items.length > 1 ? body.items : null;
    });
    expect(shown.every((item) => (item['settled'] as unknown) === true)).toBe(true);
    await two.stop();
  });

  it('import moves a ledger; audit passes and then finds an alteration', async () => {
    const db = join(scratchFolder(), 'ledger.db');
    await landfall(['ingest', '--db', db, '--apart', recording('abort'), recording('client_timeout_completes')]);
    await landfall(['config', 'set', 'recheckIntervalSeconds=7', '--db', db]);
    const scratch = forTest(await scratchTopics(shared?.bootstrap ?? [], 3));
    const moved = await run(['import', '--db', db], scratch.prefix);
    expect([moved.code, moved.stdout]).toEqual([0, expect.stringContaining('no entry is missing or changed')]);
    const twice = await run(['import', '--db', db], scratch.prefix);
    expect([twice.code, twice.stderr]).toEqual([2, expect.stringContaining('holds this ledger already')]);
    const goneOn = await landfall(['config', 'set', 'recheckIntervalSeconds=9', '--db', db]);
    expect([goneOn.code, goneOn.stderr]).toEqual([2, expect.stringMatching(/LEDGER_MOVED[\s\S]*--kafka-brokers/)]);
    const read = await landfall(['config', 'get', 'recheckIntervalSeconds', '--db', db]);
    expect([read.code, read.stdout.trim()]).toEqual([0, expect.stringMatching(/recheckIntervalSeconds +7 /)]);
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    expect((await one.get('/v1/config')).body['recheckIntervalSeconds']).toBe(7);
    expect((await one.get('/v1/migrations')).body.items).toHaveLength(2);
    expect((await one.post(declared(VM))).status).toBe(202);
    const env = { LANDFALL_KAFKA_INSTANCE: 'one', LANDFALL_DB: join(scratch.folder('one'), 'ledger.db') };
    let isOver = false;
    const load = (async () => {
      while (!isOver) await one.post(Array.from({ length: 50 }, () => declared(randomUUID())));
    })();
    const underLoad = await run(['audit'], scratch.prefix, env);
    isOver = true;
    await load;
    expect([underLoad.code, underLoad.stdout]).toEqual([0, expect.stringContaining('no findings')]);
    await one.stop();
    const whole = await run(['audit'], scratch.prefix, env);
    expect([whole.code, whole.stdout]).toEqual([0, expect.stringContaining('no findings')]);
    const heads = /^head {2}(\S+)$/m.exec(whole.stdout)?.[1] ?? '';
    expect((await run(['audit', '--head', heads], scratch.prefix, env)).code).toBe(0);
    const refused = await run(['audit', '--head', heads.split(',').slice(1).join()], scratch.prefix, env);
    expect([refused.code, refused.stderr]).toEqual([
      2,
      expect.stringMatching(/BAD_HEAD.*head of partition 0 is missing/),
    ]);
    const cut = await run(['audit', '--head', heads.replace(/:(\d+):/, ':9$1:')], scratch.prefix, env);
    expect([cut.code, cut.stdout]).toEqual([1, expect.stringContaining('tail truncated')]);
    const producer = new RecordProducer(connectTo({ brokers: shared?.bootstrap ?? [], clientId: 'test' }));
    await producer.send(`${scratch.prefix}.ledger`, 1, [{ key: null, value: 'forged' }]);
    await producer.close();
    const forged = await run(['audit', '--json'], scratch.prefix, env);
    expect([forged.code, forged.stdout]).toEqual([1, expect.stringContaining('was not written by Landfall')]);
  });

  it('rebuild fetches a replica again unless an instance uses it', async () => {
    const scratch = forTest(await scratchTopics(shared?.bootstrap ?? [], 2));
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    await one.post(declared(VM));
    const env = { LANDFALL_KAFKA_INSTANCE: 'one', LANDFALL_DB: join(scratch.folder('one'), 'ledger.db') };
    const rebuild = () => landfall(['rebuild', '--kafka-brokers', brokers, '--kafka-prefix', scratch.prefix], { env });
    const busy = await rebuild();
    expect([busy.code, busy.stderr]).toEqual([2, expect.stringContaining('LEDGER_BUSY')]);
    await one.stop();
    const done = await rebuild();
    expect([done.code, textOf(done.stdout)]).toEqual([0, expect.stringMatching(/partition [01]: 1 entries/)]);
    expect(existsSync(join(scratch.copies('one'), '0.db'))).toBe(true);
  });
});
