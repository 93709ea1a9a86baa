import { posix } from 'node:path';
import { LAYERS, type Layer, lineOf, type SourceFile, withoutComments } from './source-files.ts';

const CORE = ['events', 'machines'] as const;
const LEDGER = [...CORE, 'kafka', 'log'] as const;
const MIDDLE = [...LEDGER, 'engine', 'consumers', 'producers', 'projections', 'policies'] as const;

/** events ← machines | kafka ← log ← engine | projections ← consumers | producers ← agent | service ← cli */
const MAY_IMPORT: Record<Layer, readonly Layer[]> = {
  events: [],
  machines: ['events'],
  kafka: ['events'],
  log: [...CORE, 'kafka'],
  engine: LEDGER,
  consumers: [...LEDGER, 'engine'],
  producers: [...LEDGER, 'engine'],
  projections: LEDGER,
  policies: CORE,
  agent: MIDDLE,
  service: MIDDLE,
  cli: [...MIDDLE, 'agent', 'service'],
};

/** The packages that the pure core may import. Other layers may import every dependency of package.json. */
const MAY_IMPORT_PACKAGES: Partial<Record<Layer, readonly string[]>> = {
  events: ['zod'],
  machines: ['xstate'],
};

/**
 * Packages that only the files in `loaders` may import. kafka/ is the only folder that uses kafkajs: its module kafkajs.ts
 * patches kafkajs and then loads it. The benchmark's floor process measures kafkajs without patches.
 */
const RESTRICTED: Readonly<Record<string, { readonly loaders: readonly string[]; readonly typesIn: Layer }>> = {
  kafkajs: { loaders: ['kafka/kafkajs.ts', 'bench/kafka/floor-process.ts'], typesIn: 'kafka' },
};

/** The modules of kafka/ that show kafkajs itself: only kafka/, tests and benchmarks may import them. */
const KAFKAJS_MODULES = /^kafka\/kafkajs[\w-]*\.ts$/;

const SPECIFIER =
  /\b(?:import|export)\b[^'"`;()]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\s*\(?\s*['"`]([^'"`]+)['"`]|\bnew URL\(\s*['"`](\.[^'"`]+)['"`]/g;

export type Import = { specifier: string; line: number; isType: boolean };

/** Lists the imports of a file: static, type-only and dynamic imports, and workers by URL. */
export function importsOf(text: string): Import[] {
  const code = withoutComments(text);
  return Array.from(code.matchAll(SPECIFIER), (match) => ({
    specifier: match[1] ?? match[2] ?? match[3] ?? '',
    line: lineOf(code, match.index + match[0].length),
    isType: /^(?:import|export) type\b/.test(match[0]),
  }));
}

/** Describes each forbidden import of a file. A file outside the layers may import every layer. */
export function wrongImports(file: SourceFile): string[] {
  const layer = LAYERS.find((known) => known === file.folder);
  const errorOf = ({ specifier }: Import) =>
    layer === undefined ? undefined : directionError(layer, file.path, specifier);
  return importsOf(file.text)
    .map((each) => ({ line: each.line, reason: restrictionError(file.path, each) ?? errorOf(each) }))
    .filter(({ reason }) => reason !== undefined)
    .map(({ line, reason }) => `${file.path}:${line}: ${reason}`);
}

function restrictionError(path: string, { specifier, isType }: Import): string | undefined {
  const rule = RESTRICTED[specifier];
  if (rule === undefined || rule.loaders.includes(path)) return undefined;
  if (isType && path.startsWith(`${rule.typesIn}/`)) return undefined;
  return `${specifier} is loaded by ${rule.loaders[0]}, and its types are used in ${rule.typesIn}/ only`;
}

function directionError(layer: Layer, path: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return packageError(layer, specifier);
  const target = posix.join(posix.dirname(path), specifier);
  const folder = target.split('/')[0] ?? '';
  if (folder === layer || target === 'package.json') return undefined;
  if (KAFKAJS_MODULES.test(target)) return `${layer} may use kafka/port.ts, but not ${target}`;
  if (MAY_IMPORT[layer].some((allowed) => allowed === folder)) return undefined;
  return `${layer} may not import ${folder} (${specifier})`;
}

function packageError(layer: Layer, specifier: string): string | undefined {
  const allowed = MAY_IMPORT_PACKAGES[layer];
  if (allowed === undefined || allowed.some((name) => specifier === name || specifier.startsWith(`${name}/`))) {
    return undefined;
  }
  return `${layer} may import no package but ${allowed.join(', ')} (${specifier})`;
}
