import { writeSync } from 'node:fs';
import { processIo } from './io.ts';
import { run } from './run.ts';

/** The command line as a process of its own. */

// A reader that has seen enough (head, less) closes the pipe. What is under way is finished all the same: an ingest is not
// given up because nobody looks any more.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

// Every commit is whole, so there is nothing to tidy up; what is worth saying is that nothing is lost.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => {
    writeSync(2, 'interrupted: what was committed is kept; the same command again goes on from there\n');
    process.exit(code);
  });
}

process.exitCode = await run(processIo(), process.argv.slice(2));
