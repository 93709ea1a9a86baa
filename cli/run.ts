import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { toFault } from './faults.ts';
import { EXIT_FINDING, EXIT_WRONG_USE, FindingExit, type Io } from './io.ts';
import { buildProgram } from './program.ts';
import { faultText } from './render/errors.ts';

/** Runs a command line. Returns the exit code: 0 done, 1 a finding, 2 wrong use or bad input. */
export async function run(io: Io, args: readonly string[]): Promise<number> {
  try {
    await buildProgram(io, version()).parseAsync([...args], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_WRONG_USE;
    if (error instanceof FindingExit) {
      io.err(error.message);
      return error.cause === EXIT_WRONG_USE ? EXIT_WRONG_USE : EXIT_FINDING;
    }
    io.err(faultText(toFault(error), io.errStyle));
    if (io.env['LANDFALL_DEBUG'] !== undefined && error instanceof Error) io.err(error.stack ?? '');
    return EXIT_WRONG_USE;
  }
}

/**
 * Returns the version from package.json, which is one level up in a checkout and two levels up in the built package.
 */
function version(): string {
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const parsed: unknown = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8'));
      if (typeof parsed === 'object' && parsed !== null && 'version' in parsed) return String(parsed.version);
    } catch {
      // The loop tries the next path.
    }
  }
  return 'unknown';
}
