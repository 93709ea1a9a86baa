import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const JAVA_MIN = 17;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

const execute = promisify(execFile);

export type Java = { readonly program: string; readonly version: string };

/** Finds Java in JAVA_HOME or in PATH. Returns undefined if the version is too old for Kafka. */
export async function findJava(): Promise<Java | undefined> {
  const home = process.env['JAVA_HOME'];
  const programs = home === undefined || home === '' ? ['java'] : [join(home, 'bin/java'), 'java'];
  for (const program of programs) {
    const version = await versionOf(program);
    if (version !== undefined && Number.parseInt(version, 10) >= JAVA_MIN) return { program, version };
  }
  return undefined;
}

async function versionOf(program: string): Promise<string | undefined> {
  try {
    const { stderr } = await execute(program, ['-version']);
    return /version "([^"]+)"/.exec(stderr)?.[1];
  } catch {
    return undefined;
  }
}

export async function hasMaven(): Promise<boolean> {
  return execute('mvn', ['-version']).then(
    () => true,
    () => false,
  );
}

/** Returns the output of the program. @throws Error with the output if the program fails. */
export async function run(program: string, options: readonly string[], folder?: string): Promise<string> {
  try {
    const { stdout } = await execute(program, options, { cwd: folder, maxBuffer: OUTPUT_BYTES_MAX });
    return stdout;
  } catch (error) {
    const { stdout, stderr } = Object.assign({ stdout: '', stderr: '' }, error);
    throw new Error(`${program} ${options.join(' ')}\n${String(error)}\n${stdout}${stderr}`, { cause: error });
  }
}
