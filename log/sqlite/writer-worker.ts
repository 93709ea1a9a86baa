import { unlinkSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { openWriter, requireWritable } from './connection.ts';
import { plainFault, sqliteFault } from './faults.ts';
import { importProjections, prepareProjections } from './inline-projections.ts';
import { Locks } from './locks.ts';
import type { CommitRequest, WriterAnswer, WriterOptions, WriterReply, WriterRequest } from './messages.ts';
import { requireUnmoved } from './moved.ts';
import { assignPartition, partitionIn } from './partition-number.ts';
import { EMPTY, timeOf } from './rows.ts';
import { SNAPSHOT_ENTRIES, takeSnapshot, trustedHead, verifyRows } from './snapshots.ts';
import { Writer } from './writer.ts';
import { recordWrittenPath } from './written-path.ts';

/** The thread that writes the ledger file, so that the main thread never waits for the disk. */

/** The largest number of entries per transaction, because the first batch of a group waits for the whole group. */
const GROUP_ENTRIES_MAX = 2048;

async function start(port: MessagePort, options: WriterOptions): Promise<void> {
  const locks = acquire(options.file);
  try {
    const db = openWriter(options.file, options.durability);
    const writer = await open(db, options);
    port.on('message', (request: WriterRequest) => serve(port, writer, locks, request));
    port.postMessage(reply({ id: 0, head: writer.head, progress: null, fault: null }));
  } catch (error) {
    const fault = sqliteFault(error, options.file);
    locks.release();
    if (fault.code === 'LEDGER_NOT_A_LEDGER') unlinkSync(`${options.file}.lock`);
    throw fault;
  }
}

function acquire(file: string): Locks {
  requireWritable(file);
  return Locks.acquire(file);
}

async function open(db: DatabaseSync, options: WriterOptions): Promise<Writer> {
  try {
    requireUnmoved(db, options.file, options.movingTo);
    recordWrittenPath(db, options.file);
    if (options.partition !== undefined) assignPartition(db, options.file, options.partition);
    if (options.verifyOnOpen) verifyTail(db, options.machineVersion);
    const projections = await importProjections(options.projections);
    const partition = partitionIn(db);
    if (options.forRebuild !== true) prepareProjections(db, projections, partition);
    return new Writer(db, { ...options, partition, projections, mayTakeSnapshots: options.verifyOnOpen });
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Verifies the chain from the last snapshot, and takes a snapshot if many entries were verified. */
function verifyTail(db: DatabaseSync, machineVersion: string): void {
  const trusted = trustedHead(db, machineVersion);
  const head = verifyRows(db, trusted);
  if (head.sequence - trusted.sequence >= SNAPSHOT_ENTRIES) takeSnapshot(db, head, machineVersion, timeOf(db));
}

/** Joins the commits that wait into one transaction, so that they share one flush of the disk. */
function serve(port: MessagePort, writer: Writer, locks: Locks, first: WriterRequest): void {
  let request: WriterRequest | undefined = first;
  while (request !== undefined) {
    if (request.kind !== 'commit') {
      serveOther(port, writer, locks, request);
      request = next(port);
      continue;
    }
    const group: CommitRequest[] = [];
    let size = 0;
    while (request?.kind === 'commit' && (group.length === 0 || size < GROUP_ENTRIES_MAX)) {
      group.push(request);
      size += request.texts.length;
      request = next(port);
    }
    port.postMessage(writer.commit(group));
  }
}

function next(port: MessagePort): WriterRequest | undefined {
  return receiveMessageOnPort(port)?.message as WriterRequest | undefined;
}

function serveOther(
  port: MessagePort,
  writer: Writer,
  locks: Locks,
  request: Exclude<WriterRequest, CommitRequest>,
): void {
  const { id } = request;
  switch (request.kind) {
    case 'claim':
      port.postMessage(reply(writer.claim(id, request.owner)));
      return;
    case 'rebuild':
      port.postMessage(reply(writer.rebuild(id, request.rebuild)));
      return;
    case 'mark-moved':
      port.postMessage(reply(writer.markMoved(id, request.to)));
      return;
    case 'verify':
      port.postMessage(reply(writer.verify(request)));
      return;
    case 'horizon':
      writer.setHorizon(request.horizon);
      port.postMessage(reply({ id, head: writer.head, progress: null, fault: null }));
      return;
    case 'close':
      writer.close();
      locks.release();
      port.postMessage(reply({ id, head: writer.head, progress: null, fault: null }));
      port.close();
      return;
  }
}

function reply(answer: WriterAnswer): WriterReply {
  return { answers: [answer], forgottenThrough: null };
}

if (parentPort !== null) {
  const options = workerData as WriterOptions;
  const port = parentPort;
  start(port, options).catch((error: unknown) => {
    const fault = plainFault(sqliteFault(error, options.file));
    port.postMessage(reply({ id: 0, head: EMPTY, progress: null, fault }));
    port.close();
  });
}
