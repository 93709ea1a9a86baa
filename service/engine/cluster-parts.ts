import type { DecisionTracker } from '../../consumers/kafka/decision-tracker.ts';
import type { MappedTopics } from '../../consumers/kafka/mapped-topics.ts';
import type { Mapping } from '../../consumers/kafka/mapping.ts';
import type { Membership } from '../../consumers/kafka/membership.ts';
import type { Time } from '../../engine/time.ts';
import type { KafkaLog } from '../../kafka/options.ts';
import type { RecordProducer } from '../../kafka/record-producer.ts';
import type { KafkaLedger, KafkaLedgerOptions } from '../../log/kafka/ledger.ts';
import type { Outgoing } from '../../producers/kafka/relay.ts';
import type { WorkQueue } from '../../producers/work-queue.ts';
import type { Part } from '../reads/parts.ts';
import type { Backlog } from './backlog.ts';
import type { Engine, EngineObserver } from './engine.ts';
import type { TopicInputs } from './topic-inputs.ts';

/** The types of the parts that one instance of a cluster consists of. */

export type ClusterObserver = EngineObserver & {
  /** Called when the group has assigned these partitions to this instance. */
  rebalanced?: (partitions: readonly number[]) => void;
  /** Called when a command or a dead letter was too large for its topic and was truncated. */
  truncated?: (kind: Outgoing) => void;
};

export type ClusterOptions = {
  readonly ledger: Omit<KafkaLedgerOptions, 'readable' | 'committed'>;
  readonly sessionTimeoutMs: number;
  /** Topics of orchestrators, and how their records become inputs. */
  readonly mappings?: readonly Mapping[];
  readonly time: Time;
  readonly log: KafkaLog;
  readonly observer?: ClusterObserver;
};

export type ClusterParts = {
  readonly ledger: KafkaLedger;
  readonly reads: readonly Part[];
  /** One tracker per partition. */
  readonly decisions: readonly DecisionTracker[];
  readonly producers: Producers;
  readonly inputs: TopicInputs;
  readonly backlog: Backlog;
  readonly submit: Engine['submit'];
  readonly membership: Membership;
  readonly mappedTopics: MappedTopics | null;
  readonly workQueue: WorkQueue;
  readonly observer: ClusterObserver;
  /** Aborted by `stop`. */
  readonly stopping: AbortSignal;
  readonly stop: () => void;
};

/** Two producers, because a failed send closes its producer, and outgoing records may fail longer than inputs do. */
export type Producers = { readonly inputs: RecordProducer; readonly outgoing: RecordProducer };
