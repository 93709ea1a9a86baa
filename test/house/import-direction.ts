import { posix } from 'node:path';
import { LAYERS, type Layer, lineOf, type SourceFile, withoutComments } from './source-files.ts';

const CORE = ['events', 'machines'] as const;
const LEDGER = [...CORE, 'log'] as const;
const MIDDLE = [...LEDGER, 'consumers', 'producers', 'projections', 'policies'] as const;

/** events ← machines ← log ← consumers | producers | projections | policies ← agent | service ← cli */
const MAY_IMPORT: Record<Layer, readonly Layer[]> = {
  events: [],
  machines: ['events'],
  log: CORE,
  consumers: LEDGER,
  producers: LEDGER,
  projections: LEDGER,
  policies: CORE,
  agent: MIDDLE,
  service: MIDDLE,
  cli: [...MIDDLE, 'agent', 'service'],
};

/** The only packages of the pure core; elsewhere package.json says what may be imported. */
const MAY_IMPORT_PACKAGES: Partial<Record<Layer, readonly string[]>> = {
  events: ['zod'],
  machines: ['xstate'],
};

/** A package that is loaded by one module alone, which changes it first; its types anybody may name. */
const LOADED_BY: Readonly<Record<string, string>> = { kafkajs: 'log/kafka/kafkajs.ts' };

const SPECIFIER =
  /\b(?:import|export)\b[^'"`;()]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\s*\(?\s*['"`]([^'"`]+)['"`]|\bnew URL\(\s*['"`](\.[^'"`]+)['"`]/g;

export type Import = { specifier: string; line: number; isType: boolean };

/** What a file imports: statically, as a type, on demand, or as a worker by URL. */
export function importsOf(text: string): Import[] {
  const code = withoutComments(text);
  return Array.from(code.matchAll(SPECIFIER), (match) => ({
    specifier: match[1] ?? match[2] ?? match[3] ?? '',
    line: lineOf(code, match.index + match[0].length),
    isType: /^(?:import|export) type\b/.test(match[0]),
  }));
}

/** Each import of a layer's file that points the wrong way, in words. */
export function wrongImports(file: SourceFile): string[] {
  const layer = LAYERS.find((known) => known === file.folder);
  if (layer === undefined) return [];
  return importsOf(file.text)
    .map((each) => ({ line: each.line, reason: reasonAgainst(layer, file.path, each) }))
    .filter(({ reason }) => reason !== undefined)
    .map(({ line, reason }) => `${file.path}:${line}: ${reason}`);
}

function reasonAgainst(layer: Layer, path: string, { specifier, isType }: Import): string | undefined {
  const loader = LOADED_BY[specifier];
  if (loader !== undefined && !isType && path !== loader) return `${specifier} is loaded by ${loader} alone`;
  if (!specifier.startsWith('.')) return reasonAgainstPackage(layer, specifier);
  const target = posix.join(posix.dirname(path), specifier);
  const folder = target.split('/')[0] ?? '';
  if (folder === layer || target === 'package.json') return undefined;
  if (MAY_IMPORT[layer].some((allowed) => allowed === folder)) return undefined;
  return `${layer} may not import ${folder} (${specifier})`;
}

function reasonAgainstPackage(layer: Layer, specifier: string): string | undefined {
  const allowed = MAY_IMPORT_PACKAGES[layer];
  if (allowed === undefined || allowed.some((name) => specifier === name || specifier.startsWith(`${name}/`))) {
    return undefined;
  }
  return `${layer} may import no package but ${allowed.join(', ')} (${specifier})`;
}
