import type { Evidence } from '../../events/verdict.ts';
import { type Job, jobs, type Presence, presences, type Ran, rans } from '../../events/vocabulary.ts';
import { type Decision, decide, satisfies } from '../../machines/decide.ts';

/**
 * Enumerates all evidence that `decide` can distinguish. Each combination starts with two presences; every further fact that
 * `decide` reads is split into all its values. Facts that `decide` does not read cannot change its decision, so the resulting
 * tree covers the full product and is short enough for a review.
 */

export type Facts = {
  sourceJob: Job;
  ran: Ran;
  /** A proof that the migration is over: libvirt's error, a seen outgoing job, or quiet rounds. */
  proven: boolean;
  /** How the guest ended on the source. */
  sourceEnd: Evidence['sourceEnd'] | null;
  cold: Evidence['cold'] | null;
  /** Libvirt was never called. */
  notStarted: boolean;
  destinationFenced: boolean;
  destinationAskedLast: boolean;
  destinationJob: Job;
  sourceAskedLast: boolean;
  /** Two consecutive whole rounds found the guest on no host. */
  emptyTwice: boolean;
  /** The source still ran after the guest had landed on the destination. */
  twoCopies: boolean;
  /** The source may have only an earlier attempt's leftover. */
  leftover: boolean;
  /** Third hosts on which the guest has landed. */
  thirds: 0 | 1 | 2;
  othersAnswered: boolean;
  origin: 'running' | 'paused' | 'stopped' | 'unknown';
  leavePaused: boolean;
  storageCopied: boolean;
  sourceExcluded: boolean;
};
type FactName = keyof Facts;

const both = [true, false] as const;
const values: { readonly [F in FactName]: readonly Facts[F][] } = {
  cold: [null, 'moved', 'stayed'],
  sourceEnd: [null, 'ended', 'shut-down'],
  destinationAskedLast: both,
  leftover: both,
  twoCopies: both,
  emptyTwice: both,
  thirds: [0, 1, 2],
  othersAnswered: both,
  sourceJob: jobs,
  destinationJob: jobs,
  ran: rans,
  proven: both,
  sourceAskedLast: both,
  origin: ['running', 'paused', 'stopped', 'unknown'],
  leavePaused: both,
  storageCopied: both,
  sourceExcluded: both,
  notStarted: both,
  destinationFenced: both,
};

/** The text of a group of values in the listing. */
const labels: Readonly<Record<FactName, (group: readonly unknown[]) => string>> = {
  sourceJob: (group) => `S job ${group.join('|')}`,
  ran: (group) => `ran ${group.join('|')}`,
  proven: ([yes]) => (yes === true ? 'proven over' : 'not proven over'),
  sourceEnd: (group) => `S end ${group.map((end) => (typeof end === 'string' ? end : 'none')).join('|')}`,
  cold: (group) => `cold ${group.map((cold) => (typeof cold === 'string' ? cold : 'no')).join('|')}`,
  notStarted: ([yes]) => (yes === true ? 'never called' : 'called'),
  destinationFenced: ([yes]) => (yes === true ? 'D fenced' : 'D not fenced'),
  destinationAskedLast: ([yes]) => (yes === true ? 'D asked after S' : 'D asked too early'),
  destinationJob: (group) => `D job ${group.join('|')}`,
  sourceAskedLast: ([yes]) => (yes === true ? 'S asked after D' : 'S asked too early'),
  twoCopies: ([yes]) => (yes === true ? 'maybe two copies' : 'one copy'),
  leftover: ([yes]) => (yes === true ? 'S had only a leftover' : 'S had the guest'),
  emptyTwice: ([yes]) => (yes === true ? 'found empty twice' : 'found empty once'),
  thirds: (group) => `on ${group.join('|')} third hosts`,
  othersAnswered: ([yes]) => (yes === true ? 'all others answered' : 'others owe answers'),
  origin: (group) => `was ${group.join('|')}`,
  leavePaused: ([yes]) => (yes === true ? 'to be left paused' : 'not to be left paused'),
  storageCopied: ([yes]) => (yes === true ? 'storage copied' : 'storage shared'),
  sourceExcluded: ([yes]) => (yes === true ? 'S excluded' : 'S not excluded'),
};

class Unread extends Error {
  readonly fact: FactName;
  constructor(fact: FactName) {
    super(fact);
    this.fact = fact;
  }
}

type Testimony = Evidence['source'];

/** Evidence that throws when `decide` reads a fact without a given value. */
export function evidenceFrom(
  source: Presence,
  destination: Presence,
  facts: Partial<Facts>,
  sameHost = false,
): Evidence {
  const need = <F extends FactName>(fact: F): Facts[F] => {
    const value = facts[fact];
    if (value === undefined) throw new Unread(fact);
    return value;
  };
  const said = (host: string, presence: Presence, job: 'sourceJob' | 'destinationJob'): Testimony => ({
    host,
    presence,
    get job() {
      return need(job);
    },
    question: null,
    words: '',
  });
  const third = (host: string): Testimony => ({ host, presence: 'executing', job: 'none', question: null, words: '' });
  return {
    sameHost,
    source: said('S', source, 'sourceJob'),
    destination: said('D', destination, 'destinationJob'),
    get ran() {
      return need('ran');
    },
    get origin() {
      return need('origin');
    },
    get leavePaused() {
      return need('leavePaused');
    },
    get storageCopied() {
      return need('storageCopied');
    },
    get libvirtError() {
      return need('proven');
    },
    get sourceEnd() {
      return need('sourceEnd') ?? undefined;
    },
    get cold() {
      return need('cold') ?? undefined;
    },
    get notStarted() {
      return need('notStarted');
    },
    get destinationFenced() {
      return need('destinationFenced');
    },
    get outgoingSeen() {
      return need('proven');
    },
    get quietRounds() {
      return need('proven');
    },
    get destinationAskedLast() {
      return need('destinationAskedLast');
    },
    get sourceAskedLast() {
      return need('sourceAskedLast');
    },
    get twoCopies() {
      return need('twoCopies');
    },
    get leftover() {
      return need('leftover');
    },
    get emptyTwice() {
      return need('emptyTwice');
    },
    get sourceExcluded() {
      return need('sourceExcluded');
    },
    othersAskedLast: true,
    get others() {
      const landed = ['T', 'U'].slice(0, need('thirds')).map(third);
      return need('othersAnswered') ? landed : [...landed, { ...third('V'), presence: 'unknown' as const }];
    },
  };
}

function outcomeText({ outcome, host, certainty }: Decision): string {
  if (outcome === 'wait') return 'wait';
  if (outcome === 'contested') return `contested (${certainty})`;
  return outcome === 'completed' ? `complete on ${host}${certainty === 'proven' ? '' : ` (${certainty})`}` : 'rollback';
}

/** Returns the row, the decisions of both columns, and further effects of the row. */
function resultOf(evidence: Evidence): string {
  const now = decide(evidence, 'now');
  const late = decide(evidence, 'deadline');
  const { row } = now;
  const atOnce =
    row.alarmAtOnceIf === 'matched' || (row.alarmAtOnceIf !== undefined && satisfies(row.alarmAtOnceIf, evidence));
  const alarm = row.alarm !== undefined && atOnce && !now.askDestinationAgain ? `, alarm ${row.alarm}` : '';
  const columns = now.askDestinationAgain ? 'ask D again' : `${outcomeText(now)}${alarm} / ${outcomeText(late)}`;
  return now.askDestinationAgain ? `(${row.id}) → ${columns}` : `${row.id} → ${columns}`;
}

type Branch = { conditions: string; result: string };

/** The order in which the listing names facts, so that it does not depend on the order in which `decide` reads them. */
const factOrder = Object.keys(values) as FactName[];

/** The decisions for two presences: a result, or the fact that `decide` reads next, with the tree for each of its values. */
type Tree = string | { fact: FactName; children: readonly Tree[]; key: string };
const trees = new Map<string, Tree>();

const keyOf = (tree: Tree): string => (typeof tree === 'string' ? tree : tree.key);

/** Returns one object for equal trees, and no node for a fact that changes nothing. */
function treeOf(fact: FactName, children: readonly Tree[]): Tree {
  const [first] = children;
  if (first !== undefined && children.every((child) => child === first)) return first;
  const text = `${fact}(${children.map((child) => (typeof child === 'string' ? JSON.stringify(child) : child.key)).join()})`;
  const known = trees.get(text);
  if (known !== undefined) return known;
  const tree = { fact, children, key: `#${trees.size}` };
  trees.set(text, tree);
  return tree;
}

function decisionTree(source: Presence, destination: Presence, given: Partial<Facts> = {}): Tree {
  try {
    return resultOf(evidenceFrom(source, destination, given));
  } catch (error) {
    if (!(error instanceof Unread)) throw error;
    const { fact } = error;
    const branch = (value: unknown) => decisionTree(source, destination, { ...given, [fact]: value });
    return treeOf(fact, (values[fact] as readonly unknown[]).map(branch));
  }
}

/** Returns the tree once `fact` has its value number `nth`. */
function restricted(tree: Tree, fact: FactName, nth: number, memo: Map<string, Tree>): Tree {
  if (typeof tree === 'string') return tree;
  const known = memo.get(tree.key);
  if (known !== undefined) return known;
  const rest = (child: Tree) => restricted(child, fact, nth, memo);
  const next = tree.fact === fact ? rest(tree.children[nth] ?? '') : treeOf(tree.fact, tree.children.map(rest));
  memo.set(tree.key, next);
  return next;
}

/** Returns all decisions for two presences, split by the facts that change the decision. */
export function branchesOf(source: Presence, destination: Presence): Branch[] {
  const memo = new Map<string, Branch[]>();
  const split = (tree: Tree, depth: number): Branch[] => {
    const fact = factOrder[depth];
    if (typeof tree === 'string' || fact === undefined)
      return [{ conditions: '', result: typeof tree === 'string' ? tree : '' }];
    const key = `${keyOf(tree)} ${depth}`;
    const branches = memo.get(key) ?? splitBy(tree, fact, depth);
    memo.set(key, branches);
    return branches;
  };
  const splitBy = (tree: Tree, fact: FactName, depth: number): Branch[] => {
    const all = values[fact] as readonly unknown[];
    const groups = grouped(all, (_value, nth) => split(restricted(tree, fact, nth, new Map()), depth + 1));
    if (groups.length === 1) return groups.flatMap(([, branches]) => branches);
    return groups.flatMap(([group, branches]) =>
      branches.map(({ conditions, result }) => ({
        conditions: [labels[fact](group), conditions].filter((part) => part !== '').join(', '),
        result,
      })),
    );
  };
  return split(decisionTree(source, destination), 0);
}

/** One line for each distinct combination; presences with equal decisions share their lines. */
export function listing(): string[] {
  const sources = grouped(presences, (source) => presences.map((destination) => branchesOf(source, destination)));
  return sources.flatMap(([group, columns]) => {
    const destinations = grouped(presences, (_destination, index) => columns[index] ?? []);
    return destinations.flatMap(([landing, branches]) =>
      branches.map(({ conditions, result }) => {
        const facts = conditions === '' ? '' : ` | ${conditions}`;
        return `S ${group.join('|')} | D ${landing.join('|')}${facts} => ${result}`;
      }),
    );
  });
}

function grouped<K, V>(keys: readonly K[], valueOf: (key: K, index: number) => V): [K[], V][] {
  const groups = new Map<string, [K[], V]>();
  for (const [index, key] of keys.entries()) {
    const value = valueOf(key, index);
    const text = JSON.stringify(value);
    const group = groups.get(text);
    if (group === undefined) groups.set(text, [[key], value]);
    else group[0].push(key);
  }
  return [...groups.values()];
}

/** True if hosts can report this combination: a source is never a shell, and only a source switches or hands over. */
export const realistic = {
  source: presences.filter((presence) => presence !== 'incoming'),
  destination: presences.filter((presence) => presence !== 'switching' && presence !== 'handed-over'),
} as const;
