import { describe, expect, it } from 'vitest';
import { importsOf, wrongImports } from './import-direction.ts';
import { LAYERS, PLANNED_LAYERS, type SourceFile, sourceFiles, SUPPORT } from './source-files.ts';

describe('the order of imports', () => {
  it.each(LAYERS.filter((layer) => !PLANNED_LAYERS.includes(layer)))('is respected in the layer %s', (layer) => {
    const files = sourceFiles(layer);
    expect(files.length).toBeGreaterThan(0);
    expect(files.flatMap(wrongImports)).toEqual([]);
  });

  it.each(SUPPORT)('is respected in the folder %s', (folder) => {
    // The tests of the house rules contain wrong imports as examples.
    const files = sourceFiles(folder).filter(({ path }) => !path.startsWith('test/house/'));
    expect(files.length).toBeGreaterThan(0);
    expect(files.flatMap(wrongImports)).toEqual([]);
  });

  it('contains a planned layer only while the folder is missing', () => {
    expect(PLANNED_LAYERS.filter((layer) => sourceFiles(layer).length > 0)).toEqual([]);
  });
});

describe('the import rule', () => {
  const file = (folder: SourceFile['folder'], text: string): SourceFile => ({
    path: `${folder}/sub/example.ts`,
    folder,
    text,
  });

  it('finds every form of import and ignores comments', () => {
    const text = [
      "import { a } from '../a.ts';",
      "import type { B } from './b.ts';",
      "export * from './c.ts';",
      "import {\n  d,\n} from './d.ts';",
      "import './e.ts';",
      "const f = await import('./f.ts');",
      "new Worker(new URL('./g-worker.ts', import.meta.url));",
      "// import { x } from './x.ts';",
      "/* import './y.ts' */",
    ].join('\n');
    const found = importsOf(text).map(({ specifier }) => specifier);
    expect(found).toEqual(['../a.ts', './b.ts', './c.ts', './d.ts', './e.ts', './f.ts', './g-worker.ts']);
  });

  it.each([
    ['events', '../../machines/x.ts'],
    ['events', 'xstate'],
    ['machines', 'node:crypto'],
    ['log', '../../consumers/x.ts'],
    ['consumers', '../../projections/x.ts'],
    ['producers', '../../consumers/x.ts'],
    ['policies', '../../log/x.ts'],
    ['service', '../../cli/x.ts'],
    ['agent', '../../service/x.ts'],
    ['cli', '../../test/x.ts'],
  ] as const)('forbids in the folder %s an import of %s', (folder, specifier) => {
    expect(wrongImports(file(folder, `import { x } from '${specifier}';`))).toHaveLength(1);
  });

  it.each([
    ['events', 'zod'],
    ['machines', '../../events/x.ts'],
    ['machines', './consumers/x.ts'],
    ['log', 'node:sqlite'],
    ['projections', '../../log/x.ts'],
    ['service', '../../projections/x.ts'],
    ['cli', '../../service/x.ts'],
    ['test', '../../cli/x.ts'],
  ] as const)('allows in the folder %s an import of %s', (folder, specifier) => {
    expect(wrongImports(file(folder, `import { x } from '${specifier}';`))).toEqual([]);
  });

  it('allows kafkajs and its types only in the folder kafka', () => {
    const found = (folder: SourceFile['folder'], text: string) => wrongImports(file(folder, text));
    expect(found('log', "import { Kafka } from 'kafkajs';")).toHaveLength(1);
    expect(found('log', "import type { Kafka } from 'kafkajs';")).toHaveLength(1);
    expect(found('test', "import type { Kafka } from 'kafkajs';")).toHaveLength(1);
    expect(found('bench', "import { Kafka } from 'kafkajs';")).toHaveLength(1);
    expect(found('kafka', "import { Kafka } from 'kafkajs';")).toHaveLength(1);
    expect(found('kafka', "import type { Kafka } from 'kafkajs';")).toEqual([]);
    const loader = { ...file('kafka', "export * from 'kafkajs';"), path: 'kafka/kafkajs.ts' };
    expect(wrongImports(loader)).toEqual([]);
  });

  it('forbids modules that export kafkajs types outside of the folder kafka', () => {
    expect(wrongImports(file('log', "import { Kafka } from '../../kafka/kafkajs.ts';"))).toHaveLength(1);
    expect(wrongImports(file('service', "import { x } from '../../kafka/kafkajs-connection.ts';"))).toHaveLength(1);
    expect(wrongImports(file('log', "import type { KafkaClient } from '../../kafka/port.ts';"))).toEqual([]);
  });
});
