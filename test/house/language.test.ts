import { describe, expect, it } from 'vitest';
import { TEST_NAME_WORDS_MAX, unclearComments, unclearTestNames } from './language.ts';
import { type SourceFile, sourceFiles } from './source-files.ts';

/** Paths whose comments and test names follow the rules. Add a path once its texts are rewritten. */
const PLAIN_PATHS = ['bench/', 'scripts/', 'test/integration/kafka/brokers/', 'test/simulation/'];

const file = (text: string): SourceFile => ({ path: 'test/example.ts', folder: 'test', text });

describe('plain language', () => {
  it.each(PLAIN_PATHS)('has clear comments and test names in %s', (prefix) => {
    const files = sourceFiles().filter(({ path }) => path.startsWith(prefix));
    expect(files.length).toBeGreaterThan(0);
    expect(files.flatMap(unclearComments)).toEqual([]);
    expect(files.flatMap(unclearTestNames)).toEqual([]);
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
