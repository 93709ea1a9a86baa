import { lookup as lookUp } from 'node:dns';
import { connect, isIP, type LookupFunction } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import type { ISocketFactory } from 'kafkajs';

/**
 * Connections as kafkajs makes them, but for how names are looked up. A look-up holds one of the four threads of Node's pool, and
 * where nobody answers for a broker that is gone it does so for ten seconds: a few clients that try again and again leave no
 * thread for the names of the brokers that live, nor for anything else.
 */

const KEEP_ALIVE_MS = 60_000;

/** One look-up of a name at a time: whoever asks meanwhile is told the same. */
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

export const socketFactory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
  const options = { host, port, lookup, ...(isIP(host) === 0 ? { servername: host } : {}) };
  const socket = isTls(ssl) ? connectTls({ ...options, ...ssl }, onConnect) : connect(options, onConnect);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  // kafkajs ends one that is closed again and again; each time leaves a listener, of which Node would warn.
  socket.setMaxListeners(0);
  return socket;
};

/** kafkajs hands on what it was given, or null, whatever its type says. */
const isTls = (ssl: ConnectionOptions | boolean | null): boolean => Boolean(ssl);
