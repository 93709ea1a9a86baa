import type { Certainty, Presence } from '../events/vocabulary.ts';
import type { Evidence } from '../events/verdict.ts';
import { type ConditionName } from './conditions.ts';
import { isConfirmed, type LeaseFinding, leaseFinding } from './leases.ts';
import { type Column, GONE, isOneOf, LANDED, type Row, table } from './table.ts';

/**
 * The only module that turns evidence into a decision. `decide` is a pure function, so the machine, an audit and a backtest get
 * the same decision from the same evidence.
 */

/** The column of the table that applies: `now` when a round closes; `deadline` when the final round closes. */
export type Phase = 'now' | 'deadline';

export type Decision = {
  readonly row: Row;
  readonly outcome: 'wait' | 'completed' | 'rolled-back' | 'contested';
  readonly certainty: Certainty;
  /** The host recorded for the VM if the decision becomes a verdict. */
  readonly host: string;
  /**
   * True if a row needs a destination without the guest, but the destination's answer is too old and a new question is
   * needed.
   */
  readonly askDestinationAgain: boolean;
  /** A lease contradicts the decision that the row alone would lead to. */
  readonly lease?: LeaseFinding;
  /** A third host that showed the guest does not answer, which delays or contests the decision of the row. */
  readonly thirdSilent?: true;
};

const isLanded = (presence: Presence) => isOneOf(LANDED, presence);

const isGone = (presence: Presence) => isOneOf(GONE, presence);
const remains = (presence: Presence) => presence !== 'unknown' && !isGone(presence);

const conditions: Readonly<Record<ConditionName, (evidence: Evidence) => boolean>> = {
  'same-host': (e) => e.sameHost,
  'either-postcopy': (e) => e.source.presence === 'postcopy' || e.destination.presence === 'postcopy',
  'either-postcopy-failed': (e) =>
    e.source.presence === 'postcopy-failed' || e.destination.presence === 'postcopy-failed',
  'landed-on-thirds': (e) => thirdHosts(e).length > (e.others.every((other) => other.presence !== 'unknown') ? 0 : 1),
  'one-third-landed': (e) => thirdHosts(e).length === 1 && e.twoCopies !== true && isNoLeftover(e),
  'handed-over-or-ran': (e) => e.source.presence === 'handed-over' || e.ran === 'yes',
  'ended-on-source': (e) => e.sourceEnd !== undefined && othersGone(e),
  'shut-down-on-source': (e) => e.sourceEnd === 'shut-down',
  'cold-moved': (e) => e.cold === 'moved',
  'cold-stayed': isColdAndStayed,
  'not-cold-stayed': (e) => !isColdAndStayed(e),
  'not-started': (e) => e.notStarted === true,
  'proven-over': (e) =>
    e.libvirtError ||
    e.outgoingSeen ||
    e.quietRounds ||
    (e.shellSeen === true && e.ran === 'yes') ||
    e.notStarted === true ||
    isColdAndStayed(e) ||
    e.destinationFenced === true,
  'others-gone': (e) => othersGone(e) && e.emptyTwice === true && !bothWrote(e),
  'others-silent': (e) => othersSilent(e) && !bothWrote(e),
  'no-copy-can-differ': (e) =>
    satisfies('ended-on-source', e) ||
    (othersGone(e) && e.emptyTwice === true && (e.ran === 'no' || !e.storageCopied) && !bothWrote(e)),
  'two-copies': (e) => e.twoCopies === true,
  'one-copy': (e) =>
    e.leftover !== true &&
    (e.cold === undefined || othersGone(e)) &&
    (e.twoCopies !== true || (othersGone(e) && isAlive(e) && !copiesDiffer(e))),
  'cold-or-two-copies': (e) => e.cold !== undefined || e.twoCopies === true,
  'others-empty': othersGone,
  'one-copy-heard': (e) => e.twoCopies !== true || (othersSilent(e) && !copiesDiffer(e)),
  'jobs-over': (e) => e.source.job === 'none' && (e.destination.job === 'none' || e.destination.job === 'outgoing'),
  single: (e) => e.twoCopies !== true,
  'jobs-over-single': (e) => satisfies('jobs-over', e) && e.twoCopies !== true,
  'both-execute': bothExecute,
  'split-brain': (e) => bothExecute(e) && e.source.job === 'none' && e.destination.job === 'none' && e.sourceAskedLast,
  recoverable: (e) => e.source.presence === 'postcopy-failed' && e.destination.presence === 'postcopy-failed',
  'third-and-end': (e) => (remains(e.source.presence) || remains(e.destination.presence)) && thirdHosts(e).length > 0,
  'third-executes': oneExecutes,
  'third-splits': (e) => oneExecutes(e) && hasNoJob(e.source) && hasNoJob(e.destination),
  'source-excluded': (e) => e.sourceExcluded && e.twoCopies !== true,
  'both-remain': (e) => remains(e.source.presence) && remains(e.destination.presence),
  'runs-as-before': (e) =>
    e.destination.presence === 'executing' ||
    (e.destination.presence === 'suspended' && (e.origin === 'paused' || e.leavePaused)),
};

function bothExecute({ source, destination }: Evidence): boolean {
  return source.presence === 'executing' && destination.presence === 'executing';
}

function oneExecutes({ source, destination, others }: Evidence): boolean {
  return [source, destination, ...others].some(({ presence }) => presence === 'executing');
}

/** Returns whether no job runs on a host; a host that does not answer may have one. */
function hasNoJob({ job }: Evidence['source']): boolean {
  return job === 'none';
}

/** Returns whether both copies of the guest ran, so that both may have written to their disks. */
function bothWrote({ twoCopies, ran, splitBrain }: Evidence): boolean {
  return twoCopies === true && (ran === 'yes' || splitBrain === true);
}

/** Returns whether each copy wrote to a disk of its own. Only an operator can then say which copy is right. */
function copiesDiffer(evidence: Evidence): boolean {
  return evidence.storageCopied && bothWrote(evidence);
}

function isColdAndStayed({ source, destination, cold, notStarted }: Evidence): boolean {
  if (source.presence !== 'off' || source.job !== 'none' || cold !== 'stayed') return false;
  return destination.presence !== 'unknown' || notStarted === true;
}

/** If one of two copies remains and runs, that copy is the guest. A paused copy may be the outdated one. */
function isAlive({ source, destination }: Evidence): boolean {
  return (isLanded(destination.presence) ? destination : source).presence === 'executing';
}

/** If the guest ran on the destination, a paused guest on a third host may be the source's leftover. */
function isNoLeftover({ ran, others }: Evidence): boolean {
  return ran !== 'yes' || others.some(({ presence }) => presence === 'executing');
}

function othersGone({ others, othersAskedLast }: Evidence): boolean {
  return othersAskedLast && others.every((other) => isGone(other.presence));
}

function othersSilent({ others }: Evidence): boolean {
  return others.every((other) => isGone(other.presence) || other.presence === 'unknown');
}

export function satisfies(condition: ConditionName, evidence: Evidence): boolean {
  return conditions[condition](evidence);
}

/** Names of the third hosts on which the guest has landed. */
export function thirdHosts(evidence: Evidence): string[] {
  return evidence.others.filter((other) => isLanded(other.presence)).map((other) => other.host);
}

export function matches(row: Row, evidence: Evidence): boolean {
  return (
    matchesEnd(row.source, row.sourceAlso, evidence.source, evidence) &&
    matchesEnd(row.destination, row.destinationAlso, evidence.destination, evidence) &&
    (row.sourceJob === undefined || row.sourceJob === evidence.source.job) &&
    (row.ran === undefined || row.ran === evidence.ran) &&
    (row.when ?? []).every((condition) => satisfies(condition, evidence))
  );
}

function matchesEnd(
  presences: Row['source'],
  also: Row['sourceAlso'],
  { presence }: Evidence['source'],
  evidence: Evidence,
): boolean {
  if (presences === undefined || presences.includes(presence)) return true;
  return also?.presences.includes(presence) === true && satisfies(also.if, evidence);
}

export function decide(evidence: Evidence, phase: Phase): Decision {
  const decision = decideByRow(evidence, phase);
  if (!isProof(decision) || evidence.sameHost) return decision;
  // The guest may run on the third host that showed it.
  if (evidence.thirdSilent !== undefined)
    return { ...decision, ...(phase === 'now' ? { outcome: 'wait' } : contest(evidence)), thirdSilent: true };
  return withLeases(decision, evidence, phase);
}

function isProof({ outcome, certainty }: Decision): boolean {
  return (outcome === 'completed' || outcome === 'rolled-back') && certainty === 'proven';
}

/** A lease that contradicts a proven decision delays it for some rounds; after these a lease elsewhere contests it. */
function withLeases(decision: Decision, evidence: Evidence, phase: Phase): Decision {
  const { host } = decision;
  const at = [evidence.source, evidence.destination, ...evidence.others].find((said) => said.host === host);
  const lease = leaseFinding(evidence, host, {
    isGone: at !== undefined && isGone(at.presence),
    isExecuting: at?.presence === 'executing',
  });
  if (lease === null) return decision;
  if (phase === 'now' && !isConfirmed(lease, evidence)) return { ...decision, outcome: 'wait', lease };
  return lease === 'missing' ? { ...decision, lease } : { ...decision, ...contest(evidence), lease };
}

/** The record of a contested decision: it keeps the source, unless an arrival was proven before. */
function contest(evidence: Evidence): Pick<Decision, 'outcome' | 'certainty' | 'host'> {
  const { provenOn, source } = evidence;
  if (provenOn !== undefined) return { outcome: 'contested', certainty: 'unknown', host: provenOn };
  return { outcome: 'contested', certainty: unproven(source), host: source.host };
}

function decideByRow(evidence: Evidence, phase: Phase): Decision {
  const askedTooEarly = isGone(evidence.destination.presence) && !evidence.destinationAskedLast;
  let askDestinationAgain = false;
  for (const row of table) {
    if (!matches(row, evidence)) continue;
    const counts = row.settlesOnGone !== true || !askedTooEarly;
    if (counts) return conclude(row, evidence, phase, askDestinationAgain);
    askDestinationAgain = true;
  }
  throw new RangeError('the last row of the verdict table must match all evidence');
}

function conclude(row: Row, evidence: Evidence, phase: Phase, askDestinationAgain: boolean): Decision {
  const column = effective(phase === 'now' ? row.now : row.deadline, phase, evidence);
  // An earlier row waits for a newer answer of the destination, so rows below it must not settle the attempt yet.
  const outcome = askDestinationAgain && phase === 'now' ? 'wait' : outcomeOf(column);
  const recorded =
    outcome === 'contested'
      ? contest(evidence)
      : { outcome, certainty: certaintyOf(column, evidence), host: hostOf(column, evidence) };
  return { row, ...recorded, askDestinationAgain };
}

/** Returns the column, or the column's `otherwise` if its condition is not satisfied. */
function effective(column: Column, phase: Phase, evidence: Evidence): Column {
  if (column.do === 'wait' || column.do === 'contested') return column;
  if (column.if === undefined || satisfies(column.if, evidence)) return column;
  const otherwise = column.do === 'complete' ? column.otherwise : undefined;
  return { do: otherwise ?? (phase === 'now' ? 'wait' : 'contested') };
}

function outcomeOf(column: Column): Decision['outcome'] {
  switch (column.do) {
    case 'complete':
      return 'completed';
    case 'rollback':
      return 'rolled-back';
    case 'wait':
    case 'contested':
      return column.do;
  }
}

function certaintyOf(column: Column, evidence: Evidence): Certainty {
  if (column.do === 'complete') return isProven(column, evidence) ? 'proven' : 'provisional';
  if (column.do === 'rollback') return 'proven';
  return unproven(evidence.source);
}

/** The certainty of the source as the recorded host while nothing is proven. */
function unproven({ presence }: Evidence['source']): Certainty {
  return isLanded(presence) ? 'provisional' : 'unknown';
}

/** Returns the host on record. A contested or rolled-back attempt keeps the source, unless an arrival was proven before. */
function hostOf(column: Column, evidence: Evidence): string {
  if (column.do !== 'complete') return evidence.source.host;
  return (column.on === 'third-host' ? thirdHosts(evidence)[0] : undefined) ?? evidence.destination.host;
}

function isProven(column: Extract<Column, { do: 'complete' }>, evidence: Evidence): boolean {
  return column.certainty === undefined || (column.provenIf !== undefined && satisfies(column.provenIf, evidence));
}
