import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { GENERATED_FOLDERS, generatedDocs } from '../../scripts/docs/files.ts';

const docs = join(import.meta.dirname, '../../docs');
const files = generatedDocs();
const HINT = 'out of date: run `npm run docs`';

describe('the generated docs', () => {
  test.each([...files.keys()])('docs/%s is what would be generated', (path) => {
    const file = join(docs, path);
    expect(existsSync(file) ? readFileSync(file, 'utf8') : '', `docs/${path} is ${HINT}`).toBe(files.get(path));
  });

  it('have no file that is no longer generated', () => {
    const found = GENERATED_FOLDERS.flatMap((folder) => globSync(`${folder}/**/*`, { cwd: docs })).map((path) => path.split(sep).join('/'));
    expect(found.filter((path) => !files.has(path)), HINT).toEqual([]);
  });

  it('come out the same each time', () => {
    expect([...generatedDocs()]).toEqual([...files]);
  });
});
