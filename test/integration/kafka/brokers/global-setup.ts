import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Started } from './choice.ts';
import { DOOR } from './door.ts';

/**
 * Runs once beside all test files. It opens a local HTTP server. The first request starts a broker, and every request gets the
 * address of that broker. The broker is stopped after the last test. A run without Kafka tests starts no broker.
 */
export default async function setup(): Promise<() => Promise<void>> {
  let started: Promise<Answer> | undefined;
  const server = createServer((_, response) => {
    started ??= start();
    void started.then(({ text }) => response.end(text));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.env[DOOR] = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return async () => {
    server.closeAllConnections();
    server.close();
    await (await started)?.brokers?.stop();
  };
}

type Answer = { readonly text: string; readonly brokers?: Started };

async function start(): Promise<Answer> {
  try {
    const { startBrokers } = await import('./choice.ts');
    const found = await startBrokers();
    if ('missing' in found) return { text: JSON.stringify(found) };
    const { bootstrap, from } = found;
    return { text: JSON.stringify({ bootstrap, from }), brokers: found };
  } catch (error) {
    return { text: JSON.stringify({ failed: String(error) }) };
  }
}
