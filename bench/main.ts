import { fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { benchmarks } from './benchmarks.ts';
import { conditionsAtEnd, conditionsAtStart, conditionsText } from './conditions.ts';
import { type Options, type Result, resultText } from './report.ts';

/**
 * `npm run bench` runs the benchmarks one after the other and prints tables. The option --json FILE writes the figures as JSON.
 */

const USAGE = `usage: npm run bench -- [NAME...] [--full] [--json FILE] [--dir FOLDER]

${Object.entries(benchmarks)
  .map(([name, { summary }]) => `  ${name.padEnd(12)} ${summary}`)
  .join('\n')}

  --full       the sizes that the goals name, where the default is smaller
  --json FILE  conditions and figures as JSON
  --dir FOLDER where ledgers are written (default: ${tmpdir()}); a disk, or synchronous=FULL means nothing`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      full: { type: 'boolean', default: false },
      json: { type: 'string' },
      dir: { type: 'string', default: tmpdir() },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const names = positionals.length > 0 ? positionals : Object.keys(benchmarks);
  const unknown = names.filter((name) => !Object.hasOwn(benchmarks, name));
  if (values.help || unknown.length > 0) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  mkdirSync(values.dir, { recursive: true });
  const start = conditionsAtStart(values.dir);
  const results: Result[] = [];
  for (const name of names) {
    console.error(`${name}…`);
    const result = await inItsOwnFolder(values.dir, (folder) => inItsOwnProcess(name, { folder, full: values.full }));
    console.log(`${resultText(result)}\n`);
    results.push(result);
  }
  const conditions = conditionsAtEnd(start);
  console.log(conditionsText(conditions));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ conditions, results }, null, 2)}\n`);
  return 0;
}

async function inItsOwnFolder<T>(dir: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(dir, 'landfall-bench-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function inItsOwnProcess(name: string, options: Options): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = fork(join(import.meta.dirname, 'one-process.ts'), [name, JSON.stringify(options)]);
    let result: Result | undefined;
    child.on('message', (message) => {
      result = message as Result;
    });
    child.on('error', reject);
    child.on('exit', (code) =>
      result === undefined ? reject(new Error(`${name} ended with code ${code}`)) : resolve(result),
    );
  });
}

process.exitCode = await main();
