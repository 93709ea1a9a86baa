import type { Alarm, Attempt } from '../events/attempt.ts';
import type { InputData } from '../events/inputs.ts';
import type { Evidence, Verdict } from '../events/verdict.ts';
import { type Decision, decide, satisfies, type Phase } from './decide.ts';
import { volumesTaken } from './leases.ts';
import { powerNotices } from './notices.ts';
import { powerOf } from './power.ts';
import { rowText } from './row-text.ts';
import { type AlarmCode, type Row, TABLE_VERSION } from './table.ts';

/** Builds verdicts and alarms from decisions. Invariant 7: a verdict stores its row, table version and evidence. */

/** The beginning of every contested verdict's error. */
export const CONTESTED_ERROR = 'API failed while VM may still be migrating';
/** The row id of an operator's verdict. The table has no such row, because no evidence decided it. */
export const OPERATOR_ROW = 'operator';

export type Judgement = { readonly decision: Decision; readonly evidence: Evidence; readonly phase: Phase };

export function judge(evidence: Evidence, phase: Phase): Judgement {
  return { decision: decide(evidence, phase), evidence, phase };
}

/** Returns the verdict of a judgement other than `wait`. @param token the VM's next fencing token. */
export function toVerdict(
  attempt: Attempt,
  { decision, evidence, phase }: Judgement,
  now: number,
  token: number,
): Verdict {
  const contested = decision.outcome === 'contested';
  const outcome = decision.outcome === 'completed' ? 'completed' : 'rolled-back';
  const at = [evidence.source, evidence.destination, ...evidence.others].find(({ host }) => host === decision.host);
  const power = at === undefined ? 'unknown' : powerOf(at);
  const notices = powerNotices(attempt, { outcome, contested, row: decision.row.id }, power);
  return {
    number: attempt.verdicts.length + 1,
    outcome,
    contested,
    row: decision.row.id,
    table: TABLE_VERSION,
    certainty: decision.certainty,
    host: decision.host,
    error: errorOf(attempt, { decision, evidence, phase }),
    decidedAt: now,
    final: phase === 'deadline',
    supersedes: attempt.verdicts.length === 0 ? null : attempt.verdicts.length,
    offers: [
      ...(decision.outcome === 'completed' ? [] : offersOf(decision.row, evidence)),
      ...(decision.lease === 'missing'
        ? [`suspend and resume the guest on ${decision.host}, which restores its lease`]
        : []),
    ],
    ...(notices.length === 0 ? {} : { notices }),
    token,
    evidence,
    resolution: null,
  };
}

function offersOf({ offers, offersIf }: Row, evidence: Evidence): string[] {
  return offersIf === undefined || satisfies(offersIf, evidence) ? [...(offers ?? [])] : [];
}

function errorOf(attempt: Attempt, { decision, evidence }: Judgement): string | null {
  if (decision.outcome === 'completed') return null;
  if (decision.lease === 'disagrees')
    return `${CONTESTED_ERROR}: the lock manager reports a lease on ${evidence.leases?.heldOn.join(', ') ?? ''}, which contradicts the answers (row ${decision.row.id})`;
  if (decision.outcome === 'contested' && decision.thirdSilent === true)
    return `${CONTESTED_ERROR}: ${evidence.thirdSilent ?? ''} showed the guest and does not answer (row ${decision.row.id})`;
  if (decision.outcome === 'contested')
    return `${CONTESTED_ERROR}: ${rowText(decision.row.contestedError ?? decision.row.why, evidence)}`;
  if (decision.row.id === 'same-host') return `source and destination are the same host (${attempt.source})`;
  const { callError } = attempt;
  if (callError === null)
    return `the call reported success, but the guest is on ${attempt.source} (row ${decision.row.id})`;
  return callError.message === '' ? `the call failed: ${callError.kind}` : callError.message;
}

/** Returns the verdict of an operator who settles an attempt. */
export function toResolution(
  attempt: Attempt,
  data: InputData<'landfall.migration.resolved.v1'>,
  evidence: Evidence,
  now: number,
  token: number,
): Verdict {
  // A guest that is stopped stays on record where the standing verdict has it.
  const host = data.host ?? attempt.verdicts.at(-1)?.host ?? attempt.source;
  const completed = host !== attempt.source;
  const says = data.stopped === true ? 'the guest is stopped, according to' : 'rolled back by';
  return {
    number: attempt.verdicts.length + 1,
    outcome: completed ? 'completed' : 'rolled-back',
    contested: false,
    row: OPERATOR_ROW,
    table: TABLE_VERSION,
    certainty: 'proven',
    host,
    error: completed ? null : `${says} ${data.operator}: ${data.reason}`,
    decidedAt: now,
    final: true,
    supersedes: attempt.verdicts.length === 0 ? null : attempt.verdicts.length,
    offers: [],
    token,
    evidence,
    resolution: {
      operator: data.operator,
      reason: data.reason,
      attest: data.attest,
      ...(data.stopped === true ? { stopped: true } : {}),
    },
  };
}

const alarmTexts: Readonly<Record<AlarmCode | OtherAlarm, string>> = {
  'guest-broken': 'the guest is resident but stopped by a fault',
  'landed-elsewhere': 'the guest runs on a third host',
  'both-hosts-wrote': 'the guest ran on the destination and is back on the source: both may have written to the disk',
  'split-brain': 'the guest is alive on two hosts and no job will end that',
  contradiction: 'the answers contradict each other',
  'guest-lost': 'the guest was lost in transit',
  'guest-torn': 'post-copy failed: the guest’s memory is torn between two hosts',
  'guest-stopped': 'the guest is stopped; nothing starts it again',
  'started-anew': 'a host is starting the guest outside this migration',
  'stray-process': 'a QEMU process carries the guest’s UUID though libvirt does not list it',
  'verdict-contradicted': 'later evidence contradicts the verdict',
  'moved-unreported': 'the guest moved to another host in an unreported migration',
  superseded: 'another migration of the VM was reported before this one settled',
  'lock-disagrees': 'a host without the guest holds the lease of one of its volumes, as the lock manager reports',
  'lease-missing': 'the guest runs without the lease of one of its volumes, so another process can take that lease',
  'third-host-silent': 'a third host showed the guest and does not answer, so the guest may run there',
  'lease-taken':
    'another process holds the lease of a volume of the guest; the attempt settles when that lease is free or returns',
  'lease-without-guest': 'a host does not list the guest but holds the lease of one of its volumes',
  'lock-stuck':
    'a lock could not be moved, or a command got no answer, in several tries; landfall explain shows the step',
};
export type OtherAlarm =
  | 'started-anew'
  | 'stray-process'
  | 'verdict-contradicted'
  | 'moved-unreported'
  | 'superseded'
  | 'lock-disagrees'
  | 'lease-missing'
  | 'third-host-silent'
  | 'lease-taken'
  | 'lease-without-guest'
  | 'lock-stuck';

/** Raises an alarm once per attempt. */
export function alarm(attempt: Attempt, code: AlarmCode | OtherAlarm, now: number): Attempt {
  if (attempt.alarms.some((raised) => raised.code === code)) return attempt;
  const raised: Alarm = { code, text: alarmTexts[code], at: now };
  return { ...attempt, alarms: [...attempt.alarms, raised] };
}

/** Raises an alarm if another process holds the lease of a volume of the guest that the verdict in force places. */
export function alarmTaken(attempt: Attempt, now: number): Attempt {
  const verdict = attempt.verdicts.at(-1);
  const isTaken = verdict !== undefined && !verdict.contested && volumesTaken(attempt, verdict.host).length > 0;
  return isTaken ? alarm(attempt, 'lease-taken', now) : attempt;
}

/** Raises the alarms of a judgement: some while the row still waits, the rest with the verdict. */
export function alarmed(attempt: Attempt, { decision, evidence }: Judgement, now: number): Attempt {
  const { row, outcome, lease } = decision;
  if (decision.thirdSilent === true) return outcome === 'wait' ? attempt : alarm(attempt, 'third-host-silent', now);
  // A delayed decision raises the alarms of its row once it is made.
  if (lease === 'disagrees' || (lease !== undefined && outcome === 'wait'))
    return outcome === 'wait' ? attempt : alarm(attempt, 'lock-disagrees', now);
  const atOnce =
    row.alarmAtOnceIf === 'matched' || (row.alarmAtOnceIf !== undefined && satisfies(row.alarmAtOnceIf, evidence));
  const isMeant = row.alarmIf === undefined || satisfies(row.alarmIf, evidence);
  const due = row.alarm !== undefined && isMeant && !decision.askDestinationAgain && (atOnce || outcome !== 'wait');
  let next = due && row.alarm !== undefined ? alarm(attempt, row.alarm, now) : attempt;
  // The guest stays in doubt when one of the two copies ends.
  if (due && row.alarm === 'split-brain') next = { ...next, twoCopies: true };
  const guestAt = outcome === 'completed' ? evidence.destination : evidence.source;
  const decided = outcome === 'completed' || outcome === 'rolled-back';
  if (decided && volumesTaken(attempt, decision.host).length > 0) next = alarm(next, 'lease-taken', now);
  if (decided && lease === 'missing') next = alarm(next, 'lease-missing', now);
  if (decided && guestAt.presence === 'broken') next = alarm(next, 'guest-broken', now);
  return next;
}
