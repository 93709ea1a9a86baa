import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { states } from '../../events/vocabulary.ts';
import { migration } from '../../machines/migration.ts';
import { sequences, traceOf } from '../support/machine-sequences.ts';

const FILE = join(import.meta.dirname, 'migration-traces.txt');
const names = Object.keys(sequences);
/** Worked out by the first test that asks: what runs while a file is loaded belongs to no test, and mutation testing must run all for it. */
const once = <T>(make: () => T): (() => T) => {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
};
const traces = once(() => new Map(names.map((name) => [name, traceOf(name)])));
if (process.env['UPDATE_LISTING'] === '1') {
  const head =
    '# What each sequence of test/support/machine-sequences.ts does, a line for each move. UPDATE_LISTING=1 rewrites it.\n';
  writeFileSync(
    FILE,
    head + [...traces()].map(([name, lines]) => `\n${name}\n${lines.map((line) => `  ${line}\n`).join('')}`).join(''),
  );
}

/** The reviewed traces, by the name of their sequence. */
const reviewed = new Map(
  readFileSync(FILE, 'utf8')
    .split('\n\n')
    .slice(1)
    .map((block) => block.trimEnd().split('\n'))
    .map(([name = '', ...lines]) => [name, lines.map((line) => line.trim())] as const),
);

type Node = typeof migration.root;
type Transition = NonNullable<Node['always']>[number];
const nodesOf = (node: Node): Node[] => [node, ...Object.values(node.states as Record<string, Node>).flatMap(nodesOf)];
const nodes = nodesOf(migration.root);

/** Every transition of the machine, each with a name that says where it starts, on what, under which guard, and where it leads. */
const transitions = nodes.flatMap((node) => {
  const own = [...[...node.transitions.values()].flat(), ...(node.always ?? [])] as Transition[];
  return own.map((transition) => {
    const { guard, target } = transition;
    const on = transition.eventType.replace(/^xstate\.after\.([\w-]+)\..*/, 'after $1') || 'always';
    const when = guard === undefined ? '' : ` [${typeof guard === 'object' ? guard.type : String(guard)}]`;
    return {
      name: `${node.id}: ${on}${when} → ${target?.map(({ id }) => id).join(' ') ?? 'nowhere'}`,
      transition,
      node,
    };
  });
});

type Next = (...given: unknown[]) => Transition[] | undefined;

/** The transitions that a sequence takes. `next` is where a state of XState chooses among its own. */
function takenBy(name: string): Set<Transition> {
  const taken = new Set<Transition>();
  for (const node of nodes) {
    const next = Reflect.get(node, 'next') as Next;
    Reflect.set(node, 'next', (...given: unknown[]) => {
      const found = next.apply(node, given);
      for (const transition of found ?? []) taken.add(transition);
      return found;
    });
  }
  traceOf(name);
  for (const node of nodes) Reflect.deleteProperty(node, 'next');
  return taken;
}

/** What a sequence does where the machine lacks a transition. */
function traceWithout(transition: Transition, name: string): string[] {
  const { guard } = transition;
  try {
    Object.assign(transition, { guard: () => false });
    return traceOf(name);
  } finally {
    Object.assign(transition, { guard });
  }
}

const taken = once(() => new Map(names.map((name) => [name, takenBy(name)])));
const isAlways = ({ eventType }: Transition) => String(eventType) === '';
const takers = (transition: Transition) =>
  names.filter((name) => isAlways(transition) || taken().get(name)?.has(transition));

describe('the machine', () => {
  it('has exactly the five top-level states', () => {
    expect(Object.keys(migration.root.states)).toEqual([...states]);
  });

  it('leaves a superseded attempt alone', () => {
    expect(nodes.find(({ id }) => id === 'migration.RolledBack.superseded')?.transitions.size).toBe(0);
  });

  it('names every state it can lead to', () => {
    const targets = new Set(transitions.flatMap(({ transition }) => transition.target ?? []).map(({ id }) => id));
    const leaves = nodes.filter((node) => node.type === 'atomic').map(({ id }) => id);
    expect(leaves.filter((id) => !targets.has(id) && id !== 'migration.Migrating.inFlight')).toEqual([]);
  });
});

describe('a sequence does what was reviewed', () => {
  test.each(names)('%s', (name) => {
    expect(traces().get(name)).toEqual(reviewed.get(name));
  });

  it('and no other was reviewed', () => {
    expect([...reviewed.keys()]).toEqual(names);
  });
});

/**
 * Transitions that the machine has because its states share their lists, and that nothing can take. Each is named with why.
 * A rule that matches a transition which a sequence does take, or none at all, is wrong.
 */
const unreachable: readonly (readonly [RegExp, string])[] = [
  [
    /(?:settling|reexamining|provisional|contested): after question-limit \[rollsBack\]/,
    'these ask both ends together, so the destination is always asked once more',
  ],
  [
    /Completed\.(?:settling|reexamining): after question-limit \[completes\]/,
    'another host is adopted only when every known host has answered',
  ],
  [
    /RolledBack\.(?:settling|reexamining): .*\[rollsBack\]/,
    'a second rollback of the same attempt is the verdict that stands',
  ],
];

describe('every transition is needed', () => {
  const isUnreachable = (name: string) => unreachable.some(([rule]) => rule.test(name));

  it('without it, some sequence goes another way', () => {
    const unneeded = transitions
      .filter(({ name }) => !isUnreachable(name))
      .filter(
        ({ transition }) =>
          !takers(transition).some(
            (name) => traceWithout(transition, name).join('\n') !== traces().get(name)?.join('\n'),
          ),
      )
      .map(
        ({ name, transition }) =>
          `${name}${takers(transition).length === 0 ? ' (never taken)' : ' (taken, but to no effect)'}`,
      );
    expect(unneeded, `${unneeded.length} of ${transitions.length}`).toEqual([]);
  });

  test.each(unreachable)('or it cannot be taken: %s (%s)', (rule) => {
    const matched = transitions.filter(({ name }) => rule.test(name));
    expect(matched.length).toBeGreaterThan(0);
    expect(matched.filter(({ transition }) => takers(transition).length > 0).map(({ name }) => name)).toEqual([]);
  });
});
