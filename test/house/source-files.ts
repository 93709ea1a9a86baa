import { globSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');

/** The folders of the product, the lowest layer first. */
export const LAYERS = [
  'events',
  'machines',
  'kafka',
  'log',
  'engine',
  'consumers',
  'producers',
  'projections',
  'policies',
  'agent',
  'service',
  'cli',
] as const;
export type Layer = (typeof LAYERS)[number];

/** Layers of the design without a folder yet. Remove a layer from this list when its folder is added. */
export const PLANNED_LAYERS: readonly Layer[] = ['agent'];

export const SUPPORT = ['bench', 'bin', 'scripts', 'test'] as const;

export type SourceFile = { path: string; folder: Layer | (typeof SUPPORT)[number]; text: string };

/** Reads every .ts, .js and .mjs file of these folders (by default of all). Paths are relative to the root, with forward slashes. */
export function sourceFiles(...folders: readonly SourceFile['folder'][]): SourceFile[] {
  const wanted = folders.length > 0 ? folders : [...LAYERS, ...SUPPORT];
  return wanted.flatMap((folder) =>
    globSync(`${folder}/**/*.{ts,js,mjs}`, { cwd: ROOT })
      .map((found) => found.split(sep).join('/'))
      .toSorted()
      .map((path) => ({ path, folder, text: readFileSync(join(ROOT, path), 'utf8') })),
  );
}

const COMMENT_OR_STRING = /\/\*[\s\S]*?\*\/|\/\/.*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;

/** Returns the code with its comments blanked and its lines kept; strings stay. */
export function withoutComments(text: string): string {
  return text.replace(COMMENT_OR_STRING, (token) => (token.startsWith('/') ? token.replace(/[^\n]/g, ' ') : token));
}

export function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}
