import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { assert, describe, expect, it, test } from 'vitest';
import { GENERATED_FOLDERS, generatedDocs } from '../../scripts/docs/files.ts';

const docs = join(import.meta.dirname, '../../docs');
const files = generatedDocs();
const HINT = 'out of date: run `npm run docs`';

describe('the generated documentation', () => {
  test.each([...files.keys()])('is equal to the output of its generator: docs/%s', (path) => {
    const file = join(docs, path);
    assert.equal(existsSync(file) ? readFileSync(file, 'utf8') : '', files.get(path), `docs/${path} is ${HINT}`);
  });

  it('includes no file that the generator does not write', () => {
    const found = GENERATED_FOLDERS.flatMap((folder) => globSync(`${folder}/**/*`, { cwd: docs })).map((path) =>
      path.split(sep).join('/'),
    );
    assert.deepEqual(
      found.filter((path) => !files.has(path)),
      [],
      HINT,
    );
  });

  it('is identical after repeated runs of the generator', () => {
    expect([...generatedDocs()]).toEqual([...files]);
  });
});
