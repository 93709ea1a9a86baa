import { connect, type Socket } from 'node:net';
import type { SocketFactory } from '../../../kafka/options.ts';

/** The keys of Kafka's APIs. */
export const PRODUCE = 0;
export const FETCH = 1;
export const INIT_PRODUCER_ID = 22;

/**
 * Connections whose requests wait as long as `hold` says, and are cut off where it fails. kafkajs writes each request whole: its
 * length in 4 bytes, then the key of the API.
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
