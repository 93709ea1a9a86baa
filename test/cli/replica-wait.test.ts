import { describe, expect, it } from 'vitest';
import { waitForReplicas } from '../../cli/topic-ledger.ts';
import { Fault } from '../../events/fault.ts';

/** Returns two replicas: the first is up to date, the second has the given state at each poll. */
function replicas(second: (look: number) => { offset: number | null; ageMs: number | null; fault?: Fault }) {
  let look = 0;
  return {
    partitions: 2,
    lag: () => 7,
    ageMs: (partition: number) => (partition === 0 ? 5 : second((look += 1)).ageMs),
    replica: (partition: number) => ({
      offset: partition === 0 ? 3 : second(look).offset,
      fault: partition === 0 ? null : (second(look).fault ?? null),
    }),
  };
}

describe('the wait for replicas', () => {
  it('fails and prints a remedy if no more records arrive', async () => {
    const stuck = waitForReplicas(
      replicas(() => ({ offset: 4, ageMs: null })),
      { stallMs: 300 },
    );
    await expect(stuck).rejects.toMatchObject({
      code: 'KAFKA_FAILED',
      message: expect.stringContaining('partition 1 (7 records to come)'),
      remedy: expect.stringContaining('has a leader'),
    });
  });

  it('continues while records arrive', async () => {
    const slow = replicas((look) => ({ offset: look, ageMs: look < 10 ? null : 0 }));
    await expect(waitForReplicas(slow, { stallMs: 300 })).resolves.toBeUndefined();
  });

  it('ends when a replica reports a fault', async () => {
    const fault = new Fault('LEDGER_ALTERED', 'altered', 'Look.');
    await expect(
      waitForReplicas(
        replicas(() => ({ offset: 4, ageMs: null, fault })),
        { stallMs: 300 },
      ),
    ).resolves.toBeUndefined();
  });

  it('ends when every replica has reached the given time', async () => {
    const asOf = Date.now();
    let looks = 0;
    const ageMs = (look: number) => {
      looks = look;
      return look < 5 ? 60_000 : 0;
    };
    await waitForReplicas(
      replicas((look) => ({ offset: look, ageMs: ageMs(look) })),
      { stallMs: 1000 },
    );
    expect(looks).toBe(1);
    const again = replicas((look) => ({ offset: look, ageMs: ageMs(look) }));
    await waitForReplicas(
      { ...again, ageMs: (partition) => (partition === 0 ? 0 : again.ageMs(1)) },
      { asOf, stallMs: 1000 },
    );
    expect(looks).toBe(5);
  });
});
