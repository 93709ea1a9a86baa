import { hash } from 'node:crypto';
import type { Situation } from './explore.ts';

/**
 * Returns the key of a situation. Situations with equal keys have equal futures: times are relative to now, and sequence numbers
 * are replaced by their rank. The key leaves out alarms, counters and evidence, which only inform, and the number of faults,
 * which only limits later faults.
 */
export function canonical(situation: Situation): string {
  const { world, state, timers, now, asked, late, events, returned, commands } = situation;
  const { attempt } = state;
  const ranks = ranksOf(situation);
  const rank = (sequence: number | null) => (sequence === null ? null : ranks.get(sequence));
  const relative = (time: number | null) => (time === null ? null : Math.max(time - now, -1));
  const answers = Object.entries(attempt.asked).map(([host, { asked: question, dueAt, answer }]) => [
    host,
    rank(question),
    relative(dueAt),
    answer && { ...answer, asked: rank(answer.asked), arrived: rank(answer.arrived) },
  ]);
  const facts = {
    facts: [
      attempt.outgoingSeen,
      attempt.handedOver,
      attempt.shell,
      attempt.origin,
      attempt.searching,
      attempt.twoCopies,
      attempt.quietRounds,
      attempt.callError?.kind,
      attempt.seenAtSource,
    ],
    order: [
      rank(attempt.emptySequence ?? null),
      rank(attempt.returnedSequence),
      rank(attempt.judgedSequence),
      rank(attempt.landedSequence),
      rank(attempt.countedSequence),
    ],
    times: [attempt.pollAt, attempt.deadlineAt, attempt.retryAt].map(relative),
    // The exact age makes no difference: only the end of the 35 s does.
    quiet: attempt.quietSince === null ? null : Math.min(35_000, now - attempt.quietSince),
    steps: attempt.steps.map(({ kind, status, host }) => [kind, status, host]),
    verdict: attempt.verdicts.map(({ row, outcome, contested }) => [row, outcome, contested]).at(-1) ?? null,
  };
  const pending = [
    asked.map(({ host, question }) => [host, rank(numberOf(question))]),
    late.map(({ question, ...data }) => [rank(numberOf(question)), data]),
    commands.map(({ kind, host }) => [kind, host]),
  ];
  const due = Object.entries(timers).map(([id, { dueAt }]) => [id, relative(dueAt)]);
  return hash(
    'sha256',
    JSON.stringify([
      nameOf(world),
      state.value,
      answers,
      facts,
      pending,
      due,
      events,
      returned ?? (returned === null ? 'ok' : 'open'),
    ]),
    'binary',
  ).slice(0, 16);
}

/** Caches the keys of worlds, because most situations share their world with other situations. */
const names = new WeakMap<Situation['world'], string>();
function nameOf(world: Situation['world']): string {
  const name = names.get(world) ?? JSON.stringify(world);
  names.set(world, name);
  return name;
}

const numberOf = (question: string) => Number(question.slice(question.lastIndexOf('q') + 1));

/** Maps each sequence number still in use to its rank. */
function ranksOf({ state, asked, late }: Situation): ReadonlyMap<number, number> {
  const { attempt } = state;
  const named = Object.values(attempt.asked).flatMap((one) => [
    one.asked,
    one.answer?.asked ?? 0,
    one.answer?.arrived ?? 0,
  ]);
  const pending = [...asked, ...late].map(({ question }) => numberOf(question));
  const marks = [
    attempt.emptySequence ?? 0,
    attempt.returnedSequence ?? 0,
    attempt.judgedSequence ?? 0,
    attempt.landedSequence ?? 0,
    attempt.countedSequence ?? 0,
  ];
  return new Map(
    [...new Set([...named, ...pending, ...marks])]
      .toSorted((a, b) => a - b)
      .map((sequence, index) => [sequence, index]),
  );
}
