import type { Evidence } from '../../events/verdict.ts';
import { type Job, jobs, type Presence, presences, type Ran, rans } from '../../events/vocabulary.ts';
import { type Decision, decide, satisfies } from '../../machines/decide.ts';

/**
 * The full product of what a verdict can stand on, enumerated by what `decide` reads. Each combination starts with only the
 * two presences given; what `decide` asks for beyond that is split into all its values. What it never asks for cannot move its
 * answer, so the tree that comes of it is the full product, and short enough to be reviewed.
 */

export type Facts = {
  sourceJob: Job;
  ran: Ran;
  /** libvirt's error, or an outgoing job that was seen, or quiet rounds: any of them. */
  proven: boolean;
  destinationAskedLast: boolean;
  destinationJob: Job;
  sourceAskedLast: boolean;
  /** Two whole rounds, one after the other, found it on no host. */
  emptyTwice: boolean;
  /** The source ran on after the destination had landed. */
  twoCopies: boolean;
  /** On the source there may be only what an earlier attempt left. */
  leftover: boolean;
  /** Third hosts that have the guest landed. */
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
};

/** How a group of values reads in the listing. */
const labels: Readonly<Record<FactName, (group: readonly unknown[]) => string>> = {
  sourceJob: (group) => `S job ${group.join('|')}`,
  ran: (group) => `ran ${group.join('|')}`,
  proven: ([yes]) => (yes === true ? 'proven over' : 'not proven over'),
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

/** Evidence that throws at the first fact it was not given. */
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

/** Row, both columns, and what else the row does at once. */
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

/** The facts that can be read for two presences, whatever the others are. */
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

/** All that can come of two presences, as far as the remaining facts make a difference. */
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

/** One line for each combination that differs: presences with equal consequences share their lines. */
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

/** What a host can really say in its role: a source is never a shell, and only a source switches or hands over. */
export const realistic = {
  source: presences.filter((presence) => presence !== 'incoming'),
  destination: presences.filter((presence) => presence !== 'switching' && presence !== 'handed-over'),
} as const;
