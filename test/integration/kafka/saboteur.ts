import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { SocketFactory } from '../../../kafka/options.ts';

/**
 * Makes connections that break around the next end of a transaction: `lost` before the broker hears of it, `applied` after it
 * has answered and before we hear the answer. With `held` it waits until it is let go, as in a process that was stopped.
 */
export class Saboteur {
  #order: 'applied' | 'lost' | 'held' | null = null;
  #held = Promise.withResolvers<() => void>();

  arm(order: 'applied' | 'lost' | 'held'): void {
    this.#order = order;
    this.#held = Promise.withResolvers();
  }

  /** What lets the held one go, once there is one. */
  get held(): Promise<() => void> {
    return this.#held.promise;
  }

  readonly socketFactory: SocketFactory = ({ host, port, ssl, onConnect }) => {
    const socket: Socket = ssl
      ? connectTls({ host, port, ...ssl }, onConnect)
      : connectPlain({ host, port }, onConnect);
    const write = socket.write.bind(socket);
    socket.write = (data: Buffer | Uint8Array | string) => {
      if (!Buffer.isBuffer(data) || this.#order === null || !isEndOfTransaction(data)) return write(data);
      const order = this.#order;
      this.#order = null;
      if (order === 'held') {
        this.#held.resolve(() => write(data));
        return true;
      }
      if (order === 'lost') {
        socket.destroy(new Error('sabotaged'));
        return false;
      }
      socket.removeAllListeners('data');
      socket.once('data', () => socket.destroy(new Error('sabotaged')));
      return write(data);
    };
    return socket;
  };
}

/** kafkajs writes each request whole: its length in 4 bytes, then the key of the API. EndTxn's is 26. */
function isEndOfTransaction(request: Buffer): boolean {
  return request.length > 6 && request.readInt16BE(4) === 26;
}
