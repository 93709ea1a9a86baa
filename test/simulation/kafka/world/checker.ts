import type { Entry } from '../../../../events/entries.ts';
import { topicsOf } from '../../../../kafka/options.ts';
import type { FetchedRecord } from '../../../../kafka/port.ts';
import { link } from '../../../../log/chain.ts';
import { recordOf } from '../../../../log/kafka/records.ts';
import { GENESIS, type Head } from '../../../../log/port.ts';
import type { Receipt, Submission } from '../../../../service/engine/engine.ts';
import type { SimulatedCluster } from '../broker/cluster.ts';
import { PREFIX } from './instance.ts';
import type { Instance } from './instance.ts';
import type { KafkaSim } from './kafka-sim.ts';

type Stored = { readonly hash: string; readonly entry: Entry };

/** The committed ledger of one partition, as the topic shows it. */
type Committed = {
  readonly entries: Stored[];
  /** The position at which each input was first consumed, by its identity. */
  readonly inputs: Map<string, number>;
  readonly timers: Set<string>;
  /** The last consumed offset of the topic of inputs. */
  consumed: number;
  /** The offset of the last entry that an input caused. */
  lastInput: number;
};

type Unfinished = { readonly rule: string; readonly reason: string };

const { inputs: INPUTS, ledger: LEDGER, commands: COMMANDS } = topicsOf(PREFIX);
const GROUP_SLACK_MS = 60_000;

/**
 * Checks a Kafka world: every committed record when it becomes visible, and the complete ledger when the world is calm.
 */
export class KafkaChecker {
  readonly #sim: KafkaSim;
  readonly #cluster: SimulatedCluster;
  readonly #partitions: Committed[];
  /** The ids of committed questions and commands, each with the number of times it was relayed. */
  readonly #outgoing = new Map<string, number>();
  readonly #acknowledged: Submission[] = [];
  /** The time since which an instance that is not assigned the partition has claimed it, and the number of its claims. */
  readonly #intruders = new Map<string, number>();
  claims = 0;

  constructor(sim: KafkaSim, cluster: SimulatedCluster, partitions: number) {
    this.#sim = sim;
    this.#cluster = cluster;
    this.#partitions = Array.from({ length: partitions }, () => ({
      entries: [],
      inputs: new Map(),
      timers: new Set(),
      consumed: -1,
      lastInput: -1,
    }));
    for (let partition = 0; partition < partitions; partition += 1) {
      cluster.log(LEDGER, partition).onCommitted = (records) => this.#committed(partition, records);
      cluster.log(COMMANDS, partition).onAppended = (records) => this.#relayed(records);
    }
  }

  get entries(): number {
    return this.#partitions.reduce((sum, { entries }) => sum + entries.length, 0);
  }

  /** The hashes of the last entries, which identify everything that the world decided. */
  get heads(): string {
    return this.#partitions.map(({ entries }) => entries.at(-1)?.hash.slice(0, 12) ?? '-').join(' ');
  }

  #committed(partition: number, records: readonly FetchedRecord[]): void {
    const committed = this.#partitions[partition];
    if (committed === undefined) return;
    for (const fetched of records) {
      const record = recordOf(partition, fetched);
      if (record.kind === 'claim') this.#claimed(partition, fetched);
      if (record.kind === 'foreign') this.#sim.violate('no foreign record', record.reason);
      if (record.kind !== 'entry' && record.kind !== 'positions') continue;
      if (record.kind === 'entry') this.#entry(partition, committed, record.link);
      for (const { stream, offset } of record.progressed.inputPositions) {
        if (stream !== `${INPUTS}/${partition}`) this.#sim.violate('one stream', stream);
        if (offset < committed.consumed)
          this.#sim.violate('positions rise', `${partition}: ${offset} after ${committed.consumed}`);
        committed.consumed = Math.max(committed.consumed, offset);
      }
    }
  }

  #entry(
    partition: number,
    committed: Committed,
    { sequence, previous, hash, text }: Head & { previous: string; text: string },
  ): void {
    const { entries } = committed;
    const head = entries.at(-1)?.hash ?? GENESIS;
    const isNext = sequence === entries.length + 1 && previous === head && hash === link(previous, text);
    if (!isNext)
      return this.#sim.violate(
        'chain whole',
        `entry ${sequence} of partition ${partition} does not continue the chain`,
      );
    const entry = JSON.parse(text) as Entry;
    entries.push({ hash, entry });
    this.#sim.trace(
      () =>
        `  ${partition}:${sequence} ${entry.cause.kind === 'timer' ? entry.cause.timer : `${entry.cause.id} at ${entry.cause.offset}`}`,
    );
    this.#once(partition, committed, entry, sequence);
    for (const { question } of entry.questions) this.#expect(question);
    for (const { command } of entry.commands) this.#expect(command);
  }

  #expect(id: string): void {
    this.#outgoing.set(id, this.#outgoing.get(id) ?? 0);
  }

  /** An input may have several entries with one offset; a timer fires once. */
  #once(partition: number, committed: Committed, { cause }: Entry, sequence: number): void {
    if (cause.kind === 'timer') {
      const key = `${cause.migration} ${cause.timer} ${cause.generation}`;
      if (committed.timers.has(key)) this.#sim.violate('decided once', `the timer ${key} has fired twice`);
      committed.timers.add(key);
      return;
    }
    const { offset = -1 } = cause;
    const key = `${cause.source}\n${cause.id}`;
    const first = committed.inputs.get(key);
    if (first !== undefined && offset !== committed.lastInput) {
      this.#sim.violate('decided once', `${cause.id} is in entries ${first} and ${sequence} of partition ${partition}`);
    }
    if (offset < committed.lastInput)
      this.#sim.violate('order per VM', `${cause.id} at ${offset} after ${committed.lastInput}`);
    committed.lastInput = Math.max(offset, committed.lastInput);
    if (first === undefined) committed.inputs.set(key, sequence);
  }

  /** An instance that was fenced must not claim again before the group confirms the assignment. */
  #claimed(partition: number, { headers }: FetchedRecord): void {
    this.claims += 1;
    const { instance = '' } = JSON.parse(String(headers['landfall'])) as { instance?: string };
    this.#sim.trace(() => `  ${partition}: claimed by ${instance}`);
    const key = `${instance} ${partition}`;
    const assignee = this.#cluster.groups.assignee(`${PREFIX}.arbiter`, INPUTS, partition);
    if (assignee === null || assignee === instance) {
      this.#intruders.delete(key);
      return;
    }
    const claims = (this.#intruders.get(key) ?? 0) + 1;
    this.#intruders.set(key, claims);
    if (claims > 2)
      this.#sim.violate(
        'claims follow the group',
        `${instance} has claimed partition ${partition} of ${assignee} ${claims} times`,
      );
    this.#sim.after(GROUP_SLACK_MS, () => this.#intruders.delete(key));
  }

  #relayed(records: readonly FetchedRecord[]): void {
    for (const { headers } of records) {
      const id = String(headers['id']);
      const times = this.#outgoing.get(id);
      if (times === undefined)
        this.#sim.violate('committed before sent', `${id} was sent before its entry was committed`);
      this.#outgoing.set(id, (times ?? 0) + 1);
    }
  }

  acknowledged(submission: Submission, receipt: Receipt): void {
    this.#acknowledged.push(submission);
    if (receipt.outcome !== 'consumed' || receipt.position === null) return;
    const { source, id } = submission.input;
    for (const position of receipt.position.split(',')) {
      const [partition = 0, sequence = 0] = position.split(':').map(Number);
      const cause = this.#partitions[partition]?.entries[sequence - 1]?.entry.cause;
      const isRight = cause !== undefined && cause.kind !== 'timer' && cause.source === source && cause.id === id;
      if (!isRight) this.#sim.violate('receipts are true', `${id} was acknowledged at ${position}`);
    }
  }

  /** Called when entries became readable in a replica of an instance. */
  readable(partition: number, entries: readonly Entry[], head: Head): void {
    if (entries.length === 0) return;
    const committed = this.#partitions[partition]?.entries[head.sequence - 1];
    if (committed?.hash !== head.hash)
      this.#sim.violate('readers see committed entries', `${partition}:${head.sequence}`);
  }

  /** Returns the reasons why the world is not finished: inputs, replicas or commands that are behind. */
  unfinished(instances: readonly Instance[]): Unfinished[] {
    const inPartitions = this.#partitions.flatMap(({ entries, consumed }, partition): Unfinished[] => {
      const last = this.#cluster.log(INPUTS, partition).visible().at(-1)?.offset ?? -1;
      const behind = instances.filter(({ disks }) => disks[partition]?.stored.length !== entries.length);
      const unread = `inputs of partition ${partition} are consumed up to ${consumed} of ${last}`;
      return [
        ...(consumed < last ? [{ rule: 'every input is decided', reason: unread }] : []),
        ...behind.map(({ name }) => ({ rule: 'replicas complete', reason: `${partition} of ${name} is behind` })),
      ];
    });
    const unsent = [...this.#outgoing].filter(([, times]) => times === 0);
    return [...inPartitions, ...unsent.map(([id]) => ({ rule: 'commands relayed', reason: `${id} was not relayed` }))];
  }

  /** Checks the world after it has become calm. */
  finish(instances: readonly Instance[]): void {
    this.#partitions.forEach((committed, partition) => {
      for (const { disks, name } of instances)
        this.#compare(committed, disks[partition]?.stored ?? [], `${name}/${partition}`);
      for (const { offset, value } of this.#cluster.log(INPUTS, partition).visible()) {
        const { source, id } = JSON.parse(value?.toString() ?? '{}') as { source: string; id: string };
        const isLost = offset <= committed.consumed && !committed.inputs.has(`${source}\n${id}`);
        if (isLost) this.#sim.violate('no input lost', `${id} at ${offset} of partition ${partition} has no entry`);
      }
    });
    for (const { input } of this.#acknowledged) {
      const key = `${input.source}\n${input.id}`;
      if (!this.#partitions.some(({ inputs }) => inputs.has(key)))
        this.#sim.violate('no input lost', `${input.id} was acknowledged`);
    }
    for (const { rule, reason } of this.unfinished(instances)) this.#sim.violate(rule, reason);
  }

  #compare({ entries }: Committed, stored: readonly { readonly hash: string }[], name: string): void {
    const different = stored.findIndex(({ hash }, index) => entries[index]?.hash !== hash);
    if (different >= 0)
      this.#sim.violate('replicas equal', `the replica ${name} differs from the topic at entry ${different + 1}`);
  }
}
