import { describe, expect, it } from 'vitest';
import { TEST_NAME_WORDS_MAX, unclearComments, unclearTestNames } from './language.ts';
import { type SourceFile, sourceFiles } from './source-files.ts';

/** This folder is excluded because it contains unclear texts as examples. */
const texts = sourceFiles().filter(({ path }) => !path.startsWith('test/house/'));

const file = (text: string): SourceFile => ({ path: 'test/example.ts', folder: 'test', text });

describe('the language check', () => {
  it('finds no unclear comments in the source files', () => {
    expect(texts.flatMap(unclearComments)).toEqual([]);
  });

  it('finds no unclear test names', () => {
    expect(texts.flatMap(unclearTestNames)).toEqual([]);
  });

  it('reports comments with a vague word or a clause as subject', () => {
    const text = [
      '/** What leaves has a producer of its own. */',
      '// The topic is read anew.',
      '/** Resolves when the batch is durable. */',
      "const url = 'http://host//nobody';",
    ].join('\n');
    expect(unclearComments(file(text))).toEqual([
      'test/example.ts:1: What leaves has a producer of its own.',
      'test/example.ts:2: The topic is read anew.',
    ]);
  });

  it(`reports test names of more than ${TEST_NAME_WORDS_MAX} words`, () => {
    const long = Array.from({ length: TEST_NAME_WORDS_MAX + 1 }, () => 'word').join(' ');
    const text = [`it('${long}', run);`, "it('rejects a second migration', run);", "it.each(rows)('asks anew', run);"];
    expect(unclearTestNames(file(text.join('\n')))).toEqual([
      `test/example.ts:1: ${long}`,
      'test/example.ts:3: asks anew',
    ]);
  });
});
