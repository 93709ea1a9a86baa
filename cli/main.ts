import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { Fault, messageOf } from '../events/fault.ts';
import { EXIT_FINDING, EXIT_WRONG_USE, Found, type Io, processIo } from './io.ts';
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
    const fault = error instanceof Fault ? error : systemFault(error);
    io.err(
      fault === null
        ? error instanceof Error
          ? (error.stack ?? error.message)
          : messageOf(error)
        : faultText(fault, io.errStyle),
    );
    return EXIT_WRONG_USE;
  }
}

/** What the operating system refused: a file that is not there or may not be read. */
function systemFault(error: unknown): Fault | null {
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return null;
  return new Fault(String(error.code), error.message, 'Check the path and its permissions.', error);
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

// A reader that has seen enough (head, less) closes the pipe: that is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await main(processIo());
