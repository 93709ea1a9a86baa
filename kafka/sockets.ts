import { lookup as lookUp } from 'node:dns';
import { connect, isIP, type LookupFunction } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import type { SocketFactory } from './options.ts';

/**
 * Connections as kafkajs makes them, but with shared name lookups. A lookup occupies one of the four threads of Node's pool, for
 * ten seconds if no name server answers: a few clients that reconnect to a lost broker would leave no thread for other work.
 */

const KEEP_ALIVE_MS = 60_000;

/** Shares one lookup among simultaneous requests for the same name. */
export function oneAtATime(look: LookupFunction): LookupFunction {
  const waiting = new Map<string, Parameters<LookupFunction>[2][]>();
  return (name, options, callback) => {
    const key = JSON.stringify([name, options]);
    const others = waiting.get(key);
    if (others !== undefined) return void others.push(callback);
    const all = [callback];
    waiting.set(key, all);
    look(name, options, (...answer) => {
      waiting.delete(key);
      for (const each of all) each(...answer);
    });
  };
}

const lookup = oneAtATime(lookUp);

export const socketFactory: SocketFactory = ({ host, port, ssl, onConnect }) => {
  const options = { host, port, lookup, ...(isIP(host) === 0 ? { servername: host } : {}) };
  const socket = isTls(ssl) ? connectTls({ ...options, ...ssl }, onConnect) : connect(options, onConnect);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  // kafkajs adds a listener each time it closes a closed socket; without a limit Node does not warn.
  socket.setMaxListeners(0);
  return socket;
};

/** kafkajs also passes null or a boolean, which its types do not say. */
const isTls = (ssl: ConnectionOptions | boolean | null): boolean => Boolean(ssl);
