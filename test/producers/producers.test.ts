import { describe, expect, it } from 'vitest';
import type { Question } from '../../events/commands.ts';
import type { Entry } from '../../events/entries.ts';
import type { Input } from '../../events/inputs.ts';
import { deadLettersOf } from '../../producers/dead-letters.ts';
import { Dispatcher, unanswered } from '../../producers/dispatcher.ts';
import { type Sink, submit } from '../../producers/submit.ts';
import { entryOfInput, entryOfMalformed, entryOfTimer, VM } from '../support/entries.ts';

const question = (id: string): Question => ({
  question: id,
  migration: 'm-1',
  vm: VM,
  host: 'h',
  askedAt: 1,
  dueAt: 2,
});
const asking = (...ids: string[]) => entryOfTimer('m-1', { questions: ids.map(question) });
function answering(id: string, changes: Partial<Entry> = {}): Entry {
  const entry = entryOfInput(`answer to ${id}`, changes);
  const { cause } = entry;
  return cause.kind === 'input' ? { ...entry, cause: { ...cause, data: { question: id } } } : entry;
}

describe('dead letters', () => {
  const refusal = { code: 'X', message: 'm', remedy: 'r' };

  it('are the refused entries of a batch, in its order, with what they were', () => {
    const letters = deadLettersOf([
      entryOfInput('fine'),
      entryOfMalformed('bad', 'half a li'),
      entryOfInput('refused', { refusal }),
      entryOfTimer('m-1', { refusal }),
    ]);
    expect(letters).toMatchObject([
      { code: 'BAD_EVENT', stream: 's', offset: 1, text: 'half a li' },
      { code: 'X', stream: null, offset: null },
    ]);
    expect(JSON.parse(letters[1]?.text ?? '')).toMatchObject({ id: 'refused', data: { content: 'refused' } });
  });
});

describe('the dispatcher', () => {
  it('hands out what committed entries ask, in order, and nothing else', () => {
    const asked: string[] = [];
    const dispatcher = new Dispatcher({ ask: ({ question: id }) => asked.push(id), send: () => asked.push('command') });
    dispatcher.committed([asking('q1', 'q2'), entryOfInput('quiet'), asking('q3')]);
    expect(asked).toEqual(['q1', 'q2', 'q3']);
  });

  async function* stored(...entries: Entry[]): AsyncGenerator<{ entry: Entry }> {
    for (const entry of entries) yield { entry };
  }

  it('finds the questions of a clock that nobody answered', async () => {
    const other = asking('elsewhere');
    const open = await unanswered(
      stored(
        asking('q1', 'q2'),
        answering('q1'),
        { ...other, clock: 'recorded:x' },
        asking('q3'),
        answering('q2', { clock: 'recorded:x' }),
      ),
      'wall',
    );
    expect(open.map(({ question: id }) => id)).toEqual(['q2', 'q3']);
  });
});

describe('submit', () => {
  const at = { now: 1_790_000_000_000, clock: 'wall' };
  const submission = {
    type: 'landfall.configuration.set.v1',
    vm: null,
    data: { change: { recheckIntervalSeconds: 5 }, operator: 'kim' },
    id: 'c-1',
    source: 'landfall:cli',
  } as const;

  function sink(
    refusal: { code: string; message: string; remedy: string } | null,
  ): Sink & { taken: [Input, number][]; flushed: number } {
    return {
      taken: [],
      flushed: 0,
      take(input, now) {
        this.taken.push([input, now]);
        return { refusal };
      },
      flush() {
        this.flushed += 1;
        return Promise.resolve();
      },
    };
  }

  it('returns once the input is durable', async () => {
    const into = sink(null);
    await submit(into, submission, at);
    expect(into.flushed).toBe(1);
    expect(into.taken).toMatchObject([[{ id: 'c-1', data: submission.data }, at.now]]);
  });

  it('throws the refusal, after it is durable as well', async () => {
    const into = sink({ code: 'BAD_CONFIGURATION', message: 'no', remedy: 'yes' });
    await expect(submit(into, submission, at)).rejects.toMatchObject({ code: 'BAD_CONFIGURATION' });
    expect(into.flushed).toBe(1);
  });

  it("is as late as the last entry on a recording's clock", async () => {
    const into = sink(null);
    await submit(into, submission, { ...at, clock: 'recorded:x@1' });
    expect(into.taken[0]?.[1]).toBe(0);
  });

  it('takes nothing that is no input', async () => {
    const into = sink(null);
    await expect(submit(into, { ...submission, id: '' }, at)).rejects.toMatchObject({ code: 'BAD_EVENT' });
    expect(into.taken).toEqual([]);
  });
});
