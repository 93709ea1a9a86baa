import { randomUUID } from 'node:crypto';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Entry } from '../../events/entries.ts';
import { SqliteLedger } from '../../log/sqlite/ledger.ts';
import { MACHINE_VERSION } from '../../machines/version.ts';
import { audit } from '../../projections/audit.ts';
import { scratchFolder, start } from '../support/landfall.ts';
import { answerStayed, client, declared, type Json, returned, started, textOf } from './harness.ts';

/**
 * Invariants 8 and 10 with a real process: the test kills the service repeatedly with SIGKILL while clients send events. Every
 * acknowledged event must be in the ledger exactly once, and no deadline may move.
 */

const KILLS = 50;
const CLIENTS = 4;
const RUN_MS_MAX = 300;

type Sent = { id: string };
type Load = { acknowledged: Set<string>; stop: boolean; url: string | null; asked: Set<string>; answered: Set<string> };

async function up(child: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    const url = /listens on (\S+),/.exec(text)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error(`it ended early: ${text}`);
}

/** An at-least-once client: sends an event again until the service acknowledges it. */
async function persist(load: Load, event: Record<string, unknown>): Promise<Json | null> {
  while (!load.stop) {
    try {
      const { status, body } = await client(() => load.url ?? '').post(event);
      if (status < 500 && status !== 429) {
        if (status === 202) load.acknowledged.add((event as Sent).id);
        return body;
      }
    } catch {
      // The service was killed, so it is unknown if the event arrived.
    }
    await wait(5);
  }
  return null;
}

async function orchestrate(load: Load, name: number): Promise<void> {
  for (let number = 0; !load.stop; number += 1) {
    const [vm, migration] = [randomUUID(), `m-${name}-${number}`];
    await persist(load, declared(vm));
    await persist(load, started(migration, vm));
    await persist(load, returned(migration, vm));
  }
}

/** The agents of both hosts. They answer the questions of every second attempt and reconnect after each kill. */
async function answer(load: Load, host: string): Promise<void> {
  while (!load.stop) {
    try {
      const { body } = await client(() => load.url ?? '').get(`/v1/hosts/${host}/work?wait=1`);
      for (const item of body.items ?? []) {
        if (item.kind !== 'question') continue;
        const question = item['question'] as unknown as { question: string; vm: string; host: string };
        load.asked.add(question.question);
        if (!/[02468]\/q/.test(question.question)) continue;
        await persist(load, answerStayed(question, `${question.question}/answer`));
        load.answered.add(question.question);
      }
    } catch {
      await wait(5);
    }
  }
}

it(`keeps acknowledged events exactly once after ${KILLS} kills`, async () => {
  const folder = scratchFolder();
  const db = join(folder, 'ledger.db');
  const load: Load = { acknowledged: new Set(), stop: false, url: null, asked: new Set(), answered: new Set() };
  const serve = () =>
    start([
      'serve',
      '--db',
      db,
      '--port',
      '0',
      '--no-recordings',
      '--log-level',
      'silent',
      '--set',
      'requestsPerSecondMax=1000000',
    ]);
  const clients = [
    ...Array.from({ length: CLIENTS }, (_, name) => orchestrate(load, name)),
    answer(load, 'host-a'),
    answer(load, 'host-b'),
  ];
  for (let kill = 0; kill < KILLS; kill += 1) {
    const child = serve();
    load.url = await up(child);
    await wait(20 + Math.random() * RUN_MS_MAX);
    child.kill('SIGKILL');
    await once(child, 'close');
  }
  const last = serve();
  load.url = await up(last);
  load.stop = true;
  await Promise.all(clients);
  // The service hands out every open question again under its id.
  const { body: ready } = await client(() => load.url ?? '').get('/readyz');
  const since = Number(textOf(ready['position']).split(':')[1]);
  const open = await openQuestions(load.url, 'host-a');
  last.kill('SIGTERM');
  const [code] = (await once(last, 'close')) as [number | null];
  expect(code).toBe(0);

  const ledger = await SqliteLedger.open({ file: db, mode: 'read', machineVersion: MACHINE_VERSION });
  const seen = new Map<string, number>();
  const deadlines = new Map<string, Set<number>>();
  const newest = new Map<string, Entry>();
  const touched = new Set<string>();
  for await (const { entry, sequence } of ledger.read(0, 1)) {
    if (entry.cause.kind === 'input' && entry.cause.part === undefined)
      seen.set(entry.cause.id, (seen.get(entry.cause.id) ?? 0) + 1);
    noteDeadline(deadlines, entry);
    if (entry.attempt !== null) newest.set(entry.attempt.attempt.migration, entry);
    if (entry.attempt !== null && sequence > since) touched.add(entry.attempt.attempt.migration);
  }
  const result = await audit(ledger, 0, { projections: ledger.readConnection() });
  await ledger.close();
  expect(result.findings).toEqual([]);
  expect(load.acknowledged.size).toBeGreaterThan(KILLS);
  expect([...load.acknowledged].filter((id) => seen.get(id) !== 1)).toEqual([]);
  expect([...seen].filter(([, times]) => times > 1)).toEqual([]);
  expect([...deadlines].filter(([, ends]) => ends.size > 1)).toEqual([]);
  // Deadlines continue during the check, so attempts with a later timer entry are excluded.
  const untouched = (id: string) => !touched.has(id.replace(/\/q\d+$/, ''));
  const unanswered = [...newest.values()].flatMap(({ attempt }) => openOn(attempt, 'host-a'));
  expect(unanswered.filter(untouched).length).toBeGreaterThan(0);
  expect(open.filter(untouched).toSorted()).toEqual(unanswered.filter(untouched).toSorted());
});

async function openQuestions(url: string, host: string): Promise<string[]> {
  const ids: string[] = [];
  for (let after = ''; ; ) {
    const { body } = await client(() => url).get(`/v1/hosts/${host}/work?wait=0&limit=1000${after}`);
    const items = [...body.items];
    ids.push(...items.flatMap((item) => (item.kind === 'question' ? [textOf(item['question']?.['question'])] : [])));
    if (items.length === 0) return ids;
    after = `&after=${body.next}`;
  }
}

/** An attempt has one deadline until its verdict. */
function noteDeadline(deadlines: Map<string, Set<number>>, { attempt: state }: Entry): void {
  if (state === null || state.attempt.deadlineAt === null || state.attempt.verdicts.length > 0) return;
  const { migration, deadlineAt } = state.attempt;
  deadlines.set(migration, (deadlines.get(migration) ?? new Set()).add(deadlineAt));
}

function openOn(state: Entry['attempt'], host: string): string[] {
  const asked = state?.attempt.asked[host];
  if (state === null || asked === undefined || asked.asked === 0) return [];
  const isAnswered = asked.answer !== null && asked.answer.asked >= asked.asked && asked.answer.timedOut !== true;
  const isOver = ['settled', 'superseded'].some((end) => JSON.stringify(state.value).includes(end));
  return isAnswered || isOver ? [] : [`${state.attempt.migration}/q${asked.asked}`];
}
