import type { Attempt } from '../../events/attempt.ts';
import type { Entry } from '../../events/entries.ts';
import type { Evidence } from '../../events/verdict.ts';
import { evidenceOf, QUIET_ROUNDS_APART_MS } from '../../machines/evidence.ts';
import type { WithEntry } from './question-outcomes.ts';
import { clean, listed } from './text.ts';
import { duration, offset } from './time.ts';
import { ranTexts, readingText } from './vocabulary.ts';

/**
 * Formats the evidence that outlasts single answers: the outgoing job, the hand-over, the destination's CPUs, and third
 * hosts.
 */

export type Fact = readonly [label: string, text: string];

export function factsOf(attempt: Attempt, entries: readonly WithEntry[]): Fact[] {
  const evidence = evidenceOf(attempt);
  const { source, destination } = attempt;
  const since = (test: (attempt: Attempt) => boolean) => firstSeen(entries, attempt, test);
  return [
    [
      'outgoing job',
      attempt.outgoingSeen ? `seen on ${source}${since((then) => then.outgoingSeen)}` : `never seen on ${source}`,
    ],
    [
      'hand-over',
      attempt.handedOver
        ? `${source} reported that the guest left${since((then) => then.handedOver)}`
        : `${source} never reported that the guest left`,
    ],
    [`ran on ${destination}`, `${ranTexts[evidence.ran]}: ${whyRan(attempt, entries, evidence.ran)}`],
    ...quiet(attempt),
    ...excluded(attempt),
    ...leases(evidence),
    ['settings', settingsText(attempt)],
    ...evidence.others
      .filter(({ question, presence }) => question !== null || presence !== 'unknown')
      .map((other): Fact => [other.host, `${readingText(other.presence, other.job)} (${other.words})`]),
  ].map(([label = '', text = '']) => [clean(label), clean(text)] as const);
}

/** The settings in force for the attempt. They are fixed when its call returns. */
function settingsText({ configuration, returnedAt }: Attempt): string {
  const { recheckIntervalSeconds, recheckTimeoutSeconds, questionLimitSeconds, commandRetrySeconds } = configuration;
  const times = `recheck every ${recheckIntervalSeconds} s, last round after ${recheckTimeoutSeconds} s, questions wait ${questionLimitSeconds} s, commands are repeated after ${commandRetrySeconds} s`;
  return `${times} (${returnedAt === null ? 'may change until the call returns' : 'fixed when the call returned'})`;
}

/** Returns `, first at +0.19 s (event Stopped Migrated)`, relative to the return of the call. */
function firstSeen(entries: readonly WithEntry[], attempt: Attempt, test: (attempt: Attempt) => boolean): string {
  const found = entries.find(({ entry }) => entry.attempt !== null && test(entry.attempt.attempt));
  if (found === undefined) return '';
  const { time, cause } = found.entry;
  return `, first at ${offset(time - (attempt.returnedAt ?? attempt.startedAt))}${sign(cause)}`;
}

function sign(cause: Entry['cause']): string {
  if (cause.kind !== 'input' || typeof cause.data !== 'object' || cause.data === null) return '';
  if (cause.type === 'landfall.host.answered.v1') return ' (host answer)';
  const { data } = cause;
  return 'event' in data && 'detail' in data ? ` (event ${String(data.event)} ${String(data.detail)})` : '';
}

function whyRan(attempt: Attempt, entries: readonly WithEntry[], ran: 'yes' | 'no' | 'maybe'): string {
  const { shell, destination } = attempt;
  if (ran === 'yes') return `its CPUs were seen${firstSeen(entries, attempt, (then) => then.shell.ran)}`;
  if (ran === 'no') {
    return `its event stream never broke and had no Resumed event, and ${shell.stopped ? 'the shell stopped' : 'the shell is still there'}`;
  }
  if (shell.resumed) return 'a Resumed event arrived without the Started event of this attempt';
  return shell.unbroken
    ? `no answer of ${destination} proves that the guest ran or never ran there`
    : 'its event stream was interrupted, so a missing event proves nothing';
}

/** Returns the quiet rounds while the attempt is undecided, or if they were the proof. */
function quiet({ quietSince, quietRounds, returnedAt, verdicts }: Attempt): Fact[] {
  if (quietSince === null || (verdicts.length > 0 && !quietRounds)) return [];
  const from = `no movement${returnedAt === null ? '' : ` since ${offset(quietSince - returnedAt)}`}`;
  const apart = duration(QUIET_ROUNDS_APART_MS);
  return [
    [
      'quiet rounds',
      `${from}; ${quietRounds ? `two rounds ${apart} apart confirm it` : `two rounds ${apart} apart would be proof`}`,
    ],
  ];
}

function excluded({ fenced, expiredLeases, source }: Attempt): Fact[] {
  const reasons = [
    ...(fenced ? [`${source} is fenced`] : []),
    ...(expiredLeases.length > 0 ? [`leases expired on ${listed(expiredLeases)}`] : []),
  ];
  return reasons.length === 0 ? [] : [['source excluded', listed(reasons)]];
}

function leases({ leases: reported }: Evidence): Fact[] {
  if (reported === undefined) return [];
  const { heldOn, free } = reported;
  const held = heldOn.length === 0 ? 'no known host holds one' : `held on ${listed(heldOn)}`;
  return [['leases', `${held}${free.length === 0 ? '' : `; without a holder: ${listed(free)}`}`]];
}
