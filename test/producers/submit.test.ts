import { describe, expect, it } from 'vitest';
import type { Input } from '../../events/inputs.ts';
import { type Sink, submit } from '../../producers/submit.ts';

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

  it('resolves when the input is durable', async () => {
    const into = sink(null);
    await submit(into, submission, at);
    expect(into.flushed).toBe(1);
    expect(into.taken).toMatchObject([[{ id: 'c-1', data: submission.data }, at.now]]);
  });

  it('throws the refusal after the refused input is durable', async () => {
    const into = sink({ code: 'BAD_CONFIGURATION', message: 'no', remedy: 'yes' });
    await expect(submit(into, submission, at)).rejects.toMatchObject({ code: 'BAD_CONFIGURATION' });
    expect(into.flushed).toBe(1);
  });

  it('uses time 0 for an input of a recorded world', async () => {
    const into = sink(null);
    await submit(into, submission, { ...at, clock: 'recorded:x@1' });
    expect(into.taken[0]?.[1]).toBe(0);
  });

  it('rejects an invalid event without submitting it', async () => {
    const into = sink(null);
    await expect(submit(into, { ...submission, id: '' }, at)).rejects.toMatchObject({ code: 'BAD_EVENT' });
    expect(into.taken).toEqual([]);
  });
});
