import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IdentityIndex, keyOf } from '../../log/identity-index.ts';

const key = (number: number) => keyOf({ source: 's', id: String(number) });

describe('the index of input identities', () => {
  it('gives the same results as a map after random changes', () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ add: fc.array(fc.nat(5000), { maxLength: 400 }) }) },
      { weight: 1, arbitrary: fc.record({ forget: fc.nat(400) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const index = new IdentityIndex();
        const model = new Map<number, number>();
        let sequence = 0;
        let forgotten = 0;
        for (const each of steps) {
          if ('add' in each) {
            for (const number of each.add) {
              sequence += 1;
              index.add(key(number), sequence);
              if (!model.has(number)) model.set(number, sequence);
            }
            continue;
          }
          forgotten = Math.min(sequence, forgotten + each.forget);
          index.forgetThrough(forgotten);
          for (const [number, added] of model) if (added <= forgotten) model.delete(number);
        }
        expect(index.size).toBe(model.size);
        for (let number = 0; number <= 5000; number += 7) expect(index.find(key(number))).toBe(model.get(number));
        for (const [number, added] of model) expect(index.find(key(number))).toBe(added);
      }),
      { numRuns: 30 },
    );
  });
});
