// Writes docs/openapi.json from the service's routes. test/service/openapi.test.ts fails if the file is out of date.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openApiText } from './docs/openapi.ts';

const file = join(import.meta.dirname, '../docs/openapi.json');
writeFileSync(file, await openApiText());
console.log('docs: openapi.json written');
