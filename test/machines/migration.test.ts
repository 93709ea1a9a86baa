import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { states } from '../../events/vocabulary.ts';
import { migration } from '../../machines/migration.ts';
import { sequences, traceOf } from '../support/machine-sequences.ts';

const FILE = join(import.meta.dirname, 'migration-traces.txt');
const names = Object.keys(sequences);
/**
 * Computed by the first test that needs it. Mutation testing would run all tests for code that runs while the file loads.
 */
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

/** The reviewed traces by the name of their sequence. */
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

/** All transitions of the machine, named by source state, event, guard and target. */
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

/** Returns the transitions that a sequence takes. XState's state nodes choose a transition in their method `next`. */
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

/** Returns the trace of a sequence in a machine without one transition. */
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

describe('the state machine', () => {
  it('has exactly five top-level states', () => {
    expect(Object.keys(migration.root.states)).toEqual([...states]);
  });

  it('has no transition out of the superseded state', () => {
    expect(nodes.find(({ id }) => id === 'migration.RolledBack.superseded')?.transitions.size).toBe(0);
  });

  it('has a transition into every state', () => {
    const targets = new Set(transitions.flatMap(({ transition }) => transition.target ?? []).map(({ id }) => id));
    const leaves = nodes.filter((node) => node.type === 'atomic').map(({ id }) => id);
    expect(leaves.filter((id) => !targets.has(id) && id !== 'migration.Migrating.inFlight')).toEqual([]);
  });
});

describe('the trace of a sequence of inputs', () => {
  test.each(names)('matches the reviewed trace of %s', (name) => {
    expect(traces().get(name)).toEqual(reviewed.get(name));
  });

  it('exists in the reviewed file only if the sequence exists', () => {
    expect([...reviewed.keys()]).toEqual(names);
  });
});

/**
 * Transitions that no sequence can take; the machine has them because its states share lists of transitions. Each rule has a
 * reason. A rule is wrong if it matches no transition, or one that a sequence takes.
 */
const unreachable: readonly (readonly [RegExp, string])[] = [
  [
    /(?:settling|reexamining|provisional|contested): after question-limit \[rollsBack\]/,
    'these states ask source and destination together, so the destination is always asked again',
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

describe('a transition of the machine', () => {
  const isUnreachable = (name: string) => unreachable.some(([rule]) => rule.test(name));

  it('changes at least one trace if it is removed', () => {
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

  test.each(unreachable)('is never taken if its name matches %s: %s', (rule) => {
    const matched = transitions.filter(({ name }) => rule.test(name));
    expect(matched.length).toBeGreaterThan(0);
    expect(matched.filter(({ transition }) => takers(transition).length > 0).map(({ name }) => name)).toEqual([]);
  });
});
