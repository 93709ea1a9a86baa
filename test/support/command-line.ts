import type { Io } from '../../cli/io.ts';
import { PLAIN } from '../../cli/render/style.ts';
import { run } from '../../cli/run.ts';

/** Runs the command line in this process: everything but the process itself is real. */

export type Said = { code: number; out: string; err: string };

export async function commandLine(
  args: readonly string[],
  now: () => number = () => Date.now(),
  env: Io['env'] = {},
): Promise<Said> {
  const out: string[] = [];
  const err: string[] = [];
  const io: Io = {
    out: (text) => out.push(text),
    err: (text) => err.push(text),
    style: PLAIN,
    errStyle: PLAIN,
    now,
    env,
  };
  const code = await run(io, args);
  return { code, out: out.join('\n'), err: err.join('\n') };
}

/** Returns the parsed output of a command. @throws Error if the command exits with another code. */
export async function commandJson<T>(args: readonly string[], code = 0): Promise<T> {
  const said = await commandLine([...args, '--json']);
  if (said.code !== code) throw new Error(`landfall ${args.join(' ')} exited with ${said.code}: ${said.err}`);
  return JSON.parse(said.out) as T;
}

export type AuditView = { head: { position: string; hash: string }; findings: { kind: string; message: string }[] };
export type DeadLetterView = { code: string; message: string; stream: string | null; offset: number | null };
