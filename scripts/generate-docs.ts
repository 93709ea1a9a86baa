// Writes the generated pages and schemas under docs/. test/events/docs-drift.test.ts fails if they are out of date.
import { globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { GENERATED_FOLDERS, generatedDocs } from './docs/files.ts';

const docs = join(import.meta.dirname, '../docs');
const files = generatedDocs();
for (const folder of GENERATED_FOLDERS) {
  for (const found of globSync(`${folder}/*.json`, { cwd: docs })) if (!files.has(found)) rmSync(join(docs, found));
}
for (const [path, text] of files) {
  const file = join(docs, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
console.log(`docs: ${files.size} files written`);
