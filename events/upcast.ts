import { ENTRY_VERSION } from './entry-version.ts';
import { Fault } from './fault.ts';
import { domainOfVirsh, type VirshDomain } from './virsh.ts';

/**
 * Lifts inputs and entries of earlier versions to the current one, one version at a time, so that the rest of the code knows
 * the current version only. Inputs are lifted before validation. Entries are lifted each time they are read: the stored text
 * stays as it was hashed.
 */

/** `type` is the type that `lift` produces. */
type Upcaster = { readonly type: string; readonly lift: (data: unknown) => unknown };
/** Keyed by the type that an upcaster accepts. */
export type Upcasters = Readonly<Record<string, Upcaster>>;

/** Empty: every type of input is in its first version. */
export const inputUpcasters: Upcasters = {};

/**
 * Applies the upcasters from `type` to its newest version.
 * @throws RangeError if an upcaster does not raise the version.
 */
export function upcast(
  type: string,
  data: unknown,
  steps: Upcasters = inputUpcasters,
): { type: string; data: unknown } {
  let current = { type, data };
  for (let step = stepFor(steps, current.type); step !== undefined; step = stepFor(steps, current.type)) {
    if (versionOf(step.type) <= versionOf(current.type))
      throw new RangeError(`upcaster of ${current.type} does not raise its version`);
    current = { type: step.type, data: step.lift(current.data) };
  }
  return current;
}

function stepFor(steps: Upcasters, type: string): Upcaster | undefined {
  return Object.hasOwn(steps, type) ? steps[type] : undefined;
}

function versionOf(type: string): number {
  return Number(/\.v(\d+)$/.exec(type)?.[1] ?? 0);
}

/**
 * A parsed entry of any version. Entries are written validated, so only the members that a version changed are checked.
 */
export type AnyEntry = { readonly v: unknown; readonly [member: string]: unknown };

/** Keyed by the version that an upcaster accepts; its result has the next version. */
const entryUpcasters: ReadonlyMap<unknown, (entry: AnyEntry) => AnyEntry> = new Map([
  [1, nameTimersByKind],
  [2, mapVirshWords],
]);

/** Returns the entry in the current version. @throws Fault ENTRY_NEWER if a newer Landfall wrote it. */
export function upcastEntry(entry: AnyEntry): AnyEntry {
  let current = entry;
  while (current.v !== ENTRY_VERSION) {
    const lift = entryUpcasters.get(current.v);
    if (lift === undefined) {
      throw new Fault(
        'ENTRY_NEWER',
        `an entry has version ${JSON.stringify(entry.v)}, this Landfall reads versions up to ${ENTRY_VERSION}`,
        'Use the version of Landfall that wrote the entry, or a newer one.',
      );
    }
    current = lift(current);
  }
  return current;
}

/** Version 1 named timers by XState's ids, such as `xstate.after.poll.migration.Rechecking.watching`. */
function nameTimersByKind(entry: AnyEntry): AnyEntry {
  const timers = Object.entries(entry['timers'] ?? {}).map(([id, timer]) => [timerKindOfVersion1(id), timer] as const);
  const cause = entry['cause'] as { readonly kind: string; readonly timer?: string };
  const named = cause.timer === undefined ? cause : { ...cause, timer: timerKindOfVersion1(cause.timer) };
  return { ...entry, v: 2, timers: Object.fromEntries(timers), cause: named };
}

const timerKindsOfVersion1: ReadonlyMap<string, string> = new Map([
  ['question', 'question-limit'],
  ['poll', 'recheck'],
  ['deadline', 'deadline'],
  ['retry', 'command-retry'],
]);

function timerKindOfVersion1(id: string): string {
  const delay = /^xstate\.after\.([a-z]+)\./.exec(id)?.[1] ?? '';
  const kind = timerKindsOfVersion1.get(delay);
  if (kind !== undefined) return kind;
  throw new Fault(
    'ENTRY_TIMER_UNKNOWN',
    `an entry of version 1 has an unknown timer ${JSON.stringify(id)}`,
    'Run landfall audit: the entry may have been altered. Continue from a backup.',
  );
}

/** Version 2 kept a domain in the texts of virsh: the answers of the attempt, and the input that the entry consumed. */
function mapVirshWords(entry: AnyEntry): AnyEntry {
  const state = entry['attempt'] as StateOfVersion2 | null;
  const cause = entry['cause'] as { readonly type?: string; readonly data?: unknown };
  const isAnswer = cause.type === 'landfall.host.answered.v1' && hasDomain(cause.data);
  return {
    ...entry,
    v: 3,
    attempt: state === null ? null : { ...state, attempt: withMappedAnswers(state.attempt) },
    cause: isAnswer ? { ...cause, data: withMappedDomain(cause.data as AnswerOfVersion2) } : cause,
  };
}

type AnswerOfVersion2 = { readonly domain: VirshDomain | null };
type StateOfVersion2 = {
  readonly attempt: { readonly asked: Readonly<Record<string, { readonly answer: AnswerOfVersion2 | null }>> };
};

function withMappedAnswers(attempt: StateOfVersion2['attempt']): StateOfVersion2['attempt'] {
  const asked = Object.entries(attempt.asked).map(([host, each]) => {
    const { answer } = each;
    return [host, answer === null ? each : { ...each, answer: withMappedDomain(answer) }] as const;
  });
  return { ...attempt, asked: Object.fromEntries(asked) };
}

function withMappedDomain(answer: AnswerOfVersion2): AnswerOfVersion2 {
  if (answer.domain === null) return answer;
  const mapped = domainOfVirsh(answer.domain);
  return 'domain' in mapped
    ? { ...answer, ...mapped }
    : ({ ...answer, ...mapped, ok: false, domain: null } as AnswerOfVersion2);
}

/** An input that was refused may have data of any shape. */
function hasDomain(data: unknown): boolean {
  const domain = (data as { readonly domain?: unknown } | null)?.domain as Partial<VirshDomain> | null | undefined;
  return [domain?.name, domain?.state, domain?.reason, domain?.job].every((text) => typeof text === 'string');
}
