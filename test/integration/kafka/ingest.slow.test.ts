import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { topicsOf } from '../../../kafka/options.ts';
import { declared, event, started, textOf } from '../../service/harness.ts';
import { landfall, recording, scratchFolder } from '../../support/landfall.ts';
import { brokersForTests } from './brokers/index.ts';
import { eventually, forTest, instance, ready } from './instances.ts';
import { lettersOf } from './letters.ts';
import { scratchTopics } from './scratch.ts';

const shared = await brokersForTests();
const brokers = shared?.bootstrap ?? [];

function fileOf(lines: readonly unknown[]): { file: string; folder: string } {
  const folder = scratchFolder();
  const file = join(folder, 'events.ndjson');
  writeFileSync(file, lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''));
  return { file, folder };
}

describe.skipIf(shared === null)('landfall ingest into Kafka', () => {
  it('sends CloudEvents to their partitions and writes no file', async () => {
    const scratch = forTest(await scratchTopics(brokers, 3));
    const vms = Array.from({ length: 300 }, () => randomUUID());
    const site = event('host.facts', { host: 'host-a', zone: 'z-1' });
    const { file, folder } = fileOf([
      ...vms.map((vm) => declared(vm)),
      site,
      ...vms.map((vm) => started(`m-${vm}`, vm)),
    ]);
    const env = { LANDFALL_KAFKA_BROKERS: brokers.join(','), LANDFALL_KAFKA_PREFIX: scratch.prefix };
    const sent = await landfall(['ingest', file], { cwd: folder, env });
    expect([sent.code, sent.stderr]).toEqual([0, '601 lines read: 601 sent and durable, not decided yet\n']);
    expect(existsSync(join(folder, '.landfall'))).toBe(false);
    const again = await landfall(['ingest', '--json', '-'], { cwd: folder, env, stdin: readFileSync(file, 'utf8') });
    expect([again.code, JSON.parse(again.stdout)]).toMatchObject([0, { lines: 601, sent: 601, bad: 0 }]);
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    const attempts = await eventually(async () => {
      const { body } = await one.get('/v1/migrations?limit=1000');
      return body.items.length === vms.length ? body.items : null;
    });
    expect(new Set(attempts.map((item) => textOf(item['vm'])))).toEqual(new Set(vms));
    expect((await one.get('/v1/dead-letters')).body.items).toEqual([]);
    await one.stop();
  });

  it('stops at a bad line; --skip-bad makes it a dead letter', async () => {
    const scratch = forTest(await scratchTopics(brokers, 2));
    const { file, folder } = fileOf([declared(randomUUID()), '{"torn', declared(randomUUID())]);
    const flags = ['--kafka-brokers', brokers.join(','), '--kafka-prefix', scratch.prefix];
    const ended = await landfall(['ingest', ...flags, file], { cwd: folder });
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain(`${file}:2: `);
    expect(ended.stderr).toContain('acknowledged before the error: 1');
    const letters = join(folder, 'letters.ndjson');
    const went = await landfall(['ingest', ...flags, '--skip-bad', '--dead-letters', letters, file], { cwd: folder });
    expect(went.code).toBe(0);
    expect(went.stderr).toContain('3 lines read: 2 sent and durable, not decided yet, 1 unreadable');
    const found = await lettersOf(brokers, topicsOf(scratch.prefix).deadLetters);
    expect(found.map(({ value }) => String(value))).toEqual(['{"torn']);
    expect(found[0]?.headers).toMatchObject({ code: 'BAD_JSON', stream: `file:${file}`, offset: '2', bytes: '6' });
    expect(JSON.parse(readFileSync(letters, 'utf8'))).toMatchObject({ code: 'BAD_JSON', text: '{"torn' });
  });

  it('refuses recordings and uses a file only with --db', async () => {
    const scratch = forTest(await scratchTopics(brokers, 2));
    const { file, folder } = fileOf([declared(randomUUID())]);
    const env = { LANDFALL_KAFKA_BROKERS: brokers.join(','), LANDFALL_KAFKA_PREFIX: scratch.prefix };
    const played = await landfall(['ingest', file, recording('abort')], { cwd: folder, env });
    expect([played.code, played.stderr]).toEqual([2, expect.stringContaining('landfall kafka play FILE')]);
    const piped = await landfall(['ingest', '-'], {
      cwd: folder,
      env,
      stdin: readFileSync(recording('abort'), 'utf8'),
    });
    expect([piped.code, piped.stderr]).toEqual([2, expect.stringContaining('landfall kafka play FILE')]);
    const both = await landfall(['ingest', '--db', 'x.db', '--kafka-brokers', 'b:1', file], { cwd: folder });
    expect([both.code, both.stderr]).toEqual([2, expect.stringContaining('Give only one of them')]);
    expect(existsSync(join(folder, '.landfall'))).toBe(false);
    const local = await landfall(['ingest', '--db', join(folder, 'local.db'), file], { cwd: folder, env });
    expect([local.code, existsSync(join(folder, 'local.db'))]).toEqual([0, true]);
    const nobody = await landfall(['ingest', file], { cwd: folder, env: { LANDFALL_KAFKA_BROKERS: '127.0.0.1:1' } });
    expect([nobody.code, nobody.stderr]).toEqual([2, expect.stringContaining('KAFKA_FAILED')]);
  });
});
