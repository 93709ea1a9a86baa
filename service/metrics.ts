import { setTimeout as wait } from 'node:timers/promises';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Entry } from '../events/entries.ts';
import { path } from '../machines/chart.ts';
import { isOver } from '../machines/vm.ts';

/** The Prometheus metrics of the service. Attempts are counted from committed entries; only open attempts are kept in memory. */

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const DECISION_SECONDS = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800];
/** The longest wait for a gauge that asks the brokers. */
const COLLECT_MS = 1000;
const ENTRIES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048];

/** The values read at each scrape. */
export type Gauges = {
  ready: () => boolean;
  queued: () => number;
  outstanding: () => { questions: number; commands: number };
  silentAgents: () => number;
  /** The number of attempts in each state, from the projections. */
  counts: () => { at: string; contested: boolean; count: number }[];
  open: () => Iterable<{ migration: string; at: string; contested: boolean }>;
  /** Present when several instances share the partitions. */
  cluster?: {
    readonly lag: readonly Lag[];
    readonly relayLag: readonly Lag[];
    readonly unreadTopics: readonly string[];
    readonly owned: readonly number[];
    /** Asks the brokers, so it can be slow or fail. */
    inputLag: () => Promise<readonly Lag[]>;
  };
};

type Lag = { readonly partition: number; readonly records: number };
type AttemptGroup = { readonly at: string; readonly contested: boolean };
/** Shared objects, one per state, so that an open attempt costs only a reference. */
const groups = new Map<string, AttemptGroup>();

function groupOf(at: string, contested: boolean): AttemptGroup {
  const key = `${at} ${contested}`;
  const group = groups.get(key) ?? { at, contested };
  groups.set(key, group);
  return group;
}

export class Metrics {
  readonly registry = new Registry();
  readonly #gauges: Gauges;
  readonly #counts = new Map<string, number>();
  readonly #open = new Map<string, AttemptGroup>();
  #contested = 0;
  readonly #verdicts = this.#counter('landfall_verdicts_total', 'Verdicts by row and outcome', ['row', 'outcome']);
  readonly #inputs = this.#counter('landfall_inputs_total', 'Inputs by outcome', ['outcome']);
  readonly #faults = this.#counter('landfall_ledger_faults_total', 'Failed commits to the ledger by error code', [
    'code',
  ]);
  readonly #truncated = this.#counter(
    'landfall_buried_total',
    'Records too large for their topic, of which only the first bytes were sent to the dead letters',
    ['kind'],
  );
  readonly #rebalances = this.#counter('landfall_rebalances_total', 'Rebalances of the consumer group', []);
  readonly #commitSize = this.#histogram('landfall_commit_entries', 'Entries in one commit', ENTRIES);
  readonly #commitTime = this.#histogram('landfall_commit_seconds', 'Seconds until a commit was durable', SECONDS);
  readonly #lateness = this.#histogram(
    'landfall_deadline_lateness_seconds',
    'Seconds by which the latest deadline of a turn fired late',
    SECONDS,
  );
  readonly #decision = this.#histogram(
    'landfall_decision_seconds',
    'Seconds from the failed migration call to the verdict',
    DECISION_SECONDS,
  );
  readonly #durable = this.#histogram('landfall_input_seconds', 'Seconds from an input to its durable entry', SECONDS);

  constructor(gauges: Gauges) {
    this.#gauges = gauges;
    collectDefaultMetrics({ register: this.registry });
    this.#gauge('landfall_ready', '1 while the service accepts inputs, otherwise 0', () => (gauges.ready() ? 1 : 0));
    this.#gauge('landfall_inputs_waiting', 'Inputs waiting for their commit', gauges.queued);
    this.#gauge(
      'landfall_contested',
      'Contested attempts, which wait for an operator or later evidence',
      () => this.#contested,
    );
    this.#gauge('landfall_agents_silent', 'Known hosts whose agent is silent', gauges.silentAgents);
    this.#stateGauge();
    this.#outstandingGauge();
    if (gauges.cluster !== undefined) this.#clusterGauges(gauges.cluster);
  }

  /** Counts all attempts again from the projections, after a claim. */
  recount(): void {
    this.#counts.clear();
    this.#open.clear();
    this.#contested = 0;
    for (const { at, contested, count } of this.#gauges.counts()) this.#count({ at, contested }, count);
    for (const { migration, at, contested } of this.#gauges.open()) this.#open.set(migration, groupOf(at, contested));
  }

  committed(entries: number, ms: number): void {
    this.#commitSize.observe(entries);
    this.#commitTime.observe(ms / 1000);
  }

  fired(_count: number, latenessMsMax: number): void {
    this.#lateness.observe(Math.max(0, latenessMsMax) / 1000);
  }

  died(code: string): void {
    this.#faults.inc({ code });
  }

  taken(outcome: string, ms: number): void {
    this.#inputs.inc({ outcome });
    this.#durable.observe(ms / 1000);
  }

  /** Counts committed entries. Verdicts are counted only by the instance that decided them (`isOwn`), states by every instance. */
  entries(entries: readonly Entry[], isOwn: boolean): void {
    for (const entry of entries) this.#entry(entry, isOwn);
  }

  truncated(kind: string): void {
    this.#truncated.inc({ kind });
  }

  rebalanced(): void {
    this.#rebalances.inc();
  }

  #entry({ attempt: state, verdict: number, time }: Entry, isOwn: boolean): void {
    if (state === null) return;
    const { attempt } = state;
    const verdict = attempt.verdicts.find((candidate) => candidate.number === number);
    if (verdict !== undefined && isOwn) {
      this.#verdicts.inc({ row: verdict.row, outcome: verdict.outcome });
      if (attempt.returnedAt !== null) this.#decision.observe(Math.max(0, time - attempt.returnedAt) / 1000);
    }
    const { migration } = attempt;
    const next = groupOf(path(state.value), attempt.verdicts.at(-1)?.contested === true);
    const before = this.#open.get(migration) ?? settledBefore(next.at, attempt.verdicts.length);
    if (before !== null) this.#count(before, -1);
    this.#count(next, 1);
    if (isOver(state)) this.#open.delete(migration);
    else this.#open.set(migration, next);
  }

  #count({ at, contested }: AttemptGroup, change: number): void {
    this.#counts.set(at, (this.#counts.get(at) ?? 0) + change);
    if (contested && at !== 'RolledBack.superseded') this.#contested += change;
  }

  #stateGauge(): void {
    const read = () => this.#counts;
    const gauge: Gauge<'state'> = new Gauge({
      name: 'landfall_attempts',
      help: 'Attempts by state',
      labelNames: ['state'],
      registers: [this.registry],
      collect: () => {
        gauge.reset();
        for (const [state, count] of read()) gauge.set({ state }, count);
      },
    });
  }

  #clusterGauges(cluster: NonNullable<Gauges['cluster']>): void {
    this.#gauge('landfall_partitions_owned', 'Partitions owned by this instance', () => cluster.owned.length);
    this.#lagGauge('landfall_copy_lag_records', 'Ledger records that the local replica does not have yet', () =>
      Promise.resolve(cluster.lag),
    );
    const unreadHelp = 'Mapped topics that the service cannot read at the moment';
    this.#gauge('landfall_mapped_topics_unread', unreadHelp, () => cluster.unreadTopics.length);
    const relayHelp = 'Entries of owned partitions after the relay checkpoint';
    this.#lagGauge('landfall_relay_lag_entries', relayHelp, () => Promise.resolve(cluster.relayLag));
    this.#lagGauge('landfall_input_lag_records', 'Undecided inputs of owned partitions', () =>
      withoutWaiting(cluster.inputLag()),
    );
  }

  /**
   * Registers a gauge with one value per partition. An unknown lag has no sample, because 0 would claim that there is
   * no lag.
   */
  #lagGauge(name: string, help: string, read: () => Promise<readonly Lag[]>): void {
    const gauge: Gauge<'partition'> = new Gauge({
      name,
      help,
      labelNames: ['partition'],
      registers: [this.registry],
      collect: async () => {
        const lag = await read();
        gauge.reset();
        for (const { partition, records } of lag) gauge.set({ partition: String(partition) }, records);
      },
    });
  }

  #outstandingGauge(): void {
    const read = () => this.#gauges.outstanding();
    const gauge: Gauge<'kind'> = new Gauge({
      name: 'landfall_outstanding',
      help: 'Questions and commands without an answer',
      labelNames: ['kind'],
      registers: [this.registry],
      collect: () => {
        const { questions, commands } = read();
        gauge.set({ kind: 'question' }, questions);
        gauge.set({ kind: 'command' }, commands);
      },
    });
  }

  #gauge(name: string, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({ name, help, registers: [this.registry], collect: () => gauge.set(read()) });
  }

  #counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name, help, buckets, registers: [this.registry] });
  }
}

/** Resolves with no values when the brokers do not answer in time, so that a scrape does not wait for them. */
function withoutWaiting(lag: Promise<readonly Lag[]>): Promise<readonly Lag[]> {
  const none: readonly Lag[] = [];
  return Promise.race([lag.catch(() => none), wait(COLLECT_MS, none, { ref: false })]);
}

/**
 * Returns the previous state of an attempt that was not open: null if it is new, else the settled state that the new verdict
 * reopened.
 */
function settledBefore(at: string, verdicts: number): AttemptGroup | null {
  return verdicts === 0 ? null : groupOf(`${at.split('.')[0]}.settled`, false);
}
