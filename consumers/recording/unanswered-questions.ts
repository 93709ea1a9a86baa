import type { Question } from '../../events/commands.ts';
import type { Entry } from '../../events/entries.ts';

/**
 * Returns the questions of one world (`clock`) that have no answer in the ledger, in the order in which they were asked. A
 * question past its time limit is included, because a late answer counts when nothing newer is known.
 */
export async function unansweredQuestions(
  entries: AsyncIterable<{ readonly entry: Entry }>,
  clock: string,
): Promise<Question[]> {
  const open = new Map<string, Question>();
  for await (const { entry } of entries) {
    if (entry.clock !== clock) continue;
    const answered = answeredQuestion(entry);
    if (answered !== null) open.delete(answered);
    for (const question of entry.questions) open.set(question.question, question);
  }
  return [...open.values()];
}

function answeredQuestion({ cause }: Entry): string | null {
  if (cause.kind !== 'input' || cause.type !== 'landfall.host.answered.v1') return null;
  const { data } = cause;
  return typeof data === 'object' && data !== null && 'question' in data && typeof data.question === 'string'
    ? data.question
    : null;
}
