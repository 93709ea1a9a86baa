import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { canonical, toInput } from '../events/cloud-event.ts';
import type { Entry } from '../events/entries.ts';
import { link, sha256 } from '../log/chain.ts';
import { textOf } from '../log/entry-text.ts';
import { GENESIS } from '../log/port.ts';
import { openWriter } from '../log/sqlite/connection.ts';
import { prepareProjections } from '../log/sqlite/inline-projections.ts';
import { recordsOf } from '../log/sqlite/identity-rows.ts';
import { columnsOf } from '../log/sqlite/rows.ts';
import { Writer } from '../log/sqlite/writer.ts';
import { MACHINE_VERSION } from '../machines/version.ts';
import { extract, open, prepare, reset } from '../projections/inline-projection.ts';
import type { Touched } from '../projections/touched.ts';
import { driverInMemory } from './landfall.ts';
import { Lanes } from './lanes.ts';
import { Stopwatch, timed } from './measure.ts';
import type { Figure } from './report.ts';
import type { Course } from './workload.ts';

/**
 * Measures the time of each stage: the work of one run is repeated stage by stage. A stage that only computes is measured in
 * processor time, so other processes on the machine do not change its figure.
 */

type Stage = { readonly name: string; readonly ms: number; readonly count: number; readonly note?: string };

export async function stages(folder: string, courses: readonly Course[], perCommit: number): Promise<Figure[]> {
  const texts = courses.flatMap(({ beforeTimer, afterTimer }) => [...beforeTimer, ...afterTimer]);
  const batches = await batchesOf(courses, perCommit);
  const measured = [
    ...readingStages(texts),
    await takingStage(courses, perCommit, texts),
    ...handingOverStages(batches),
    ...writingStages(join(folder, 'stages.db'), batches),
  ];
  return measured.map(({ name, ms, count, note }) => ({
    name,
    value: (ms * 1000) / count,
    unit: 'µs',
    ...(note === undefined ? {} : { note }),
  }));
}

/** Returns the processor time of this thread, in milliseconds. */
function computing(work: () => void): number {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}

async function batchesOf(courses: readonly Course[], perCommit: number): Promise<(readonly Entry[])[]> {
  const batches: (readonly Entry[])[] = [];
  await new Lanes(
    driverInMemory((entries) => batches.push(entries)),
    2,
    perCommit,
  ).run(courses);
  return batches;
}

function readingStages(texts: readonly string[]): Stage[] {
  const count = texts.length;
  let values: unknown[] = [];
  const parsing = computing(() => {
    values = texts.map((text) => JSON.parse(text) as unknown);
  });
  const inputs = values.map((value) => toInput(value, sha256));
  const all = computing(() => {
    for (const value of values) toInput(value, sha256);
  });
  const digesting = computing(() => {
    for (const { type, vm, data } of inputs) sha256(canonical([type, vm, data]));
  });
  return [
    { name: 'main thread: parse the JSON', ms: parsing, count },
    { name: 'main thread: validate', ms: all - digesting, count },
    { name: 'main thread: digest', ms: digesting, count },
  ];
}

/** Measures the time from text to decision, minus the time of the earlier stages. */
async function takingStage(courses: readonly Course[], perCommit: number, texts: readonly string[]): Promise<Stage> {
  const lanes = new Lanes(driverInMemory(), 2, perCommit);
  const before = process.threadCpuUsage();
  const count = await lanes.run(courses);
  const { user, system } = process.threadCpuUsage(before);
  const reading = computing(() => {
    for (const text of texts) toInput(JSON.parse(text), sha256);
  });
  return { name: 'main thread: step (identity, record, machine, timers)', ms: (user + system) / 1000 - reading, count };
}

function handingOverStages(batches: readonly (readonly Entry[])[]): Stage[] {
  const count = batches.flat().length;
  const stringifying = computing(() => {
    for (const entries of batches) entries.map(textOf);
  });
  const messages = batches.map(messageOf);
  const keying = computing(() => {
    for (const entries of batches) recordsOf(entries);
  });
  const extracting = computing(() => {
    for (const entries of batches) extract(entries);
  });
  const { port1, port2 } = new MessageChannel();
  let [sending, receiving] = [0, 0];
  for (const message of messages) {
    sending += computing(() => port1.postMessage(message));
    receiving += computing(() => receiveMessageOnPort(port2));
  }
  port1.close();
  return [
    { name: 'main thread: stringify', ms: stringifying, count },
    { name: 'main thread: identity keys', ms: keying, count },
    { name: 'main thread: cells of the projections', ms: extracting, count },
    { name: 'main thread: send to the writer', ms: sending, count },
    { name: 'writer: receive', ms: receiving, count },
  ];
}

function messageOf(entries: readonly Entry[]) {
  return {
    texts: entries.map(textOf),
    columns: entries.map(columnsOf),
    extracts: [extract(entries)],
    identities: recordsOf(entries),
  };
}

/** Repeats the work of the writer thread in this thread. */
function writingStages(file: string, batches: readonly (readonly Entry[])[]): Stage[] {
  const count = batches.flat().length;
  const requests = batches.map((entries, id) => ({
    kind: 'commit' as const,
    id,
    owner: 1,
    ...messageOf(entries),
    inputPositions: [],
    checkpoints: [],
  }));
  const texts = requests.flatMap((request) => request.texts);
  const hashing = computing(() => {
    let hash = GENESIS;
    for (const text of texts) hash = link(hash, text);
  });
  const [committing, following] = [new Stopwatch(), new Stopwatch()];
  const db = openWriter(file);
  const execute = db.exec.bind(db);
  db.exec = (sql) => (sql === 'COMMIT' ? committing.around(execute)(sql) : execute(sql));
  const projections = [
    {
      extract,
      prepare,
      reset,
      open: (connection: typeof db) => {
        const projection = open(connection, 0);
        return { apply: following.around((before: number, touched: Touched) => projection.apply(before, touched)) };
      },
    },
  ];
  prepareProjections(db, projections, 0);
  const settings = {
    file,
    partition: 0,
    machineVersion: MACHINE_VERSION,
    horizon: { seconds: 1e9, count: 1e6 },
    mayTakeSnapshots: true,
  };
  const writer = new Writer(db, { ...settings, projections });
  writer.claim(0, 1);
  committing.ms = 0;
  const writing = timed(() => {
    for (const request of requests) {
      const fault = writer.commit([request]).answers[0]?.fault ?? null;
      if (fault !== null) throw new Error(fault.message);
    }
  });
  writer.close();
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true });
  return [
    { name: 'writer: hash', ms: hashing, count },
    { name: 'writer: projections', ms: following.ms, count, note: 'wall time' },
    { name: 'writer: SQL', ms: writing - hashing - following.ms - committing.ms, count, note: 'wall time' },
    { name: 'writer: commit', ms: committing.ms, count, note: 'wall time, fsync and checkpoints included' },
  ];
}
