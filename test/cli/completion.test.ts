import { afterEach, describe, expect, it, vi } from 'vitest';
import { commandLine } from '../support/command-line.ts';

/** Runs a command and returns its console.log output; the completion library prints in this way. */
async function printed(...args: string[]): Promise<string> {
  const lines: unknown[] = [];
  vi.spyOn(console, 'log').mockImplementation((line: unknown) => lines.push(line));
  expect(await commandLine(args)).toMatchObject({ code: 0 });
  return lines.join('\n');
}

const offered = async (...words: string[]) =>
  (await printed('complete', '--', ...words)).split('\n').flatMap((line) => line.split('\t')[0] ?? []);

afterEach(() => {
  vi.restoreAllMocks();
});

describe('landfall completion', () => {
  it.each(['bash', 'zsh', 'fish'])('prints a script for the shell %s that calls landfall', async (shell) => {
    expect(await printed('completion', shell)).toContain('landfall complete --');
  });

  it.each([
    ['commands', [''], 'status'],
    ['a command that begins with the typed letters', ['mig'], 'migrations'],
    ['subcommands', ['config', ''], 'set'],
    ['flags', ['status', '--'], '--json'],
    ['the choices of a flag', ['kafka', 'accept-loss', '--made-anew', ''], 'begin'],
  ])('suggests %s', async (_, words, expected) => {
    expect(await offered(...words)).toContain(expected);
  });
});
