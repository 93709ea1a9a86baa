import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Fault } from '../../events/fault.ts';
import type { Which } from '../reads/parts.ts';
import type { ReadQueue, ReadyReply } from '../reads/read-queue.ts';
import type { ReadRequest } from '../reads/read-request.ts';
import { readsOf, type Service } from './service.ts';

/** Answers a request with the bytes that a reader thread has made of a read. */

/** Larger replies are sent in pieces of this size, so that a client that takes no piece is noticed. */
const PIECE_BYTES = 64 * 1024;

/** Returns the reply. Its type lets every route return it, because the schema of a route describes a parsed body. */
export async function replyWithRead(
  service: Service,
  request: FastifyRequest,
  reply: FastifyReply,
  which: Which,
  read: ReadRequest,
): Promise<never> {
  label(reply, service, which);
  const files = readsOf(service, which).map(({ partition, ledger }) => ({ partition, file: ledger.path }));
  const { readQueue } = service;
  forgetOnClose(request, readQueue);
  try {
    const ready = await readQueue.read(request.raw.socket, { which, files }, read);
    reply.raw.once('close', ready.done);
    return send(reply, ready) as never;
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'CLIENT_GONE') throw error;
    return reply.hijack() as never;
  }
}

/** Sets the headers of a read: its ledger, its position and, when newer entries may exist, its age. */
export function label(reply: FastifyReply, { engine }: Service, which: Which): void {
  void reply.header('landfall-ledger', which);
  if (which === 'demo') return;
  const { ageMs, position } = engine;
  void reply.header('landfall-position', position);
  if (ageMs > 0) void reply.header('landfall-age-seconds', Math.ceil(ageMs / 1000));
}

const watched = new WeakSet<object>();

function forgetOnClose({ raw: { socket } }: FastifyRequest, readQueue: ReadQueue): void {
  if (watched.has(socket)) return;
  watched.add(socket);
  socket.once('close', () => readQueue.forget(socket));
}

function send(reply: FastifyReply, { bytes, taken }: ReadyReply): FastifyReply {
  void reply.type('application/json');
  if (bytes.byteLength <= PIECE_BYTES) return reply.send(Buffer.from(bytes.buffer));
  return reply.header('content-length', bytes.byteLength).send(Readable.from(pieces(Buffer.from(bytes.buffer), taken)));
}

function* pieces(bytes: Buffer, taken: () => void): Generator<Buffer> {
  for (let from = 0; from < bytes.length; from += PIECE_BYTES) {
    taken();
    yield bytes.subarray(from, from + PIECE_BYTES);
  }
}
