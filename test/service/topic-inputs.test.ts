import { expect, it } from 'vitest';
import { DecisionTracker } from '../../consumers/kafka/decision-tracker.ts';
import { Fault } from '../../events/fault.ts';
import type { KafkaLedger } from '../../log/kafka/ledger.ts';
import { topicsOf } from '../../kafka/options.ts';
import type { RecordProducer } from '../../kafka/record-producer.ts';
import { submissionOf } from '../../service/engine/engine.ts';
import { TopicInputs } from '../../service/engine/topic-inputs.ts';

const PARTITIONS = 3;
const facts = submissionOf({
  specversion: '1.0',
  id: 'e1',
  source: 'agent://host-a',
  type: 'landfall.host.facts.v1',
  data: { host: 'host-a', stream: 'connected' },
});

function setUp() {
  const faults = new Map<number, Fault>();
  const sent: number[] = [];
  const aged = new Set([0, 1, 2]);
  const stream = (partition: number) => `inputs/${partition}`;
  const decisions = Array.from({ length: PARTITIONS }, (_, partition) => new DecisionTracker(stream(partition), -1));
  const ledger = {
    partitions: PARTITIONS,
    topics: topicsOf('t'),
    ageMs: (partition: number) => (aged.has(partition) ? 0 : null),
  } as unknown as KafkaLedger;
  const producer = {
    send: async (_: string, partition: number) => {
      sent.push(partition);
      queueMicrotask(() =>
        decisions[partition]?.applyCommitted([], { sequence: 0, hash: '' }, [{ stream: stream(partition), offset: 0 }]),
      );
      return 0;
    },
  } as unknown as RecordProducer;
  const fault = (partition: number) => faults.get(partition) ?? null;
  const inputs = new TopicInputs({ ledger, producer, decisions, fault, isStopped: () => false });
  return { inputs, faults, sent, aged };
}

it('sends an input about the site to every partition', async () => {
  const { inputs, sent } = setUp();
  expect(await inputs.submit([facts])).toMatchObject([{ outcome: 'duplicate' }]);
  expect(sent).toEqual([0, 1, 2]);
});

it('sends nothing while an owned partition reports a recreated topic', async () => {
  const { inputs, faults, sent } = setUp();
  faults.set(1, new Fault('INPUTS_ALTERED', 'another record is there', 'Look who made it anew.'));
  await expect(inputs.submit([facts])).rejects.toMatchObject({ code: 'INPUTS_ALTERED' });
  expect(sent).toEqual([]);
});

it('checks for a recreated topic after waiting for the slowest replica', async () => {
  const { inputs, faults, sent, aged } = setUp();
  aged.delete(2);
  const submitted = inputs.submit([facts]);
  faults.set(0, new Fault('INPUTS_ALTERED', 'another record is there', 'Look who made it anew.'));
  aged.add(2);
  await expect(submitted).rejects.toMatchObject({ code: 'INPUTS_ALTERED' });
  expect(sent).toEqual([]);
});
