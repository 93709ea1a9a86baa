import { DecisionTracker } from '../../consumers/kafka/decision-tracker.ts';
import { MappedTopics } from '../../consumers/kafka/mapped-topics.ts';
import { Membership } from '../../consumers/kafka/membership.ts';
import type { AttemptState } from '../../events/attempt.ts';
import { WALL } from '../../events/vocabulary.ts';
import { RecordProducer } from '../../kafka/record-producer.ts';
import { inputsStream } from '../../log/kafka/inputs-stream.ts';
import { KafkaLedger } from '../../log/kafka/ledger.ts';
import type { ReadableListener } from '../../log/kafka/replica.ts';
import { recordOfUnmapped } from '../../producers/dead-letters.ts';
import { WorkQueue } from '../../producers/work-queue.ts';
import { openAttempts } from '../../projections/attempts.ts';
import { directory } from '../../projections/directory.ts';
import type { Part } from '../reads/parts.ts';
import { Backlog } from './backlog.ts';
import { ClusterEngine } from './cluster.ts';
import { ClusterHealth } from './cluster-health.ts';
import { obstacleOf, openOwnership } from './cluster-ownership.ts';
import type { ClusterOptions, ClusterParts, Producers } from './cluster-parts.ts';
import { keepHorizon, publishCommitted } from './cluster-publication.ts';
import { type Engine, stopping } from './engine.ts';
import { recorded } from './outcomes.ts';
import { TopicInputs } from './topic-inputs.ts';

/** Opens a Kafka ledger and connects the parts of a cluster engine. @throws Fault KAFKA_…, LEDGER_…. */
export async function openClusterEngine(options: ClusterOptions): Promise<ClusterEngine> {
  // Entries that become readable before `publish` is set are read from the replicas when the parts are connected.
  let publish: ReadableListener = () => {};
  const ledger = await KafkaLedger.open({ ...options.ledger, readable: (...batch) => publish(...batch) });
  try {
    const parts = connect(options, ledger);
    publish = (...batch) => publishCommitted(parts, options.log, batch);
    return new ClusterEngine(parts, new ClusterHealth(parts, options.time), options.time);
  } catch (error) {
    await ledger.close();
    throw error;
  }
}

function connect(options: ClusterOptions, ledger: KafkaLedger): ClusterParts {
  const { observer = {}, log } = options;
  const reads = readsOf(ledger);
  const past = (partition: number) => directory(partOf(reads, partition).db);
  const producers = { inputs: new RecordProducer(ledger.kafka), outgoing: new RecordProducer(ledger.kafka) };
  const decisions = reads.map(({ partition }) => trackerOf(ledger, partition));
  const stop = new AbortController();
  const membership: Membership = new Membership({
    kafka: ledger.kafka,
    group: ledger.group,
    topic: ledger.topics.inputs,
    partitions: ledger.partitions,
    log,
    sessionTimeoutMs: options.sessionTimeoutMs,
    open: (partition) => openOwnership(partition, { ledger, producers, membership, directory: past }, options),
    obstacle: (partition) => obstacleOf(partition, { ledger, directory: past }, options.time),
    rebalanced: (partitions) => observer.rebalanced?.(partitions),
  });
  const inputs = new TopicInputs({
    ledger,
    producer: producers.inputs,
    decisions,
    fault: (partition) => membership.ownerships.get(partition)?.fault ?? null,
    isStopped: () => stop.signal.aborted,
  });
  const backlog = new Backlog();
  const submit = limitedSubmit(inputs, backlog, stop.signal);
  const mappedTopics = mappedTopicsOf(options, ledger, producers, submit);
  const workQueue = new WorkQueue();
  workQueue.restore(openStates(reads));
  keepHorizon(reads, ledger, log);
  return {
    ledger,
    reads,
    decisions,
    producers,
    inputs,
    backlog,
    submit,
    membership,
    mappedTopics,
    workQueue,
    observer,
    stopping: stop.signal,
    stop: () => stop.abort(),
  };
}

function readsOf(ledger: KafkaLedger): Part[] {
  return Array.from({ length: ledger.partitions }, (_, partition) => {
    const file = ledger.replica(partition).ledger;
    return { partition, ledger: file, db: file.readConnection() };
  });
}

function partOf(reads: readonly Part[], partition: number): Part {
  const part = reads[partition];
  if (part === undefined) throw new RangeError(`there is no partition ${partition}`);
  return part;
}

function* openStates(reads: readonly Part[]): Generator<AttemptState> {
  for (const { db } of reads) for (const { state } of openAttempts(db)) yield state;
}

function trackerOf(ledger: KafkaLedger, partition: number): DecisionTracker {
  const { inputPositions, checkpoints } = ledger.replica(partition);
  const stream = inputsStream(checkpoints, ledger.topics.inputs, partition);
  return new DecisionTracker(stream, inputPositions.get(stream) ?? -1);
}

/** Submits inputs to the topic while the backlog has room and the instance runs. */
function limitedSubmit(inputs: TopicInputs, backlog: Backlog, signal: AbortSignal): Engine['submit'] {
  return async (submissions, { clock = WALL, bytes = 0 } = {}) => {
    if (signal.aborted) throw stopping();
    if (clock !== WALL) throw recorded();
    const leave = backlog.enter(submissions.length, bytes);
    try {
      return await inputs.submit(submissions);
    } finally {
      leave();
    }
  };
}

function mappedTopicsOf(
  { mappings = [], log, ledger: { prefix } }: ClusterOptions,
  ledger: KafkaLedger,
  { outgoing }: Producers,
  submit: Engine['submit'],
): MappedTopics | null {
  if (mappings.length === 0) return null;
  return new MappedTopics({
    kafka: ledger.kafka,
    group: `${prefix}.mappings`,
    mappings,
    submit: async (events) => {
      await submit(events);
    },
    refuse: async ({ fault, stream, offset, value }) => {
      const letter = recordOfUnmapped(fault, { stream, offset }, value ?? Buffer.alloc(0));
      await outgoing.send(ledger.topics.deadLetters, 0, [letter]);
    },
    log,
  });
}
