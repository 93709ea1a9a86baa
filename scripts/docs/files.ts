import { asyncApiText } from './asyncapi.ts';
import { schemaFiles } from './schemas.ts';
import { verdictsPage } from './verdicts-page.ts';
import { vocabularyPage } from './vocabulary-page.ts';

/** Returns the text of every generated file, by its path under docs/. */
export function generatedDocs(): Map<string, string> {
  const schemas = [...schemaFiles()].map(([name, text]) => [`schemas/${name}`, text] as const);
  return new Map([
    ['verdicts.md', verdictsPage()],
    ['vocabulary.md', vocabularyPage()],
    ['asyncapi.json', asyncApiText()],
    ...schemas,
  ]);
}

/** Folders under docs/ that contain generated files only. `npm run docs` deletes a file there that is no longer generated. */
export const GENERATED_FOLDERS = ['schemas'] as const;
