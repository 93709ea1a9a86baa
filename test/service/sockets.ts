import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type Served, started } from './harness.ts';

/** Opens a connection to the service without sending anything. */
export async function dial({ url }: Pick<Served, 'url'>): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** Opens an event stream whose client is stopped: the connection stays open, but the client reads nothing. */
export async function stoppedClient(url: string, host: string): Promise<Socket> {
  const socket = await dial({ url });
  socket.pause();
  socket.write(`GET /v1/hosts/${host}/work HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n`);
  return socket;
}

const vmOf = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
/** Long names make the outstanding items larger than the socket buffers of the kernel. */
const attemptOf = (number: number) => `${'\u{4e00}'.repeat(250)}${number}`;

/** Starts this many migrations with long names, each on its own VM. */
export async function startLongNamed(service: Served, count: number): Promise<void> {
  for (let from = 0; from < count; from += 1000) {
    const numbers = Array.from({ length: 1000 }, (_, index) => from + index);
    await service.post(numbers.map((number) => started(attemptOf(number), vmOf(number))));
  }
}

/** The id and VM of a migration started by `startLongNamed`. */
export const longNamed = (number: number) => [attemptOf(number), vmOf(number)] as const;
