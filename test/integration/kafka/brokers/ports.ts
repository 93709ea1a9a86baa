import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/**
 * The ports lie below the range of outgoing connections. Otherwise a client that retries the port of a stopped broker could
 * connect to itself and block the port.
 */
const FIRST = 15_000;
const LAST = 31_999;
const ATTEMPTS_MAX = 200;

/** Returns free ports of 127.0.0.1. */
export async function freePorts(count: number): Promise<number[]> {
  const held = new Map<number, Server>();
  for (let attempt = 0; held.size < count && attempt < ATTEMPTS_MAX; attempt += 1) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    const server = held.has(port) ? undefined : await listening(port);
    if (server !== undefined) held.set(port, server);
  }
  await Promise.all(Array.from(held.values(), (server) => new Promise((closed) => server.close(closed))));
  if (held.size < count) throw new Error(`no ${count} free ports between ${FIRST} and ${LAST}`);
  return [...held.keys()];
}

async function listening(port: number): Promise<Server | undefined> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
    return server;
  } catch {
    return undefined;
  }
}
