/**
 * The interfaces that Landfall needs from a Kafka client: administration, consumers in a group, sends to one partition, and
 * transactions. `connectTo` implements them with kafkajs; a simulated cluster can implement them as well.
 *
 * A rejected call carries the protocol's name of the error as `type`, in the error itself or in its chain of causes.
 */

export type RecordHeaders = Readonly<Record<string, Buffer | string | (Buffer | string)[] | undefined>>;

/** A record to send. Strings are sent as UTF-8. */
export type NewRecord = {
  readonly key: Buffer | string | null;
  readonly value: Buffer | string | null;
  readonly headers?: RecordHeaders;
};

export type FetchedRecord = {
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: RecordHeaders;
};

/** The records of one fetch, all from one partition; never empty. */
export type FetchedBatch = {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly FetchedRecord[];
  /** The offset that the consumer requested. */
  readonly from: number;
  /** The offset after the batch, transaction markers included. */
  readonly next: number;
  /** The end of the partition when the batch was fetched. */
  readonly high: number;
};

export type TopicLayout = {
  readonly topic: string;
  readonly partitions: readonly { readonly hasLeader: boolean; readonly replicas: number }[];
};

export type NewTopic = {
  readonly topic: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly configs: Readonly<Record<string, string>>;
};

/** The offset of the first record of a partition, and the offset after its last committed record. */
export type OffsetRange = { readonly low: number; readonly high: number };

/** The next offset that a consumer group reads in one partition. */
export type GroupOffset = {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly next: number;
};

interface Connection {
  connect(): Promise<void>;
  /** Resolves within 3 s, also when the brokers do not answer. Never rejects. */
  close(): Promise<void>;
}

export interface KafkaAdmin extends Connection {
  topicNames(): Promise<string[]>;
  layouts(topics: readonly string[]): Promise<TopicLayout[]>;
  createTopics(topics: readonly NewTopic[]): Promise<void>;
  /**
   * Returns the values of the named settings, by topic and setting; a setting that the broker does not know is left
   * out.
   */
  configs(wanted: readonly { topic: string; names: readonly string[] }[]): Promise<Map<string, Map<string, string>>>;
  /** Returns the offset range of each partition. */
  ranges(topic: string): Promise<Map<number, OffsetRange>>;
  /** Returns the client ids of the members of a group. */
  groupClients(group: string): Promise<string[]>;
}

/** An idempotent producer. After a failed send its state is unknown and it must be closed. */
export interface KafkaProducer extends Connection {
  /**
   * Sends the records as one batch, acknowledged by every replica in sync.
   * @returns the offset of the first record, or null if the broker did not report it.
   */
  send(topic: string, partition: number, records: readonly NewRecord[]): Promise<number | null>;
}

export type TransactionOptions = {
  /** The transactional id: the first transaction of a newer producer with this id fences the older producer. */
  readonly id: string;
  readonly topic: string;
  readonly partition: number;
  /** The broker aborts a transaction that stays open for longer. */
  readonly timeoutMs: number;
};

/** A producer that writes to one partition in transactions, one after the other. */
export interface TransactionalProducer extends Connection {
  begin(): Promise<KafkaTransaction>;
}

/** After a rejected call the outcome is unknown and the producer must be closed. */
export interface KafkaTransaction {
  /** @returns the offset of the first record, or null if the broker did not report it. */
  send(records: readonly NewRecord[], options: { readonly compressed: boolean }): Promise<number | null>;
  sendOffset(offset: GroupOffset): Promise<void>;
  commit(): Promise<void>;
}

export type ConsumerSettings = {
  readonly group: string;
  /** A fetch without records returns after this time. */
  readonly fetchWaitMs: number;
  /** The size of one fetch per partition, in compressed bytes. */
  readonly fetchBytes?: number;
  /** The group removes a member that sends no heartbeat for this time. */
  readonly sessionTimeoutMs?: number;
  /** The number of partitions whose batches are handled at the same time; 1 by default. */
  readonly concurrency?: number;
  /** The partitions that this member does not want, read when it joins; the group assigns them to another member if it can. */
  readonly declined?: () => readonly number[];
};

export type BatchProgress = {
  /** Returns whether the batch is outdated: the consumer was moved by a seek, or is stopping. */
  isStale(): boolean;
  /** Fetching continues after this offset. */
  resolve(offset: number): void;
  /** Tells the group that this member is alive. */
  heartbeat(): Promise<void>;
  /** Commits the resolved offsets as offsets of the group. */
  commit(): Promise<void>;
};

/** The callbacks for the events of a consumer. */
export type ConsumerEvents = {
  /** Called when the group has assigned these partitions, by topic; nothing is fetched before this call returns. */
  assigned(assignment: ReadonlyMap<string, readonly number[]>): void;
  /** Called when the group begins to assign partitions again; the current assignment is no longer valid. */
  rebalancing(): void;
  heartbeat(): void;
  fetched(): void;
  /** Resolves when the next batch of this partition can be delivered. A rejection ends the consumer. */
  batch(batch: FetchedBatch, progress: BatchProgress): Promise<void>;
  /**
   * Called when a batch was handled. `next` is the offset after the batch, and `records` is 0 for a batch of
   * transaction markers alone.
   */
  passed(partition: number, next: number, records: number): void;
  /** Called when the consumer has ended and must be replaced. */
  crashed(error: Error): void;
};

/** A member of a consumer group. Offsets are committed by `BatchProgress.commit` only. */
export interface KafkaConsumer {
  /** Joins the group and reads the topics, from the beginning if the group has no offset. @throws if the group cannot be joined. */
  start(topics: readonly string[]): Promise<void>;
  seek(topic: string, partition: number, offset: number): void;
  pause(topic: string, partitions: readonly number[]): void;
  resume(topic: string, partitions: readonly number[]): void;
  /** Leaves the group. Resolves within 3 s and never rejects; a consumer that is still starting leaves once it has joined. */
  close(): Promise<void>;
}

/** A connection to one Kafka cluster. */
export interface KafkaClient {
  admin(): KafkaAdmin;
  producer(): KafkaProducer;
  transactionalProducer(options: TransactionOptions): TransactionalProducer;
  consumer(settings: ConsumerSettings, events: ConsumerEvents): KafkaConsumer;
}
