import type { Entry } from '../../events/entries.ts';
import type { DomainJob } from '../../events/libvirt.ts';
import type { Volume } from '../../events/vocabulary.ts';
import type { Receipt } from '../../service/engine/engine.ts';
import { Checker } from './checker/checker.ts';
import { describe, isAtRest } from './checker/endings.ts';
import { checkReplays } from './landfall/replay.ts';
import { Post } from './landfall/post.ts';
import { type Damage, type KillAt, Service } from './landfall/service.ts';
import { type AgentRules, Agents } from './world/agents.ts';
import { Disasters } from './world/disasters.ts';
import { everyFault, type FaultKind } from './world/faults.ts';
import { type Guest, Hypervisor } from './world/hypervisor.ts';
import { LockManager } from './world/lock-manager.ts';
import { Orchestrator } from './world/orchestrator.ts';
import { type Letter, Outbox } from './world/outbox.ts';
import type { Poll } from './world/poller.ts';
import { type Likely, Sim, type Violation } from './world/sim.ts';

export type Options = {
  readonly seed: number;
  readonly faults?: ReadonlySet<FaultKind>;
  readonly likely?: Likely;
  /** The maximum number of VMs in a world. */
  readonly vmsMax?: number;
  readonly tracing?: boolean;
  /** Replays the run in other batches, which doubles the cost. */
  readonly replays?: boolean;
  readonly damage?: Damage;
  /** The service is killed at this commit only. */
  readonly killAt?: KillAt;
  /** Called with the world before its start, to plan events in addition to the random ones. */
  readonly story?: (world: Told) => void;
  /** Only a violation of this rule ends the world early. */
  readonly until?: string;
  readonly agentRules?: AgentRules;
  /** A long run: the number of guests and failures over several days. */
  readonly span?: Span;
};
type Told = { readonly sim: Sim; readonly hypervisor: Hypervisor; readonly agents: Agents };
export type Span = {
  readonly days: number;
  readonly hosts: number;
  readonly guests: number;
  readonly migrationsPerDay: number;
  readonly disastersPerHour: number;
  /** Called at the end of each day with the memory of the running partition. */
  readonly onDay: (day: number, weight: { bytes: number; open: number }) => void;
  readonly usedBytes: () => number;
};
/** Refusals of requests that are right, but came too late or contradict the hosts. */
const EXPECTED_REFUSALS: ReadonlySet<string> = new Set([
  'ATTEMPT_OPEN',
  'NOT_CONTESTED',
  'NOT_ATTESTED',
  'UNKNOWN_ATTEMPT',
  'ATTEMPT_SETTLED',
  'HOST_LACKS_GUEST',
  'GUEST_RUNNING',
]);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
export type Run = {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly lines: readonly string[];
  readonly happened: ReadonlyMap<FaultKind, number>;
  readonly entries: number;
  readonly head: string;
  readonly restarts: number;
  readonly commits: number;
  /** The number of verdicts per row. */
  readonly rows: ReadonlyMap<string, number>;
  /** The jobs that hosts reported in answers about open attempts. */
  readonly jobs: ReadonlySet<DomainJob>;
};

const WHOLE: AgentRules = { deduplicates: true, checksTokens: true };
/** No fault happens before this time. */
const BEGINNING_MS = 1000;
/** The longest duration of a fault: a lingering shell, or a queued and slow migration. */
const AFTERMATH_MS = 110_000;

/** Simulates one world from a seed until everything is settled. The same options give the same run. */
export async function simulate(options: Options): Promise<Run> {
  return new World(options).run();
}

class World {
  readonly #options: Options;
  readonly #sim: Sim;
  readonly #checker: Checker;
  readonly #service: Service;
  readonly #hypervisor: Hypervisor;
  readonly #post: Post;
  readonly #outbox: Outbox;
  readonly #locks: LockManager;
  readonly #agents: Agents;
  readonly #orchestrator: Orchestrator;
  readonly #settings: Settings;
  readonly #rows = new Map<string, number>();
  readonly #jobs = new Set<DomainJob>();
  readonly #whenDurable = new Map<string, () => void>();

  constructor(options: Options) {
    this.#options = options;
    const sim = new Sim(String(options.seed), options.faults ?? everyFault, options.tracing ?? false, options.likely);
    this.#sim = sim;
    this.#settings = settingsOf(sim, options.span);
    this.#checker = new Checker(sim);
    this.#hypervisor = new Hypervisor(sim);
    this.#locks = new LockManager(sim);
    this.#service = this.#serviceOf(options);
    this.#post = new Post(sim, this.#service, (letter, receipt) => this.#acknowledged(letter, receipt));
    this.#outbox = new Outbox(sim, this.#post);
    this.#populate(options.vmsMax ?? 3);
    const ways: { outbox: Outbox; poll: Poll } = {
      outbox: this.#outbox,
      poll: (recipient, ask, reply) => this.#service.poll(recipient, ask, reply),
    };
    this.#agents = new Agents(sim, this.#hypervisor, this.#locks, ways, this.#checker, options.agentRules ?? WHOLE);
    const { ledger } = this.#service;
    this.#orchestrator = new Orchestrator(sim, this.#hypervisor, ways, this.#agents, {
      openOf: (vm) => ledger.record(vm)?.open ?? [],
      openAttempts: () => ledger.openAttempts(),
      whenDurable: this.#onDurable,
    });
    this.#checker.know({ world: this.#hypervisor, locks: this.#locks, transfers: this.#orchestrator.transfers });
  }

  #serviceOf({ damage, killAt, span }: Options): Service {
    const rules = this.#checker.service;
    return new Service(this.#sim, {
      committed: (stored, decidedAt) => {
        this.#checker.committed(stored, this.#service, decidedAt);
        for (const { entry } of stored) this.#look(entry);
      },
      quiet: () => rules.rebuilds(this.#service),
      handedOut: (item) => rules.handedOut(item, this.#service),
      submitted: (letters) => rules.submitted(letters, this.#service),
      rejected: (letters) => rules.rejected(letters),
      agentSilentMs: this.#settings.agentSilentMs,
      ...(damage === undefined ? {} : { damage }),
      ...(killAt === undefined ? {} : { killAt }),
      ...(span === undefined ? {} : { records: false }),
    });
  }

  readonly #onDurable = ({ source, id }: Pick<Letter, 'source' | 'id'>, run: () => void): void => {
    this.#whenDurable.set(`${source}\n${id}`, run);
  };

  /** The sender continues. A report that the ledger refuses here is a defect of the sender or of Landfall. */
  #acknowledged(letter: Letter, { refusal }: Receipt): void {
    this.#checker.service.acknowledged(letter);
    const key = `${letter.source}\n${letter.id}`;
    const run = this.#whenDurable.get(key);
    this.#whenDurable.delete(key);
    run?.();
    if (refusal === null) return;
    if (!EXPECTED_REFUSALS.has(refusal.code))
      this.#sim.violate('refused', `${letter.source} ${letter.id} was refused: ${refusal.code}`);
  }

  #populate(vmsMax: number): void {
    const random = this.#sim.random('population');
    const { span } = this.#options;
    const hosts = span?.hosts ?? random.integer(2, 5);
    for (let nth = 1; nth <= hosts; nth += 1) this.#hypervisor.addHost(`host-${nth}`);
    const vms = span?.guests ?? Math.min(vmsMax, random.integer(1, 3));
    for (let nth = 1; nth <= vms; nth += 1) {
      const own = this.#sim.random(`vm:${nth}`);
      const volumes: Volume[] = [
        { volume: `disk-${nth}`, shareable: false, lockedBy: own.chance(0.8) ? 'landfall' : 'hypervisor' },
      ];
      if (own.chance(0.3)) volumes.push({ volume: `data-${nth}`, shareable: false, lockedBy: 'landfall' });
      if (own.chance(0.3)) volumes.push({ volume: `shared-${nth}`, shareable: true, lockedBy: 'landfall' });
      const home = `host-${own.integer(1, hosts)}`;
      const vm = `00000000-0000-4000-8000-${String(nth).padStart(12, '0')}`;
      this.#hypervisor.addGuest({ vm, name: `vm${nth}`, volumes, persistent: own.chance(0.6) }, home, own.chance(0.85));
      for (const { volume, shareable } of volumes) if (!shareable) this.#locks.hold(volume, home);
    }
  }

  async run(): Promise<Run> {
    const sim = this.#sim;
    await this.#begin();
    this.#options.story?.({ sim, hypervisor: this.#hypervisor, agents: this.#agents });
    sim.faultsUntil = this.#settings.faultsUntilMs;
    for (const guest of this.#hypervisor.guests.values()) this.#live(guest);
    const parts = {
      world: this.#hypervisor,
      agents: this.#agents,
      outbox: this.#outbox,
      orchestrator: this.#orchestrator,
    };
    new Disasters(sim, { ...parts, service: this.#service, whenDurable: this.#onDurable }).plan(
      this.#settings.disasters,
    );
    const { span } = this.#options;
    for (let day = 1; day <= (span?.days ?? 0); day += 1) this.#weighAt(day * DAY_MS, day);
    for (let hour = 1; hour < 24 * (span?.days ?? 0); hour += 1)
      sim.schedule.at(hour * HOUR_MS, () => this.#orchestrator.tidy());
    await sim.schedule.runUntil(this.#settings.endMs, () => this.#isDone());
    this.#checkEnd();
    if (this.#options.replays === true && sim.violations.length === 0) await checkReplays(sim, this.#service);
    return this.#result();
  }

  /** Hosts, guests and settings are registered first, because an unregistered host cannot be asked. */
  async #begin(): Promise<void> {
    const { schedule } = this.#sim;
    this.#service.start();
    await schedule.runUntil(BEGINNING_MS, () => this.#service.isReady);
    const begun = this.#sim.now;
    const data = { change: this.#settings.configuration, operator: 'ops' };
    this.#outbox.post({ source: 'operator', id: 'c1', type: 'landfall.configuration.set.v1', vm: null, data }, 1);
    this.#agents.introduce();
    for (const guest of this.#hypervisor.guests.values()) this.#orchestrator.declare(guest);
    this.#orchestrator.start();
    // A posted input takes some milliseconds to arrive.
    await schedule.runUntil(BEGINNING_MS, () => this.#sim.now > begun + 50 && this.#post.count === 0);
  }

  #weighAt(at: number, day: number): void {
    const { span } = this.#options;
    this.#sim.schedule.at(at, () => {
      const weight = span === undefined ? null : this.#service.weigh(span.usedBytes);
      if (weight === null) this.#weighAt(at + 5000, day);
      else span?.onDay(day, weight);
    });
  }

  /** Migrates a guest several times. */
  #live(guest: Guest): void {
    const random = this.#sim.random(`life:${guest.vm}`);
    const { span } = this.#options;
    const migrations = span === undefined ? random.integer(1, 3) : Math.round(span.days * span.migrationsPerDay);
    for (let nth = 0; nth < migrations; nth += 1) {
      const at = 200 + random.integer(0, nth === 0 ? 5000 : this.#settings.faultsUntilMs);
      this.#sim.schedule.at(at, () => this.#orchestrator.migrate(guest));
    }
  }

  /** Lets operators react to committed entries, counts the verdicts and collects the reported jobs. */
  #look({ attempt, verdict }: Entry): void {
    if (attempt === null) return;
    this.#orchestrator.attend(attempt);
    for (const { answer } of Object.values(attempt.attempt.asked))
      if (answer !== null && answer.domain !== null) this.#jobs.add(answer.domain.job);
    const row = verdict === null ? undefined : attempt.attempt.verdicts.at(-1)?.row;
    if (row !== undefined) this.#rows.set(row, (this.#rows.get(row) ?? 0) + 1);
  }

  get #isBroken(): boolean {
    const { until } = this.#options;
    return this.#sim.violations.some(({ rule }) => until === undefined || rule === until);
  }

  #isDone(): boolean {
    if (this.#isBroken && this.#options.tracing !== true) return true;
    const calm = this.#sim.now > this.#settings.faultsUntilMs + AFTERMATH_MS;
    return (
      calm &&
      this.#service.isReady &&
      this.#post.count === 0 &&
      !this.#orchestrator.isMoving &&
      this.#attemptsAtWork().length === 0
    );
  }

  #attemptsAtWork() {
    return [...this.#service.ledger.openAttempts()].filter(({ state }) => !isAtRest(state));
  }

  #checkEnd(): void {
    if (this.#sim.violations.length > 0) return;
    for (const { state } of this.#attemptsAtWork()) this.#sim.violate('every attempt ends', describe(state));
    this.#checker.service.rebuilds(this.#service);
  }

  #result(): Run {
    const { ledger, restarts, commits } = this.#service;
    const { violations, lines, happened } = this.#sim;
    return {
      seed: this.#options.seed,
      violations,
      lines,
      happened,
      entries: ledger.stored.at(-1)?.sequence ?? 0,
      head: ledger.stored.at(-1)?.hash ?? '',
      restarts,
      commits,
      rows: this.#rows,
      jobs: this.#jobs,
    };
  }
}

type Settings = ReturnType<typeof settingsOf>;

function settingsOf(sim: Sim, span: Span | undefined) {
  const random = sim.random('settings');
  const recheckTimeoutSeconds = random.pick([20, 45, 60, 90]);
  const questionLimitSeconds = random.pick([1, 2, 5]);
  const commandRetrySeconds = random.pick([0.5, 1, 2]);
  const recheckIntervalSeconds = random.pick([3, 5, 10, 15]);
  const shortMs = random.pick([30_000, 60_000, 120_000]);
  const faultsUntilMs = span === undefined ? shortMs : span.days * DAY_MS;
  const disasters = span === undefined ? 3 : span.days * 24 * span.disastersPerHour;
  // Two timeouts for an attempt reopened late, the longest wait between two tries of a command, and a clock that was set back.
  const lastMs = (2 * recheckTimeoutSeconds + 4 * questionLimitSeconds + 64 * 2 * commandRetrySeconds) * 1000 + 150_000;
  const agentSilentMs = random.pick([3000, 10_000, 30_000]);
  const configuration = { recheckTimeoutSeconds, questionLimitSeconds, commandRetrySeconds, recheckIntervalSeconds };
  return { configuration, agentSilentMs, faultsUntilMs, disasters, endMs: faultsUntilMs + AFTERMATH_MS + lastMs };
}
