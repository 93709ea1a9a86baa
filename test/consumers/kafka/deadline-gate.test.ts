import { describe, expect, it } from 'vitest';
import { TopicDeadlineGate } from '../../../consumers/kafka/deadline-gate.ts';
import { HandTime, turns } from '../../support/hand-time.ts';

function setUp() {
  const time = new HandTime();
  const asked: PromiseWithResolvers<number>[] = [];
  const taken: (() => void)[] = [];
  const end = () => {
    const question = Promise.withResolvers<number>();
    asked.push(question);
    return question.promise;
  };
  const gate = new TopicDeadlineGate({ time, end, whenTaken: (callback) => taken.push(callback) });
  return { time, asked, taken, gate };
}

describe('the gate before deadlines', () => {
  it('opens when all records before the requested end are decided', async () => {
    const { time, asked, taken, gate } = setUp();
    const dueAt = time.now();
    expect(gate.takenUntil(dueAt)).toBe(Number.NEGATIVE_INFINITY);
    await time.pass(50);
    asked[0]?.resolve(7);
    await turns();
    gate.delivered(6);
    expect(taken).toHaveLength(0);
    gate.delivered(7);
    expect(gate.takenUntil(dueAt)).toBe(Number.NEGATIVE_INFINITY);
    taken[0]?.();
    expect(gate.takenUntil(dueAt)).toBe(dueAt);
    expect(asked).toHaveLength(1);
    gate.takenUntil(dueAt + 1);
    expect(asked).toHaveLength(2);
  });

  it('stays closed and requests again if the topic’s end is unknown', async () => {
    const { time, asked, gate } = setUp();
    gate.takenUntil(time.now());
    asked[0]?.reject(new Error('no broker'));
    await turns();
    expect(gate.takenUntil(time.now())).toBe(Number.NEGATIVE_INFINITY);
    await time.pass(500);
    expect(asked).toHaveLength(2);
  });

  it('sends no request for the topic’s end after it is closed', async () => {
    const { time, asked, taken, gate } = setUp();
    gate.takenUntil(time.now());
    gate.close();
    asked[0]?.reject(new Error('no broker'));
    await turns();
    expect(time.alarms).toBe(0);
    await time.pass(5000);
    expect([asked.length, taken.length]).toEqual([1, 0]);
  });
});
