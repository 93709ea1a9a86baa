import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { SocketFactory } from '../../../kafka/options.ts';

/**
 * Makes connections that break at the next end of a transaction: `lost` before the broker receives the request, `applied` after the
 * broker has answered and before the client reads the answer. With `held` the request waits until it is released.
 */
export class Saboteur {
  #order: 'applied' | 'lost' | 'held' | null = null;
  #held = Promise.withResolvers<() => void>();

  arm(order: 'applied' | 'lost' | 'held'): void {
    this.#order = order;
    this.#held = Promise.withResolvers();
  }

  /** Resolves, once a request is held, with the function that releases it. */
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

/** kafkajs writes each request with one call: the length in 4 bytes, then the API key, which is 26 for EndTxn. */
function isEndOfTransaction(request: Buffer): boolean {
  return request.length > 6 && request.readInt16BE(4) === 26;
}
