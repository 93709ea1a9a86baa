import { writeSync } from 'node:fs';
import { processIo } from './io.ts';
import { run } from './run.ts';

/** Runs the command line as a process. */

// A reader such as head closes the pipe early. The command still finishes its work, so EPIPE is ignored.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

// Each commit is complete, so an interrupted command needs no clean-up.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => {
    writeSync(2, 'interrupted: committed entries are kept; run the same command again to continue\n');
    process.exit(code);
  });
}

process.exitCode = await run(processIo(), process.argv.slice(2));
