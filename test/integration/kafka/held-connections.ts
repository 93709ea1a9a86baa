import { connect, type Socket } from 'node:net';
import type { SocketFactory } from '../../../kafka/options.ts';

/** API keys of the Kafka protocol. */
export const PRODUCE = 0;
export const FETCH = 1;
export const INIT_PRODUCER_ID = 22;

/**
 * Makes connections whose requests wait for the promise of `hold`; a rejection closes the connection. kafkajs writes each request
 * with one call: the length in 4 bytes, then the API key.
 */
export function heldConnections(
  hold: (api: number, request: Buffer) => Promise<void> | null | undefined,
): SocketFactory {
  return ({ host, port, onConnect }) => {
    const socket: Socket = connect({ host, port }, onConnect);
    const write = socket.write.bind(socket);
    socket.write = (data: Buffer | Uint8Array | string) => {
      if (!Buffer.isBuffer(data) || data.length < 6) return write(data);
      const held = hold(data.readInt16BE(4), data);
      if (held === null || held === undefined) return write(data);
      held.then(
        () => write(data),
        (error: unknown) => socket.destroy(error instanceof Error ? error : new Error(String(error))),
      );
      return true;
    };
    return socket;
  };
}
