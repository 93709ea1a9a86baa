import { describe, expect, it } from 'vitest';
import { unansweredQuestions } from '../../consumers/recording/unanswered-questions.ts';
import type { Question } from '../../events/commands.ts';
import type { Entry } from '../../events/entries.ts';
import { entryOfInput, entryOfTimer, VM } from '../support/entries.ts';

const questionOf = (id: string): Question => ({
  question: id,
  migration: 'm-1',
  vm: VM,
  host: 'h',
  askedAt: 1,
  dueAt: 2,
});
const asking = (...ids: string[]) => entryOfTimer('m-1', { questions: ids.map(questionOf) });

function answering(id: string, changes: Partial<Entry> = {}): Entry {
  const entry = entryOfInput(`answer to ${id}`, changes);
  const { cause } = entry;
  return cause.kind === 'input' ? { ...entry, cause: { ...cause, data: { question: id } } } : entry;
}

async function* stored(...entries: Entry[]): AsyncGenerator<{ entry: Entry }> {
  for (const entry of entries) yield { entry };
}

describe('the list of unanswered questions', () => {
  it('contains only questions of the requested world, oldest first', async () => {
    const open = await unansweredQuestions(
      stored(
        asking('q1', 'q2'),
        answering('q1'),
        { ...asking('elsewhere'), clock: 'recorded:x' },
        asking('q3'),
        answering('q2', { clock: 'recorded:x' }),
      ),
      'wall',
    );
    expect(open.map(({ question }) => question)).toEqual(['q2', 'q3']);
  });
});
