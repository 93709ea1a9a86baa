import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { createFolderOf } from '../../log/sqlite/folder.ts';
import { Scratch } from './sqlite-harness.ts';

it('creates the missing folders of a ledger file', () => {
  using scratch = new Scratch();
  const file = join(scratch.folder, 'a/b/ledger.db');
  createFolderOf(file);
  createFolderOf(file);
  expect(existsSync(dirname(file))).toBe(true);
});
