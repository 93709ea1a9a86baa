import { setTimeout as wait } from 'node:timers/promises';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Entry } from '../events/entries.ts';
import { path } from '../machines/chart.ts';
import { isOver } from '../machines/vm.ts';

/** What is measured, in Prometheus's terms. Counts of attempts follow the committed entries; only open ones are kept. */

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const DECISION_SECONDS = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800];
/** How long collecting may take. */
const COLLECT_MS = 1000;
const ENTRIES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048];

/** What is read when somebody looks. */
export type Gauges = {
  ready: () => boolean;
  queued: () => number;
  outstanding: () => { questions: number; commands: number };
  silentAgents: () => number;
  /** How many attempts are in each state, counted in the ledger's projections. */
  counts: () => { at: string; contested: boolean; count: number }[];
  open: () => Iterable<{ migration: string; at: string; contested: boolean }>;
  /** Where several instances share the partitions. */
  cluster?: {
    readonly lag: readonly Lag[];
    readonly relayLag: readonly Lag[];
    readonly unreadTopics: readonly string[];
    readonly owned: readonly number[];
    /** May take long, or fail, while the brokers do not answer. */
    inputLag: () => Promise<readonly Lag[]>;
  };
};

type Lag = { readonly partition: number; readonly records: number };
type Place = { readonly at: string; readonly contested: boolean };
/** One of each, however many attempts are there. */
const places = new Map<string, Place>();

function placeOf(at: string, contested: boolean): Place {
  const key = `${at} ${contested}`;
  const place = places.get(key) ?? { at, contested };
  places.set(key, place);
  return place;
}

export class Metrics {
  readonly registry = new Registry();
  readonly #gauges: Gauges;
  readonly #counts = new Map<string, number>();
  readonly #open = new Map<string, Place>();
  #contested = 0;
  readonly #verdicts = this.#counter('landfall_verdicts_total', 'Verdicts by the row that decided', ['row', 'outcome']);
  readonly #inputs = this.#counter('landfall_inputs_total', 'Inputs by what became of them', ['outcome']);
  readonly #faults = this.#counter('landfall_ledger_faults_total', 'Times the ledger refused a commit', ['code']);
  readonly #truncated = this.#counter(
    'landfall_buried_total',
    'What was too large for its topic and did not leave whole',
    ['kind'],
  );
  readonly #rebalances = this.#counter('landfall_rebalances_total', 'Times the partitions were shared out anew', []);
  readonly #commitSize = this.#histogram('landfall_commit_entries', 'Entries in one commit', ENTRIES);
  readonly #commitTime = this.#histogram('landfall_commit_seconds', 'Time until a commit was durable', SECONDS);
  readonly #lateness = this.#histogram(
    'landfall_deadline_lateness_seconds',
    'How late the latest deadline of a turn fired',
    SECONDS,
  );
  readonly #decision = this.#histogram(
    'landfall_decision_seconds',
    'From the failed call to the verdict',
    DECISION_SECONDS,
  );
  readonly #durable = this.#histogram('landfall_input_seconds', 'From an input to its durable entry', SECONDS);

  constructor(gauges: Gauges) {
    this.#gauges = gauges;
    collectDefaultMetrics({ register: this.registry });
    this.#gauge('landfall_ready', '1 while inputs can be taken', () => (gauges.ready() ? 1 : 0));
    this.#gauge('landfall_inputs_waiting', 'Inputs that wait for their commit', gauges.queued);
    this.#gauge('landfall_contested', 'Attempts that wait for a person', () => this.#contested);
    this.#gauge('landfall_agents_silent', 'Known hosts whose agent is not heard', gauges.silentAgents);
    this.#stateGauge();
    this.#outstandingGauge();
    if (gauges.cluster !== undefined) this.#clusterGauges(gauges.cluster);
  }

  /** Counts anew, after a claim. */
  recount(): void {
    this.#counts.clear();
    this.#open.clear();
    this.#contested = 0;
    for (const { at, contested, count } of this.#gauges.counts()) this.#count({ at, contested }, count);
    for (const { migration, at, contested } of this.#gauges.open()) this.#open.set(migration, placeOf(at, contested));
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

  /** Verdicts are counted by whoever decided them; where attempts stand, every instance knows. */
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
    const next = placeOf(path(state.value), attempt.verdicts.at(-1)?.contested === true);
    const before = this.#open.get(migration) ?? settledBefore(next.at, attempt.verdicts.length);
    if (before !== null) this.#count(before, -1);
    this.#count(next, 1);
    if (isOver(state)) this.#open.delete(migration);
    else this.#open.set(migration, next);
  }

  #count({ at, contested }: Place, change: number): void {
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
    this.#gauge('landfall_partitions_owned', 'Partitions that this instance decides', () => cluster.owned.length);
    this.#lagGauge('landfall_copy_lag_records', 'Records of the ledger that are not in the local copy yet', () =>
      Promise.resolve(cluster.lag),
    );
    const unreadHelp = 'Topics of others that are mapped and not read just now';
    this.#gauge('landfall_mapped_topics_unread', unreadHelp, () => cluster.unreadTopics.length);
    const relayHelp = 'Entries decided here whose commands and dead letters are not known to have left yet';
    this.#lagGauge('landfall_relay_lag_entries', relayHelp, () => Promise.resolve(cluster.relayLag));
    this.#lagGauge('landfall_input_lag_records', 'Inputs of the partitions decided here that are not decided yet', () =>
      withoutWaiting(cluster.inputLag()),
    );
  }

  /** What is not known is not there: a lag of none would be a claim. */
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
      help: 'Questions and commands that nobody has answered yet',
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

/** Whoever collects metrics does not wait for brokers. */
function withoutWaiting(lag: Promise<readonly Lag[]>): Promise<readonly Lag[]> {
  const none: readonly Lag[] = [];
  return Promise.race([lag.catch(() => none), wait(COLLECT_MS, none, { ref: false })]);
}

/** An attempt that was not open until now is new, or was settled and is doubted: then it keeps its side at first. */
function settledBefore(at: string, verdicts: number): Place | null {
  return verdicts === 0 ? null : placeOf(`${at.split('.')[0]}.settled`, false);
}
