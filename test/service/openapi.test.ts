import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openApiText } from '../../scripts/docs/openapi.ts';
import { ROOT } from '../support/landfall.ts';

it('docs/openapi.json matches the routes', async () => {
  // If this fails, run `npm run docs`.
  expect(readFileSync(join(ROOT, 'docs/openapi.json'), 'utf8')).toBe(await openApiText());
});
