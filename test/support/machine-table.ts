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
  /** Libvirt was never called. */
  notStarted: boolean;
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
};

/** The text of a group of values in the listing. */
const labels: Readonly<Record<FactName, (group: readonly unknown[]) => string>> = {
  sourceJob: (group) => `S job ${group.join('|')}`,
  ran: (group) => `ran ${group.join('|')}`,
  proven: ([yes]) => (yes === true ? 'proven over' : 'not proven over'),
  notStarted: ([yes]) => (yes === true ? 'never called' : 'called'),
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
    get notStarted() {
      return need('notStarted');
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

/** Returns the facts that `decide` can read for two presences, for any values of the remaining facts. */
function factsRead(
  source: Presence,
  destination: Presence,
  given: Partial<Facts> = {},
  found = new Set<FactName>(),
): Set<FactName> {
  const missing = firstUnread(source, destination, given);
  if (missing === null) return found;
  found.add(missing);
  for (const value of values[missing]) factsRead(source, destination, { ...given, [missing]: value }, found);
  return found;
}

function firstUnread(source: Presence, destination: Presence, given: Partial<Facts>): FactName | null {
  try {
    resultOf(evidenceFrom(source, destination, given));
    return null;
  } catch (error) {
    if (error instanceof Unread) return error.fact;
    throw error;
  }
}

/** Returns all decisions for two presences, split by the facts that change the decision. */
export function branchesOf(source: Presence, destination: Presence): Branch[] {
  const read = factsRead(source, destination);
  const order = factOrder.filter((fact) => read.has(fact));
  const split = (given: Partial<Facts>, [fact, ...rest]: FactName[]): Branch[] => {
    if (fact === undefined || firstUnread(source, destination, given) === null) {
      return [{ conditions: '', result: resultOf(evidenceFrom(source, destination, given)) }];
    }
    const groups = grouped(values[fact] as readonly unknown[], (value) => split({ ...given, [fact]: value }, rest));
    if (groups.length === 1) return groups.flatMap(([, branches]) => branches);
    return groups.flatMap(([group, branches]) =>
      branches.map(({ conditions, result }) => ({
        conditions: [labels[fact](group), conditions].filter((part) => part !== '').join(', '),
        result,
      })),
    );
  };
  return split({}, order);
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

/** Whether hosts can report this combination: a source is never a shell, and only a source switches or hands over. */
export const realistic = {
  source: presences.filter((presence) => presence !== 'incoming'),
  destination: presences.filter((presence) => presence !== 'switching' && presence !== 'handed-over'),
} as const;
