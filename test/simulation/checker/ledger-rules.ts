import type { Attempt } from '../../../events/attempt.ts';
import type { Entry } from '../../../events/entries.ts';
import type { Verdict } from '../../../events/verdict.ts';
import { decide } from '../../../machines/decide.ts';
import { evidenceOf, isRoundClosed } from '../../../machines/evidence.ts';
import { table } from '../../../machines/table.ts';
import { path } from '../../../machines/chart.ts';
import { OPERATOR_ROW } from '../../../machines/verdicts.ts';

/** Rules for the ledger alone. It receives every committed entry in order. */
export class LedgerRules {
  readonly #violate: (rule: string, text: string) => void;
  readonly #attempts = new Map<string, Attempt>();
  readonly #askedAt = new Map<string, number>();
  readonly #closedAt = new Map<string, number>();
  readonly #identities = new Set<string>();
  readonly #acknowledged = new Set<string>();
  readonly #tokens = new Map<string, number>();
  #time = 0;
  #count = 0;

  constructor(violate: (rule: string, text: string) => void) {
    this.#violate = violate;
  }

  take(entry: Entry): void {
    this.#count += 1;
    if (entry.time < this.#time) this.#violate('invariant 8', `entry ${this.#count} goes back in time`);
    this.#time = Math.max(this.#time, entry.time);
    this.#once(entry);
    for (const { question } of entry.questions) this.#askedAt.set(question, this.#count);
    const attempt = entry.attempt?.attempt;
    if (attempt === undefined) return;
    const before = this.#attempts.get(attempt.migration);
    this.#attempts.set(attempt.migration, attempt);
    if (attempt.returnedAt !== null && !this.#closedAt.has(attempt.migration))
      this.#closedAt.set(attempt.migration, this.#count);
    this.#deadlines(before, attempt);
    if (entry.cause.kind === 'input') this.#limits(before, attempt, entry);
    this.#verdicts(entry, before, attempt);
    this.#reopens(entry);
    this.#locks(entry, attempt);
  }

  /** Invariant 10: every input is consumed once. */
  #once({ cause }: Entry): void {
    if (cause.kind === 'timer') return;
    if (cause.kind === 'input' && cause.type === 'landfall.command.acknowledged.v1')
      this.#hearAcknowledgement(cause.data);
    if (cause.kind === 'input' && cause.part !== undefined) return;
    const identity = `${cause.source} ${cause.id}`;
    if (this.#identities.has(identity)) this.#violate('invariant 10', `${identity} was consumed twice`);
    this.#identities.add(identity);
  }

  consumed(source: string, id: string): boolean {
    return this.#identities.has(`${source} ${id}`);
  }

  #hearAcknowledgement(data: unknown): void {
    const { command, ok } = data as { command: string; ok: boolean };
    if (ok) this.#acknowledged.add(command);
  }

  /** Invariant 8: a deadline never changes, and no deadline is later than its timeout. */
  #deadlines(before: Attempt | undefined, after: Attempt): void {
    const was = before?.deadlineAt ?? null;
    if (was !== null && after.deadlineAt !== null && was !== after.deadlineAt) {
      this.#violate('invariant 8', `${after.migration}: the deadline moved from ${was} to ${after.deadlineAt}`);
    }
  }

  /** Inputs do not extend the time limit of an open question. In the final round every host has the whole limit. */
  #limits(before: Attempt | undefined, after: Attempt, { time, attempt }: Entry): void {
    if (attempt !== null && path(attempt.value) === 'Rechecking.finalRound') return;
    for (const [host, asked] of Object.entries(after.asked)) {
      const open = before?.asked[host]?.dueAt ?? null;
      const stretched =
        open !== null &&
        open > time &&
        asked.dueAt !== null &&
        asked.dueAt > open &&
        before?.asked[host]?.answer === asked.answer;
      if (stretched)
        this.#violate('invariant 8', `${after.migration}: the time limit of a question to ${host} was extended`);
    }
  }

  #verdicts({ verdict }: Entry, before: Attempt | undefined, after: Attempt): void {
    const kept = (before?.verdicts ?? []).every(
      (one, index) => JSON.stringify(one) === JSON.stringify(after.verdicts[index]),
    );
    if (!kept) this.#violate('invariant 7', `${after.migration}: a verdict was overwritten`);
    const made = after.verdicts.at(-1);
    if (verdict === null || made === undefined) return;
    const token = this.#tokens.get(after.vm) ?? 0;
    if (made.token <= token)
      this.#violate('invariant 6', `${after.migration}: token ${made.token} does not rise above ${token}`);
    this.#tokens.set(after.vm, made.token);
    if (made.row === OPERATOR_ROW) return;
    this.#isRow(after, made);
    this.#isFresh(after, made);
  }

  /** Invariant 7: the verdict table gives the recorded row for the recorded evidence. */
  #isRow({ migration }: Attempt, verdict: Verdict): void {
    if (!table.some((row) => row.id === verdict.row))
      this.#violate('invariant 7', `${migration}: the table has no row ${verdict.row}`);
    const again = decide(verdict.evidence, verdict.final ? 'deadline' : 'now');
    if (again.row.id !== verdict.row)
      this.#violate('invariant 7', `${migration}: row ${verdict.row}, but its evidence gives ${again.row.id}`);
  }

  /** Invariant 7: an attempt leaves `contested` with the last answer that its verdict needs. */
  #reopens({ cause, attempt: state }: Entry): void {
    const isAnswer = cause.kind === 'input' && cause.type === 'landfall.host.answered.v1';
    if (!isAnswer || state === null || path(state.value) !== 'RolledBack.contested') return;
    const { attempt } = state;
    if (!isRoundClosed(attempt)) return;
    const { outcome, row, askDestinationAgain } = decide(evidenceOf(attempt), 'now');
    const isDecided = outcome === 'completed' || outcome === 'rolled-back';
    // An attempt that searches all known hosts for the guest needs more than one round.
    if (isDecided && !askDestinationAgain && row.asksEveryone !== true)
      this.#violate('invariant 7', `${attempt.migration}: row ${row.id} decides now but no verdict follows`);
  }

  /** Invariant 1: a verdict uses only answers to questions asked after the failure. */
  #isFresh({ migration }: Attempt, verdict: Verdict): void {
    const closedAt = this.#closedAt.get(migration) ?? Number.POSITIVE_INFINITY;
    const { source, destination, others } = verdict.evidence;
    for (const { question, host } of [source, destination, ...others]) {
      const early = question !== null && (this.#askedAt.get(question) ?? 0) < closedAt;
      if (early)
        this.#violate(
          'invariant 1',
          `${migration}: row ${verdict.row} stands on ${question} to ${host}, asked before the call returned`,
        );
    }
  }

  /** Invariant 6: no command touches a lock that Landfall does not manage, and an acquire waits for the acknowledged release. */
  #locks({ commands }: Entry, attempt: Attempt): void {
    const verdict = attempt.verdicts.at(-1);
    for (const { command, volume, token, kind } of commands) {
      if (volume === null) continue;
      const known = attempt.volumes.find((candidate) => candidate.volume === volume);
      if (known === undefined || known.shareable || known.lockedBy !== 'landfall')
        this.#violate('invariant 6', `${command}: this lock is not Landfall’s`);
      if (token !== verdict?.token)
        this.#violate('invariant 6', `${command}: token ${token} differs from the token of its verdict`);
      if (verdict?.contested === true || verdict?.certainty === 'provisional')
        this.#violate('frozen', `${command}: locks must not change while ${attempt.migration} is in doubt`);
      if (kind === 'acquire-lock') this.#isReleased(command, volume, attempt);
    }
  }

  #isReleased(command: string, volume: string, { steps }: Attempt): void {
    const releases = steps.filter((step) => step.kind === 'release-lock' && step.volume === volume);
    // A release on a fenced host, or of an expired lease, ends without an acknowledgement.
    const open = releases.filter((step) => step.ended === undefined && !this.#acknowledged.has(step.command));
    if (new Set(releases.map((step) => step.command)).size < releases.length)
      this.#violate('invariant 6', `${command}: its releases share one id`);
    for (const release of open)
      this.#violate('invariant 6', `${command} was sent before ${release.command} was acknowledged`);
  }
}
