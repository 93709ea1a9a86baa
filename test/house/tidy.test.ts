import { basename, dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lineOf, type SourceFile, sourceFiles, withoutComments } from './source-files.ts';

const LINES_MAX = 400;
const TEST_LINES_MAX = 800;
const KEBAB_FILE = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+)*$/;
const KEBAB_FOLDER = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;

/** Calls and imports that give the pure core a clock, randomness or I/O. */
const IMPURE =
  /\bDate\.now\b|\bnew Date\(\s*\)|\bDate\(\s*\)|\bMath\.random\b|\bset(?:Timeout|Interval|Immediate)\b|\bperformance\.now\b|\bcrypto\.|\bprocess\.|['"`]node:/g;

const linesOf = (text: string) => text.replace(/\n$/, '').split('\n').length;

function impurities({ path, text }: SourceFile): string[] {
  const code = withoutComments(text);
  return Array.from(code.matchAll(IMPURE), (match) => `${path}:${lineOf(code, match.index)}: ${match[0]}`);
}

describe('source files', () => {
  it(`have at most ${LINES_MAX} lines, tests ${TEST_LINES_MAX}`, () => {
    const tooLong = sourceFiles()
      .map(({ path, folder, text }) => ({
        path,
        lines: linesOf(text),
        max: folder === 'test' ? TEST_LINES_MAX : LINES_MAX,
      }))
      .filter(({ lines, max }) => lines > max);
    expect(tooLong).toEqual([]);
  });

  it('have kebab-case names in kebab-case folders', () => {
    const named = sourceFiles().map(({ path }) => path);
    const odd = named.filter(
      (path) =>
        !KEBAB_FILE.test(basename(path)) ||
        !dirname(path)
          .split('/')
          .every((folder) => KEBAB_FOLDER.test(folder)),
    );
    expect(odd).toEqual([]);
  });
});

describe('the pure core', () => {
  it.each(['events', 'machines'] as const)('uses no clock, randomness or I/O in %s', (folder) => {
    const files = sourceFiles(folder);
    expect(files.length).toBeGreaterThan(0);
    expect(files.flatMap(impurities)).toEqual([]);
  });

  it('has a purity check that finds examples of each kind', () => {
    const text = "import 'node:crypto';\nconst t = new Date();\n// Date.now()\nnew Date(t.time);\nsetTimeout(f, 1);\n";
    expect(impurities({ path: 'x.ts', folder: 'events', text })).toEqual([
      "x.ts:1: 'node:",
      'x.ts:2: new Date()',
      'x.ts:5: setTimeout',
    ]);
  });
});
