import { defaultConfiguration } from '../events/configuration.ts';
import type { Entry } from '../events/entries.ts';
import { Fault } from '../events/fault.ts';
import type { Verdict } from '../events/verdict.ts';
import { identityOf } from '../log/entry-text.ts';
import { IdentityIndex, keyOf } from '../log/identity-index.ts';
import type { Head, StoredEntry } from '../log/port.ts';
import { decide } from '../machines/decide.ts';
import { TABLE_VERSION } from '../machines/table.ts';
import { OPERATOR_ROW } from '../machines/verdicts.ts';

/**
 * The checks that an audit runs on each entry. After a finding a check continues as if the entry were correct, so one defect
 * causes one finding.
 */

export type FindingKind =
  | 'altered'
  | 'missing'
  | 'reordered'
  | 'cut'
  | 'fork'
  | 'time'
  | 'identity'
  | 'token'
  | 'verdict'
  | 'projection'
  | 'damaged';
export type Found = { kind: FindingKind; message: string };
/** `whole` is true if the text matches the hash. */
export type Check = (stored: StoredEntry, whole: boolean) => Iterable<Found>;

/** Checks that sequences are dense and that each entry links to the previous entry and matches its hash. */
export function chainCheck(start: Head): Check {
  let last = start;
  return function* ({ sequence, previous, hash }, whole) {
    if (sequence > last.sequence + 1)
      yield { kind: 'missing', message: `entries ${last.sequence + 1} to ${sequence - 1} are missing` };
    else if (sequence <= last.sequence) yield { kind: 'reordered', message: `it comes after entry ${last.sequence}` };
    else if (!whole) yield { kind: 'altered', message: 'its text and its hash do not belong together' };
    else if (previous !== last.hash)
      yield { kind: 'reordered', message: 'it is whole, but it followed another entry than the one before it' };
    last = { sequence, hash };
  };
}

/** Compares the ledger with a head stored elsewhere; a different hash at that sequence means a rewritten ledger. */
export function headCheck(head: Head | undefined): Check {
  return function* ({ sequence, hash }) {
    if (sequence !== head?.sequence || hash === head.hash) return;
    yield { kind: 'fork', message: `its hash is ${hash}, the head kept elsewhere says ${head.hash}` };
  };
}

/** Invariant 8: the time of each clock never decreases. */
export function timeCheck(): Check {
  const times = new Map<string, number>();
  return function* ({ entry: { clock, time } }) {
    const last = times.get(clock) ?? 0;
    if (time < last)
      yield {
        kind: 'time',
        message: `its time is ${last - time} ms before that of the entry before it on the clock ${clock}`,
      };
    times.set(clock, time);
  };
}

/** The number of entries between two time marks. The marks show which entries are beyond the horizon. */
const MARK_ENTRIES = 1000;

/**
 * Invariant 10: an input is consumed once within the horizon of the ledger's configuration. An input that affects several
 * attempts has several consecutive entries (parts).
 */
export function identityCheck(): Check {
  const seen = new IdentityIndex();
  const marks: { sequence: number; time: number }[] = [];
  let { dedupHorizonCount, dedupHorizonSeconds } = defaultConfiguration;
  let last: string | null = null;
  return function* ({ sequence, entry }) {
    if (entry.configuration !== null) ({ dedupHorizonCount, dedupHorizonSeconds } = entry.configuration);
    if (sequence % MARK_ENTRIES === 0) marks.push({ sequence, time: entry.time });
    // Entries between two marks may be beyond the horizon already, so their inputs may be consumed again.
    while ((marks[0]?.time ?? entry.time) < entry.time - dedupHorizonSeconds * 1000) {
      marks.shift();
      seen.forgetThrough((marks[0]?.sequence ?? sequence) - 1);
    }
    seen.forgetThrough(sequence - dedupHorizonCount);
    const identity = identityOf(entry);
    const key = identity === null ? null : keyOf(identity);
    const isPart = entry.cause.kind === 'input' && entry.cause.part !== undefined && key === last;
    last = key;
    if (identity === null || key === null || isPart) return;
    const first = seen.find(key);
    const named = `${JSON.stringify(identity.id)} of ${JSON.stringify(identity.source)}`;
    if (first !== undefined)
      yield { kind: 'identity', message: `its input ${named} was consumed by entry ${first} already` };
    seen.add(key, sequence);
  };
}

/** Invariant 6: the fencing token of a VM rises with each verdict. */
export function tokenCheck(): Check {
  const tokens = new Map<string, number>();
  return function* ({ entry }) {
    const verdict = verdictOf(entry);
    if (verdict === undefined || entry.vm === null) return;
    const last = tokens.get(entry.vm);
    if (last !== undefined && verdict.token <= last)
      yield { kind: 'token', message: `its verdict's fencing token ${verdict.token} does not rise above ${last}` };
    tokens.set(entry.vm, Math.max(last ?? 0, verdict.token));
  };
}

/** Returns the verdict that the entry recorded. */
function verdictOf({ verdict, attempt }: Entry): Verdict | undefined {
  return verdict === null ? undefined : attempt?.attempt.verdicts.find((candidate) => candidate.number === verdict);
}

/** `checked` verdicts were decided again, `differing` gave another result, `otherTable` came from another table version. */
export type VerdictCount = { checked: number; differing: number; otherTable: number; byOperator: number };

/** Invariant 7: decides every verdict again, from its recorded evidence only. */
export function verdictCheck(count: VerdictCount): Check {
  return function* ({ entry }) {
    if (entry.verdict === null) return;
    const verdict = verdictOf(entry);
    if (verdict === undefined)
      return yield { kind: 'verdict', message: `it made verdict ${entry.verdict}, which its attempt does not have` };
    if (verdict.table !== TABLE_VERSION) count.otherTable += 1;
    if (verdict.row === OPERATOR_ROW) {
      count.byOperator += 1;
      return;
    }
    count.checked += 1;
    const [recorded, today] = [asDecided(verdict), decidedAgain(verdict)];
    if (recorded === today) return;
    count.differing += 1;
    const by = verdict.table === TABLE_VERSION ? 'the same table' : `table ${verdict.table}`;
    const migration = entry.attempt?.attempt.migration ?? '';
    yield {
      kind: 'verdict',
      message: `verdict ${verdict.number} of ${migration} was ${recorded} by ${by}; decided again it is ${today}`,
    };
  };
}

function asDecided({ row, outcome, contested, certainty, host }: Verdict): string {
  return `${contested ? 'contested' : outcome} on ${host} (${row}, ${certainty})`;
}

function decidedAgain({ evidence, final }: Verdict): string {
  const { row, outcome, certainty, host } = decide(evidence, final ? 'deadline' : 'now');
  return `${outcome} on ${host} (${row.id}, ${certainty})`;
}

/** Parses a head in the form SEQUENCE:HASH that an audit prints. @throws Fault BAD_HEAD. */
export function parseHead(text: string): Head {
  const match = /^(?:\d+:)?(\d{1,15}):([0-9a-f]{64})$/i.exec(text.trim());
  const [, sequence, hash] = match ?? [];
  if (sequence !== undefined && hash !== undefined) return { sequence: Number(sequence), hash: hash.toLowerCase() };
  throw new Fault(
    'BAD_HEAD',
    `${JSON.stringify(text)} is no head of a ledger`,
    'Give it as an audit prints it: SEQUENCE:HASH, the hash in 64 hex digits.',
  );
}
