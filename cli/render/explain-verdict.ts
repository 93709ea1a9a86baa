import type { Attempt } from '../../events/attempt.ts';
import type { Evidence, Testimony, Verdict } from '../../events/verdict.ts';
import { rowText } from '../../machines/row-text.ts';
import { type ConditionName, conditionTexts } from '../../machines/conditions.ts';
import { verdictPhrase } from '../../machines/status-words.ts';
import { type Column, type Row, TABLE_VERSION } from '../../machines/table.ts';
import { clean, listed, message } from './text.ts';
import { duration } from './time.ts';
import { jobTexts, presenceTexts, ranTexts } from './vocabulary.ts';

/** Formats a verdict: its table row, the matching evidence, and the time of the decision. */

export function outcomeText(verdict: Verdict): string {
  const phrase = clean(verdictPhrase(verdict));
  if (verdict.contested) return `${phrase} (${verdict.certainty})`;
  return verdict.certainty === 'provisional' ? phrase : `${phrase}, ${verdict.certainty}`;
}

/** Returns the time after the failed call, or after the call's success. */
export function afterCall({ returnedAt, callError, startedAt }: Attempt, at: number): string {
  if (returnedAt === null) return `${duration(at - startedAt)} after the start`;
  return `${duration(at - returnedAt)} after the call ${callError === null ? 'returned' : 'failed'}`;
}

export function verdictLines(attempt: Attempt, verdict: Verdict, row: Row | undefined): string[] {
  const error = verdict.error === null ? [] : [`Error given to the caller: ${message(verdict.error)}`];
  if (verdict.resolution !== null) return [...resolutionLines(attempt, verdict), ...error];
  const when = verdict.final ? lateText(attempt) : 'the answers matched before the deadline';
  const head = `Row ${verdict.row} of table version ${verdict.table} decided ${afterCall(attempt, verdict.decidedAt)}: ${when}.`;
  if (row === undefined) return [head, `The present table (version ${TABLE_VERSION}) has no such row.`, ...error];
  const version = verdict.table === TABLE_VERSION ? '' : ` (text of the present version ${TABLE_VERSION})`;
  return [
    head,
    `Why${version}: ${clean(rowText(row.why, verdict.evidence))}`,
    ...reasonsOf(row, verdict).map((reason) => `· ${reason}`),
    ...error,
  ];
}

function lateText({ supersededBy, rounds }: Attempt): string {
  if (supersededBy !== null) return `it could not wait longer, because attempt ${clean(supersededBy)} took over the VM`;
  return `at the deadline, in the last of ${rounds} rounds`;
}

function resolutionLines(attempt: Attempt, { resolution, decidedAt }: Verdict): string[] {
  if (resolution === null) return [];
  const attested = resolution.attest
    ? 'with the attestation that the other host was checked'
    : 'without an attestation about the other host';
  return [
    `${clean(resolution.operator)} settled it ${afterCall(attempt, decidedAt)}, ${attested}.`,
    `Reason: ${clean(resolution.reason)}`,
  ];
}

/** Returns the evidence that matched the row. */
function reasonsOf(row: Row, { evidence, final }: Verdict): string[] {
  const conditions = [...(row.when ?? []), ...conditionOf(final ? row.deadline : row.now)];
  return [
    testimonyText(evidence.source, 'source'),
    testimonyText(evidence.destination, 'destination'),
    ...evidence.others.filter(({ question }) => question !== null).map((other) => testimonyText(other, 'third host')),
    ...(row.sourceJob === undefined ? [] : [`${evidence.source.host} has ${jobTexts[row.sourceJob]}`]),
    ...(row.ran === undefined ? [] : [`the guest’s CPUs ran on ${evidence.destination.host}: ${ranTexts[row.ran]}`]),
    ...conditions.map((condition) => conditionText(condition, evidence)),
    ...(row.settlesOnGone === true
      ? [`${evidence.destination.host} was asked after the answer of ${evidence.source.host} arrived`]
      : []),
  ].map(clean);
}

function testimonyText({ host, presence, words, question, answered }: Testimony, role: string): string {
  const asked = question === null ? '' : `, ${question.slice(question.lastIndexOf('/') + 1)}`;
  return `${role} ${host} is ${presence}${presenceTexts[presence] === '' ? '' : ` (${presenceTexts[presence]})`}: ${answered === true ? 'it answered, but ' : ''}“${message(words)}”${asked}`;
}

function conditionOf(column: Column): ConditionName[] {
  return (column.do === 'complete' || column.do === 'rollback') && column.if !== undefined ? [column.if] : [];
}

/** The condition `proven-over` can hold for three reasons; the text lists those that did. */
function conditionText(condition: ConditionName, evidence: Evidence): string {
  if (condition !== 'proven-over') return conditionTexts[condition];
  return overProofs(evidence).join('; ') || conditionTexts[condition];
}

export function overProofs({ libvirtError, outgoingSeen, quietRounds, destinationFenced }: Evidence): string[] {
  return [
    ...(destinationFenced === true ? ['the destination is fenced, so nothing can move there'] : []),
    ...(libvirtError ? ['libvirt itself returned an error to the call'] : []),
    ...(outgoingSeen ? ['the source showed this attempt’s outgoing job before, and no longer does'] : []),
    ...(quietRounds ? ['two rounds at least 35 s apart found no movement'] : []),
  ];
}

/** Returns one line for each replaced verdict, oldest first. */
export function supersededLines(attempt: Attempt): string[] {
  return attempt.verdicts.slice(0, -1).map((verdict) => {
    const next = attempt.verdicts.find(({ supersedes }) => supersedes === verdict.number);
    const replaced =
      next === undefined
        ? ''
        : `; replaced by verdict ${next.number}, ${duration(next.decidedAt - verdict.decidedAt)} later`;
    const given = verdict.resolution === null ? `row ${verdict.row}` : `operator ${clean(verdict.resolution.operator)}`;
    return `Verdict ${verdict.number}: ${outcomeText(verdict)} (${given}${verdict.final ? ', at the deadline' : ''}), ${afterCall(attempt, verdict.decidedAt)}${replaced}.`;
  });
}

/** Describes the row that an undecided attempt currently matches. */
export function waitingRowLines(row: Row | undefined, id: string, evidence: Evidence): string[] {
  if (row === undefined) return [`It matches row ${id}.`];
  const { deadline } = row;
  const then =
    deadline.do === 'complete'
      ? 'the verdict is completed'
      : deadline.do === 'rollback'
        ? 'the verdict is rolled back'
        : 'the attempt becomes contested';
  const unless =
    deadline.do !== 'wait' && deadline.do !== 'contested' && deadline.if !== undefined
      ? `, provided that ${conditionTexts[deadline.if]}`
      : '';
  const certainty = deadline.do === 'complete' && deadline.certainty !== undefined ? `, ${deadline.certainty}` : '';
  return [
    `It matches row ${id}: ${clean(rowText(row.why, evidence))}`,
    `If nothing changes before the deadline, ${then}${certainty}${unless}.`,
  ];
}

export const offersText = (offers: readonly string[]): string => listed(offers.map(clean), 'or');
