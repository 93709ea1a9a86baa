import { readFileSync, writeSync } from 'node:fs';
import { CommanderError } from 'commander';
import { EXIT_FINDING, EXIT_WRONG_USE, Found, type Io, processIo } from './io.ts';
import { faultOf } from './faults.ts';
import { buildProgram } from './program.ts';
import { faultText } from './render/errors.ts';

/** Runs the command line. Exit codes: 0 done, 1 a finding, 2 wrong use or bad input. */
async function main(io: Io): Promise<number> {
  try {
    await buildProgram(io, version()).parseAsync();
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_WRONG_USE;
    if (error instanceof Found) {
      io.err(error.message);
      return error.cause === EXIT_WRONG_USE ? EXIT_WRONG_USE : EXIT_FINDING;
    }
    io.err(faultText(faultOf(error), io.errStyle));
    if (io.env['LANDFALL_DEBUG'] !== undefined && error instanceof Error) io.err(error.stack ?? '');
    return EXIT_WRONG_USE;
  }
}

/** From source in a checkout, or one folder deeper in the built package. */
function version(): string {
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const parsed: unknown = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8'));
      if (typeof parsed === 'object' && parsed !== null && 'version' in parsed) return String(parsed.version);
    } catch {
      // The other place has it.
    }
  }
  return 'unknown';
}

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

process.exitCode = await main(processIo());
