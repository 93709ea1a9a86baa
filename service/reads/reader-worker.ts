import { setPriority } from 'node:os';
import { type MessagePort, parentPort } from 'node:worker_threads';
import { Fault } from '../../events/fault.ts';
import { plainFault } from '../../log/sqlite/faults.ts';
import { SqliteLedger } from '../../log/sqlite/ledger.ts';
import { MACHINE_VERSION } from '../../machines/version.ts';
import { answer } from './answer.ts';
import { Histories } from './history.ts';
import type { Part, ReadPart } from './parts.ts';
import type { PartFile, ReaderAnswer, ReaderMessage } from './read-request.ts';

/** A thread that answers reads from its own read-only connections. */

/** Reads get less processor time than the thread that decides. */
const NICENESS = 5;

class Reader {
  readonly #port: MessagePort;
  readonly #histories = new Histories();
  readonly #parts = new Map<string, Promise<Part>>();
  readonly #running = new Map<number, AbortController>();

  constructor(port: MessagePort) {
    this.#port = port;
    port.on('message', (message: ReaderMessage) => void this.#receive(message));
  }

  async #receive(message: ReaderMessage): Promise<void> {
    switch (message.kind) {
      case 'read': {
        const given = await this.#answer(message);
        this.#port.postMessage(given, 'bytes' in given ? [given.bytes.buffer] : []);
        return;
      }
      case 'cancel':
        this.#running.get(message.id)?.abort();
        return;
      case 'close':
        return this.#close();
    }
  }

  async #answer({ id, source, request }: Extract<ReaderMessage, { kind: 'read' }>): Promise<ReaderAnswer> {
    const cancelled = new AbortController();
    this.#running.set(id, cancelled);
    try {
      const opened = await Promise.all(source.files.map((file) => this.#open(file)));
      const parts = opened.map((part) => cancellable(part, cancelled.signal));
      const text = await answer(parts, source.which, request, this.#histories);
      return { id, bytes: new TextEncoder().encode(text) };
    } catch (error) {
      if (error instanceof Fault) return { id, fault: plainFault(error) };
      return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    } finally {
      this.#running.delete(id);
    }
  }

  #open({ partition, file }: PartFile): Promise<Part> {
    const known = this.#parts.get(file);
    if (known !== undefined) return known;
    const opened = SqliteLedger.open({ file, mode: 'read', machineVersion: MACHINE_VERSION }).then((ledger) => ({
      partition,
      ledger,
      db: ledger.readConnection(),
    }));
    this.#parts.set(file, opened);
    opened.catch(() => this.#parts.delete(file));
    return opened;
  }

  async #close(): Promise<void> {
    for (const cancelled of this.#running.values()) cancelled.abort();
    const opened = await Promise.allSettled(this.#parts.values());
    await Promise.all(opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value.ledger.close()] : [])));
    this.#port.close();
  }
}

/** The same partition, whose reads of entries throw after a cancellation. */
function cancellable({ partition, db, ledger }: Part, signal: AbortSignal): ReadPart {
  return {
    partition,
    db,
    ledger: {
      head: (of) => ledger.head(of),
      read: (of, from) => until(signal, ledger.read(of, from)),
      readUnparsed: (of, from) => until(signal, ledger.readUnparsed(of, from)),
      readVm: (vm, from) => until(signal, ledger.readVm(vm, from)),
      readMigration: (migration, from) => until(signal, ledger.readMigration(migration, from)),
    },
  };
}

async function* until<T>(signal: AbortSignal, entries: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const entry of entries) {
    signal.throwIfAborted();
    yield entry;
  }
}

if (parentPort !== null) {
  // On Linux a priority belongs to a thread; elsewhere it would belong to the whole process.
  if (process.platform === 'linux') setPriority(NICENESS);
  new Reader(parentPort);
}
