// Runs all static checks in parallel and prints failures; --report FILE writes the results as JSON.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';

const CHECKS = ['types', 'lint', 'format:check', 'dead'];

type Result = { name: string; passed: boolean; output: string };

function run(name: string): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn('npm', ['run', '--silent', name], { stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', reject);
    child.on('close', (code) => resolve({ name, passed: code === 0, output: Buffer.concat(chunks).toString() }));
  });
}

/** Runs checks from the shared queue until the queue is empty. */
async function work(queue: string[], results: Result[]): Promise<void> {
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    const result = await run(name);
    console.log(`${result.passed ? 'ok    ' : 'FAILED'} ${name}`);
    if (!result.passed) console.log(result.output);
    results.push(result);
  }
}

const { values } = parseArgs({ options: { report: { type: 'string' } } });
const queue = [...CHECKS];
const results: Result[] = [];
await Promise.all(Array.from({ length: Math.min(availableParallelism(), CHECKS.length) }, () => work(queue, results)));
if (values.report !== undefined) {
  writeFileSync(values.report, JSON.stringify(results.map(({ name, passed }) => ({ name, passed }))));
}
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;
