import { describe, expect, it } from 'vitest';
import { DecisionTracker } from '../../../consumers/kafka/decision-tracker.ts';
import type { Entry } from '../../../events/entries.ts';
import { entriesOf } from '../../support/entries.ts';

const STREAM = 'inputs/0';

/** Returns the entry that the input at this offset left. */
function decided(offset: number): Entry {
  const [entry] = entriesOf('e', 1);
  if (entry === undefined || entry.cause.kind === 'timer') throw new Error('no entry of an input');
  return { ...entry, cause: { ...entry.cause, stream: STREAM, offset } };
}

/** Consumes all inputs up to this offset; the last one has an entry. */
function take(decisions: DecisionTracker, offset: number): void {
  decisions.applyCommitted([decided(offset)], { sequence: offset + 1, hash: '' }, [{ stream: STREAM, offset }]);
}

describe('DecisionTracker', () => {
  it('finds the decision of an input with known and unknown offset', async () => {
    const decisions = new DecisionTracker(STREAM, 9);
    const sending = decisions.beginSend();
    take(decisions, 10);
    const [early, late] = sending.finish(10, 2);
    expect(await early).toEqual({ sequence: 11, refusal: null });
    take(decisions, 11);
    expect(await late).toEqual({ sequence: 12, refusal: null });
  });

  it('reports a duplicate if a consumed input has no ledger entry', async () => {
    const decisions = new DecisionTracker(STREAM, -1);
    const [duplicate] = decisions.beginSend().finish(0, 1);
    decisions.applyCommitted([], { sequence: 0, hash: '' }, [{ stream: STREAM, offset: 0 }]);
    expect(await duplicate).toEqual({ sequence: null, refusal: null });
  });

  it('rejects an offset that was already assigned to an input', () => {
    const decisions = new DecisionTracker(STREAM, 1000);
    expect(() => decisions.beginSend().finish(0, 1)).toThrow(expect.objectContaining({ code: 'INPUTS_ALTERED' }));
    void decisions.beginSend().finish(1001, 5);
    expect(() => decisions.beginSend().finish(1003, 1)).toThrow(expect.objectContaining({ code: 'INPUTS_ALTERED' }));
  });

  it('discards its state if the topic was recreated', async () => {
    const decisions = new DecisionTracker(STREAM, 1000);
    decisions.switchStream(`${STREAM}#1`);
    const [decision] = decisions.beginSend().finish(7, 1);
    const head = { sequence: 3, hash: '' };
    decisions.applyCommitted(
      [{ ...decided(7), cause: { ...decided(7).cause, stream: `${STREAM}#1` } as never }],
      head,
      [{ stream: `${STREAM}#1`, offset: 7 }],
    );
    expect(await decision).toEqual({ sequence: 3, refusal: null });
  });

  it('does not report INPUTS_ALTERED for inputs consumed while they are sent', async () => {
    const decisions = new DecisionTracker(STREAM, 3);
    const sending = decisions.beginSend();
    take(decisions, 8);
    expect(await sending.finish(5, 1)[0]).toEqual({ sequence: null, refusal: null });
  });

  it('stores few decisions while several sends overlap', async () => {
    const decisions = new DecisionTracker(STREAM, -1);
    let before = decisions.beginSend();
    for (let offset = 0; offset < 1000; offset += 1) {
      const next = decisions.beginSend();
      take(decisions, offset);
      expect(await before.finish(offset, 1)[0]).toEqual({ sequence: offset + 1, refusal: null });
      expect(decisions.retainedCount).toBeLessThan(3);
      before = next;
    }
  });
});
