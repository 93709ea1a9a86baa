import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EVENTUALLY } from './eventually.ts';
import { freePorts } from './ports.ts';
import { Proxy } from './proxy.ts';

const QUIET_MS = 60;

/** A server that echoes every byte and records the bytes it received. */
const heard: string[] = [];
const echo = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('data', (chunk: Buffer) => heard.push(chunk.toString()));
  socket.on('error', () => {});
  socket.pipe(socket);
});
let proxy: Proxy;

beforeAll(async () => {
  const [target = 0, port = 0] = await freePorts(2);
  echo.listen(target, '127.0.0.1');
  await once(echo, 'listening');
  proxy = await Proxy.open(port, target);
});
afterAll(async () => {
  await proxy.close();
  echo.close();
});

class Client {
  readonly socket: Socket;
  text = '';
  ended: 'no' | 'closed' | 'reset' = 'no';

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString();
    });
    socket.on('error', () => {
      this.ended = 'reset';
    });
    socket.on('end', () => {
      this.ended = 'closed';
    });
  }

  static async open(): Promise<Client> {
    const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
    const client = new Client(socket);
    await once(socket, 'connect');
    return client;
  }

  say(text: string): void {
    this.socket.write(text);
  }
}

const clients: Client[] = [];
const opened = async () => {
  const client = await Client.open();
  clients.push(client);
  return client;
};
afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.destroy();
  await proxy.restore();
  while (proxy.connections > 0) await wait(1);
  heard.length = 0;
});

describe('Proxy', () => {
  it('forwards all bytes and the end of the connection', async () => {
    const client = await opened();
    const long = 'x'.repeat(5_000_000);
    client.say(long);
    client.socket.end();
    await expect.poll(() => client.ended, EVENTUALLY).toBe('closed');
    expect(client.text === long).toBe(true);
  });

  it('keeps connections open and forwards nothing while frozen', async () => {
    const before = await opened();
    before.say('a');
    await expect.poll(() => before.text, EVENTUALLY).toBe('a');
    proxy.freeze();
    before.say('b');
    const during = await opened();
    during.say('c');
    during.socket.end();
    await wait(QUIET_MS);
    expect([before.text, during.text, heard, during.ended, before.ended]).toEqual(['a', '', ['a'], 'no', 'no']);
    proxy.thaw();
    await expect.poll(() => [before.text, during.text, during.ended], EVENTUALLY).toEqual(['ab', 'c', 'closed']);
  });

  it('holds back only the answers', async () => {
    const client = await opened();
    proxy.freeze('answers');
    client.say('done, unheard');
    await expect.poll(() => heard, EVENTUALLY).toEqual(['done, unheard']);
    await wait(QUIET_MS);
    expect(client.text).toBe('');
    await proxy.cut();
    await expect.poll(() => client.ended, EVENTUALLY).toBe('reset');
    expect(client.text).toBe('');
  });

  it('resets connections and refuses new ones after a cut', async () => {
    const client = await opened();
    await proxy.cut();
    await expect.poll(() => client.ended, EVENTUALLY).toBe('reset');
    await expect(Client.open()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await proxy.restore();
    const next = await opened();
    next.say('back');
    await expect.poll(() => next.text, EVENTUALLY).toBe('back');
  });

  it('forwards delayed bytes in order', async () => {
    const client = await opened();
    proxy.slow(QUIET_MS);
    const start = performance.now();
    for (const letter of 'abcdef') client.say(letter);
    await expect.poll(() => client.text, EVENTUALLY).toBe('abcdef');
    expect(performance.now() - start).toBeGreaterThanOrEqual(2 * QUIET_MS - 2);
  });
});
