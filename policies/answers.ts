import type { Answer, Attempt } from '../events/attempt.ts';
import type { Entry } from '../events/entries.ts';
import { type Answered, inputSchemas } from '../events/inputs.ts';
import { sequenceOf } from '../machines/evidence.ts';
import { type Role, readAnswer } from '../machines/presence.ts';
import type { HostAnswer } from './view.ts';

/**
 * Keeps the answers of an attempt's hosts after the call returned. A policy's question gets the first Landfall answer
 * that arrived at or after the question's time.
 */

/**
 * The latest time of a question of a policy, in milliseconds after the return. Later answers are dropped to limit
 * memory.
 */
export const LAST_ASK_MS = 300_000;

/** An answer with the sequence number of its question (`asked`). */
type TimedAnswer = HostAnswer & { readonly asked: number };
/** Answers by host, in order of arrival. */
export type Answers = Map<string, TimedAnswer[]>;

const QUESTION_TYPE = 'landfall.host.answered.v1';

/** Returns the answer in this entry; null if the entry has no answer or the answer was refused. */
export function answerIn({ cause, refusal }: Entry): Answered | null {
  if (cause.kind !== 'input' || cause.type !== QUESTION_TYPE || refusal !== null) return null;
  return inputSchemas[QUESTION_TYPE].safeParse(cause.data).data ?? null;
}

/** Returns the migration that a question belongs to. */
export function migrationOf(question: string): string {
  return question.slice(0, Math.max(0, question.lastIndexOf('/q')));
}

/** Records an answer. Answers to questions asked before the return are ignored. */
export function recordAnswer(answers: Answers, attempt: Attempt, data: Answered, time: number): void {
  const asked = sequenceOf(data.question, attempt.migration);
  if (asked === null || !isAfterReturn(attempt, asked)) return;
  const said: Answer = { asked, arrived: asked, ok: data.ok, domain: data.domain };
  if (data.error !== undefined) said.error = data.error;
  keep(answers, attempt, data.host, said, time);
}

/** Records a question that timed out. A policy that asked at the same time would get no answer either. */
export function recordTimeout(answers: Answers, attempt: Attempt, time: number): void {
  for (const [host, { answer }] of Object.entries(attempt.asked)) {
    const isNew = answer !== null && answer.asked > (answers.get(host)?.at(-1)?.asked ?? 0);
    if (isNew && answer.timedOut === true && isAfterReturn(attempt, answer.asked))
      keep(answers, attempt, host, answer, time);
  }
}

function isAfterReturn({ returnedSequence }: Attempt, asked: number): boolean {
  return returnedSequence !== null && asked > returnedSequence;
}

function keep(answers: Answers, attempt: Attempt, host: string, said: Answer, time: number): void {
  const known = answers.get(host) ?? [];
  if ((known.at(-1)?.at ?? 0) >= LAST_ASK_MS) return;
  known.push({ ...reading(attempt, host, said), at: time - (attempt.returnedAt ?? time), asked: said.asked });
  answers.set(host, known);
}

/** Reads an answer as another system would: without boot ids, stray processes and the history of the shell. */
function reading(attempt: Attempt, host: string, said: Answer): Omit<HostAnswer, 'at'> {
  const { boot: _boot, strayProcess: _stray, ...plain } = said;
  const context = { role: hostRoleOf(attempt, host), handedOver: false, ran: false, sourceBoot: null };
  const { presence, job, words } = readAnswer(plain, context);
  return { presence, job, words };
}

function hostRoleOf({ source, destination }: Attempt, host: string): Role {
  if (host === source) return 'source';
  return host === destination ? 'destination' : 'other';
}

/** Returns the answer to a question asked `afterMs` after the return. After its last answer, a host repeats it. */
export function answerAt(answers: Answers, host: string, afterMs: number): HostAnswer {
  const known = answers.get(host) ?? [];
  const first = known.find((answer) => answer.at >= afterMs);
  if (first !== undefined) return first;
  const last = known.at(-1);
  return last === undefined ? { ...NO_ANSWER, at: afterMs } : { ...last, at: afterMs };
}

const NO_ANSWER = { presence: 'unknown', job: 'unknown', words: 'the ledger has no answer' } as const;
