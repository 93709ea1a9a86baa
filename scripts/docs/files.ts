import { schemaFiles } from './schemas.ts';
import { verdictsPage } from './verdicts-page.ts';

/** Every generated file under docs/, by its path there. */
export function generatedDocs(): Map<string, string> {
  const schemas = [...schemaFiles()].map(([name, text]) => [`schemas/${name}`, text] as const);
  return new Map([['verdicts.md', verdictsPage()], ...schemas]);
}

/** Folders under docs/ that hold generated files only: one that is no longer generated is removed. */
export const GENERATED_FOLDERS = ['schemas'] as const;
