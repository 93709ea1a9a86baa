import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../events/entries.ts';
import { topicsOf } from '../../../kafka/options.ts';
import { SqliteLedger } from '../../../log/sqlite/ledger.ts';
import {
  answerStayed,
  declared,
  returned,
  type Served,
  serve,
  started,
  textOf,
  workOff,
} from '../../service/harness.ts';
import { landfall } from '../../support/landfall.ts';
import { brokersForTests } from './brokers/index.ts';
import { eventually, forTest, instance, ready } from './instances.ts';
import { scratchTopics } from './scratch.ts';
import { valuesOf } from './values.ts';

/** A service moves from a file to topics. Items that the file's service has sent are not sent again; new items are. */

const shared = await brokersForTests();
const PARTITIONS = 3;
const TIMES = { recheckIntervalSeconds: 1, recheckTimeoutSeconds: 15, questionLimitSeconds: 1, commandRetrySeconds: 1 };

type Item = Parameters<typeof answerStayed>[0];

/** The hosts answer questions and execute no commands. */
async function answered(service: Served, vm: string): Promise<void> {
  await eventually(async () => {
    const replies = await Promise.all(['host-a', 'host-b'].map((host) => service.get(`/v1/hosts/${host}/work?wait=0`)));
    const questions = replies
      .flatMap(({ body }) => body.items)
      .filter((item) => item.kind === 'question')
      .map((item) => item['question'] as unknown as Item);
    for (const question of questions) if (question.vm === vm) await service.post(answerStayed(question));
    const orders = (await service.get('/v1/orchestrator/work?wait=0')).body.items;
    return orders.some((item) => item['command']?.['vm'] === (vm as unknown)) ? true : null;
  });
}

/** Returns the unique id of each question or command that was sent. */
const sentOf = ({ questions, commands }: Entry): string[] => [
  ...questions.map(({ question }) => question),
  ...commands.map(({ command, try: nth }) => `${command} ${nth}`),
];

async function entriesIn(ledger: SqliteLedger): Promise<{ text: string; entry: Entry }[]> {
  return Array.fromAsync(ledger.read(ledger.partition, 1));
}

async function entriesOfFile(file: string): Promise<{ text: string; entry: Entry }[]> {
  const ledger = await SqliteLedger.open({ file, mode: 'read', machineVersion: 'test' });
  const entries = await entriesIn(ledger);
  await ledger.close();
  return entries;
}

describe.skipIf(shared === null)('A service that was moved to Kafka', () => {
  const brokers = shared?.bootstrap ?? [];

  it('sends only new items and keeps deadlines and fencing tokens', async () => {
    const [settled, open, told] = [randomUUID(), randomUUID(), randomUUID()];
    const before = await serve();
    expect((await before.send('PUT', '/v1/config', TIMES)).status).toBe(200);
    await before.post([declared(settled), started('m-settled', settled), returned('m-settled', settled)]);
    await workOff(before);
    expect((await before.post(returned('m-none', settled))).status).toBe(422);
    await before.post([declared(told), started('m-told', told), returned('m-told', told)]);
    await answered(before, told);
    await before.post([declared(open), started('m-open', open), returned('m-open', open)]);
    const deadlineOf = async (service: Served) =>
      Number((await service.get('/v1/migrations/m-open/entries')).body['state']?.['attempt']?.['deadlineAt']);
    const tokenOf = async (service: Served, migration: string) =>
      Number((await service.get(`/v1/migrations/${migration}`)).body['verdict']?.['token']);
    const [deadline, token] = [await deadlineOf(before), await tokenOf(before, 'm-settled')];
    await before.stop();
    const db = `${before.folder}/ledger.db`;
    const history = await entriesOfFile(db);

    const scratch = forTest(await scratchTopics(brokers, PARTITIONS));
    const topics = topicsOf(scratch.prefix);
    const moving = () =>
      landfall(['kafka', 'import', '--db', db, '--kafka-brokers', brokers.join(','), '--kafka-prefix', scratch.prefix]);
    const early = await instance(scratch, 'early');
    await ready(scratch, early);
    const refused = await moving();
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringMatching(/IMPORT_REFUSED.*are running.*early/)]);
    await early.stop();
    expect(await moving()).toMatchObject({ code: 0, stderr: '' });

    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    expect(await deadlineOf(one)).toBe(deadline);
    expect(token).toBeGreaterThan(0);
    expect(await tokenOf(one, 'm-settled')).toBe(token);
    const decided = await eventually(async () => {
      const { verdict } = (await one.get('/v1/migrations/m-open')).body;
      return verdict ?? null;
    });
    expect([decided['final'], decided['row']]).toEqual([true, 'silence']);
    expect(Date.parse(textOf(decided['decidedAt']))).toBeGreaterThanOrEqual(deadline);
    await one.post([started('m-next', settled), returned('m-next', settled)]);
    await workOff(one);
    expect(await tokenOf(one, 'm-next')).toBeGreaterThan(token);
    expect((await one.post(returned('m-nothing', settled))).status).toBe(422);

    const past = new Set(history.map(({ text }) => text));
    const sentBefore = new Set(history.flatMap(({ entry }) => sentOf(entry)));
    const migrations = await eventually(async () => {
      const all = await Promise.all(one.engine.parts.map(({ ledger }) => entriesIn(ledger)));
      const due = all.flat().flatMap(({ text, entry }) => (past.has(text) ? [] : sentOf(entry)));
      const left = (await valuesOf(brokers, topics.commands)).map(({ value }) => JSON.parse(value) as Left);
      const names = new Set(left.map(nameOf));
      expect([...names].filter((name) => sentBefore.has(name))).toEqual([]);
      const of = left.map(({ question, command }) => question?.migration ?? command?.migration ?? '');
      return due.every((name) => names.has(name)) ? [...new Set(of)].toSorted() : null;
    });
    expect(migrations).toEqual(['m-next', 'm-open', 'm-told']);
    const letters = await eventually(async () => {
      const found = await valuesOf(brokers, topics.deadLetters);
      return found.length > 0 ? found : null;
    });
    expect(letters.map(({ value }) => value)).toEqual([expect.stringContaining('m-nothing')]);
    await one.stop();
  });
});

type Left = {
  readonly question?: { readonly question: string; readonly migration: string };
  readonly command?: { readonly command: string; readonly migration: string; readonly try: number };
};
const nameOf = ({ question, command }: Left) => question?.question ?? `${command?.command} ${command?.try}`;
