import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { lineOf, ROOT } from './source-files.ts';

/** Written in parts, so that this file does not hold what it forbids. */
const DENIED = [
  ['Clau', 'de'],
  ['Anthro', 'pic'],
  ['\\bG', 'PT'],
  ['\\bAI ', 'assistant'],
  ['\\bas an ', 'AI\\b'],
  ['/wo', 'rk/'],
  ['\\.\\./', 'shared'],
].map((parts) => parts.join(''));
const PATTERN = new RegExp(DENIED.join('|'), 'gi');

/** Hashes, in which any letters may meet. */
const EXEMPT = ['package-lock.json'];

/** Tracked files and those about to be. */
function projectFiles(): string[] {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return listed.split('\0').filter((path) => path !== '' && !EXEMPT.includes(path) && existsSync(join(ROOT, path)));
}

it.skipIf(!existsSync(join(ROOT, '.git')))('no file speaks of how or where it was written', () => {
  const found = projectFiles().flatMap((path) => {
    const text = readFileSync(join(ROOT, path), 'utf8');
    if (text.includes('\0')) return [];
    return Array.from(text.matchAll(PATTERN), (match) => `${path}:${lineOf(text, match.index)}: ${match[0]}`);
  });
  expect(found).toEqual([]);
});
