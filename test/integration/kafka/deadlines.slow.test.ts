import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { connectTo } from '../../../kafka/client.ts';
import type { LedgerRecord } from '../../../log/kafka/records.ts';
import { entryOf } from '../../../log/entry-text.ts';
import { RecordProducer } from '../../../kafka/record-producer.ts';
import { declared, event, returned, started, VM } from '../../service/harness.ts';
import { brokersForTests } from './brokers/index.ts';
import { committedRecords } from './faults/topic.ts';
import { eventually, forTest, instance, instanceProcess, ready } from './instances.ts';
import { type Scratch, scratchTopics } from './scratch.ts';

const shared = await brokersForTests();
/** The next owner starts before the deadline, also on a busy machine: the session of the dead owner ends after 6 s. */
const DEADLINE_SECONDS = 30;
const LATE_MS_MAX = 10_000;

describe.skipIf(shared === null)('A deadline after a change of owner', () => {
  it.each(['SIGKILL', 'SIGTERM'] as const)('fires once and on time after %s', async (signal) => {
    const scratch = forTest(await scratchTopics(shared?.bootstrap ?? [], 1));
    const { child } = instanceProcess(scratch, 'first');
    const change = { recheckIntervalSeconds: 3, recheckTimeoutSeconds: DEADLINE_SECONDS };
    await send(scratch, [event('configuration.set', { change, operator: 'test' })]);
    await send(scratch, [declared(), started('m-1'), returned('m-1')]);
    const deadlineAt = await eventually(
      async () => (await entries(scratch)).at(-1)?.attempt?.attempt.deadlineAt ?? null,
    );
    child.kill(signal);
    await once(child, 'close');
    const next = await instance(scratch, 'next');
    await ready(scratch, next);
    expect(Date.now()).toBeLessThan(deadlineAt);
    const fired = await eventually(async () => {
      const timers = (await entries(scratch)).filter(({ cause }) => cause.kind === 'timer');
      return timers.some(({ verdict }) => verdict !== null) ? timers : null;
    });
    const atDeadline = fired.filter(({ cause }) => cause.kind === 'timer' && cause.dueAt === deadlineAt);
    expect(atDeadline).toHaveLength(1);
    expect((atDeadline[0]?.time ?? 0) - deadlineAt).toBeGreaterThanOrEqual(0);
    expect((atDeadline[0]?.time ?? 0) - deadlineAt).toBeLessThan(LATE_MS_MAX);
    const names = fired.map(({ cause }) => (cause.kind === 'timer' ? `${cause.timer} ${cause.generation}` : ''));
    expect(new Set(names).size).toBe(names.length);
  });
});

async function send({ brokers, prefix }: Scratch, events: readonly Record<string, unknown>[]): Promise<void> {
  const producer = new RecordProducer(connectTo({ brokers, clientId: 'test' }));
  const keyOf = ({ subject }: Record<string, unknown>) => (subject === undefined ? null : VM);
  await producer.send(
    `${prefix}.inputs`,
    0,
    events.map((each) => ({ key: keyOf(each), value: JSON.stringify(each) })),
  );
  await producer.close();
}

async function entries({ brokers, prefix }: Scratch) {
  const [records = []] = await committedRecords(brokers, `${prefix}.ledger`);
  return records.flatMap((record: LedgerRecord) => (record.kind === 'entry' ? [entryOf(record.link.text)] : []));
}
