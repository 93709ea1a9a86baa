import { type Answered, inputSchemas } from '../../events/inputs.ts';
import type { Attempt } from '../../events/attempt.ts';
import type { Entry } from '../../events/entries.ts';
import { readHost, sequenceOf } from '../../machines/evidence.ts';
import { message } from './text.ts';
import { readingText } from './words.ts';

/** The questions of an attempt and what came back, gathered from its entries. */

export type EntryOf = { readonly entry: Entry };

/** One question with one outcome. A question that ran out and was answered late has two. */
export type Heard = {
  readonly question: string;
  readonly sequence: number;
  readonly host: string;
  readonly askedAt: number;
  /** Null: nothing came, and its limit has not run out or a newer question took its place. */
  readonly at: number | null;
  readonly words: string;
  readonly reading: string;
};

/** A run of outcomes of one host that say the same. */
export type Run = { readonly first: Heard; readonly last: Heard; readonly count: number };

export function heardOf(entries: readonly EntryOf[], { migration }: Attempt): Heard[] {
  const heard: Heard[] = [];
  const open = new Map<string, Heard>();
  for (const { entry } of entries) {
    heard.push(...ranOut(entry, [...open.values()]));
    const answered = answerIn(entry);
    const asked = answered === null ? undefined : open.get(answered.question);
    if (answered !== null && asked !== undefined) heard.push(take(entry, answered, asked));
    for (const { question, host, askedAt } of entry.questions) {
      const sequence = sequenceOf(question, migration);
      if (sequence !== null)
        open.set(question, { question, sequence, host, askedAt, at: null, words: '–', reading: '' });
    }
  }
  const closed = new Set(heard.map(({ question }) => question));
  const unanswered = [...open.values()].filter(({ question }) => !closed.has(question));
  return [...heard, ...unanswered].sort((a, b) => a.sequence - b.sequence || (a.at ?? 0) - (b.at ?? 0));
}

function answerIn({ cause }: Entry): Answered | null {
  if (cause.kind !== 'input' || cause.type !== 'landfall.host.answered.v1') return null;
  return inputSchemas['landfall.host.answered.v1'].safeParse(cause.data).data ?? null;
}

/** What an answer was read as is what the attempt kept of it; one that it did not keep came after a newer one. */
function take({ attempt: state, time }: Entry, answered: Answered, asked: Heard): Heard {
  const { domain, ok, error } = answered;
  const said =
    domain === null
      ? ok
        ? 'not in the complete listing'
        : message(error ?? 'no answer')
      : `${domain.state} (${domain.reason})`;
  const kept = state?.attempt.asked[asked.host]?.answer ?? null;
  if (state === null || kept?.asked !== asked.sequence)
    return { ...asked, at: time, words: said, reading: 'not used: a newer answer was there' };
  const { presence, job, words } = readHost(state.attempt, asked.host, kept);
  return { ...asked, at: time, words: message(words), reading: readingText(presence, job) };
}

function ranOut({ attempt: state, time, cause }: Entry, open: readonly Heard[]): Heard[] {
  if (state === null || cause.kind !== 'timer') return [];
  return open
    .filter(({ host, sequence }) => {
      const answer = state.attempt.asked[host]?.answer;
      return answer?.timedOut === true && answer.asked === sequence && cause.timer.includes('.question');
    })
    .map((asked) => ({ ...asked, at: time, words: 'no answer in time', reading: 'unknown' }));
}

/** Joins what one host said again and again, but never across an answer that a verdict stands on. */
export function runsOf(heard: readonly Heard[], isDecisive: (heard: Heard) => boolean): Run[] {
  const runs: Run[] = [];
  const current = new Map<string, number>();
  for (const one of heard) {
    const index = current.get(one.host) ?? -1;
    const run = runs[index];
    const joins = run !== undefined && !isDecisive(one) && !isDecisive(run.last) && saysTheSame(run.last, one);
    if (joins) runs[index] = { ...run, last: one, count: run.count + 1 };
    else current.set(one.host, runs.push({ first: one, last: one, count: 1 }) - 1);
  }
  return runs;
}

const saysTheSame = (a: Heard, b: Heard) =>
  a.words === b.words && a.reading === b.reading && (a.at === null) === (b.at === null);
