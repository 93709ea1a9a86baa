import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Scratch } from './sqlite-harness.ts';

const PROGRAM = fileURLToPath(new URL('./writing-process.ts', import.meta.url));

/** Starts a writer process, and resolves when it has printed `count` lines. */
async function writingProcess(file: string, linesMin: number): Promise<{ child: ChildProcess; lines: string[] }> {
  const child = spawn(process.execPath, [PROGRAM, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  const reading = createInterface({ input: child.stdout });
  await new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error('ended early')));
    reading.on('line', (line) => {
      lines.push(line);
      if (lines.length >= linesMin) resolve();
    });
  });
  return { child, lines };
}

async function kill(child: ChildProcess): Promise<void> {
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}

describe('a writer in another process', () => {
  it('blocks a second writer, but no readers, until it is killed', async () => {
    using scratch = new Scratch();
    const { child } = await writingProcess(scratch.file, 1);
    try {
      await expect(scratch.open()).rejects.toMatchObject({
        code: 'LEDGER_BUSY',
        message: expect.stringContaining(`process ${child.pid} writes`),
      });
      const reader = await scratch.open({ mode: 'read', verifyOnOpen: true });
      await reader.close();
    } finally {
      await kill(child);
    }
    const ledger = await scratch.open();
    await ledger.close();
  });

  it.each([40, 400, 1200])('loses no acknowledged commit when it is killed after %i commits', async (commits) => {
    using scratch = new Scratch();
    const { child, lines } = await writingProcess(scratch.file, commits);
    await kill(child);
    const acknowledged = Number(lines.at(-1));
    const ledger = await scratch.open();
    const head = await ledger.verify();
    expect(head.sequence).toBeGreaterThanOrEqual(acknowledged);
    expect(head.sequence % 5).toBe(0);
    const owner = await ledger.claim(0);
    expect(owner.recall([{ source: 'agent://one', id: 'r0-0-1' }])[0]).not.toBeNull();
    expect(ledger.findDamage()).toEqual([]);
    await ledger.close();
  });
});

describe('a second writer in the same process', () => {
  it('is refused for the same file', async () => {
    using scratch = new Scratch();
    const first = await scratch.open();
    await expect(scratch.open()).rejects.toMatchObject({
      code: 'LEDGER_BUSY',
      message: expect.stringContaining('this process already'),
    });
    await first.close();
    await (await scratch.open()).close();
  });
});
