import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { vi } from 'vitest';
import { ROOT } from '../../support/landfall.ts';

/** A defect to plant: in this file of the product, the text `right` becomes `wrong`. */
export type Defect = { readonly file: string; readonly right: string; readonly wrong: string };

/** Replaces a module of the product by a copy with the defect, for modules that are imported afterwards. Returns the way back. */
export function plant({ file, right, wrong }: Defect): () => void {
  const path = join(ROOT, file);
  const text = readFileSync(path, 'utf8');
  if (text.split(right).length !== 2) throw new Error(`${file} must contain this text once: ${right}`);
  const absolute = (_: string, specifier: string) => `from '${resolve(dirname(path), specifier)}'`;
  const defective = text.replace(right, () => wrong).replaceAll(/from '(\.[^']*)'/g, absolute);
  const copy = join(mkdtempSync(join(tmpdir(), 'landfall-defect-')), basename(file));
  writeFileSync(copy, defective);
  // The path, unlike a URL, lets Vitest load the copy, so that the copy shares its imports with the rest of the product.
  vi.doMock(path, () => import(/* @vite-ignore */ copy) as Promise<object>);
  return () => vi.doUnmock(path);
}
