import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'vitest';
import { EVENTUALLY } from './eventually.ts';
import { canStartClusters } from './index.ts';

const PROGRAM = fileURLToPath(new URL('./reaped-process.ts', import.meta.url));

async function isListening(address: string): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port: Number(address.split(':')[1]) });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

describe.skipIf(!(await canStartClusters()))('a broker', () => {
  const signals = ['SIGKILL', 'SIGTERM', 'SIGINT'] as const;
  it.concurrent.for(signals)('does not outlive a process that ends by %s', async (signal, { expect }) => {
    const child = spawn(process.execPath, [PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line = '']: string[] = await once(createInterface({ input: child.stdout }), 'line');
    const [address = '', log = ''] = line.split(' ');
    const folder = dirname(dirname(log));
    expect(await isListening(address)).toBe(true);
    expect(existsSync(folder)).toBe(true);
    child.kill(signal);
    await expect.poll(() => isListening(address), EVENTUALLY).toBe(false);
    await expect.poll(() => existsSync(folder), EVENTUALLY).toBe(false);
  });
});
