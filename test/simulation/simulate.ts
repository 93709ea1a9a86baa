import type { Entry } from '../../events/entries.ts';
import type { Volume } from '../../events/vocabulary.ts';
import { Checker } from './checker/checker.ts';
import { describe, isAtRest } from './checker/endings.ts';
import { checkReplays } from './landfall/replay.ts';
import { type Damage, Service } from './landfall/service.ts';
import { type AgentRules, Agents } from './world/agents.ts';
import { Disasters } from './world/disasters.ts';
import { everyFault, type FaultKind } from './world/faults.ts';
import { type Guest, Hypervisor } from './world/hypervisor.ts';
import { LockManager } from './world/lock-manager.ts';
import { Orchestrator } from './world/orchestrator.ts';
import { type Letter, Outbox } from './world/outbox.ts';
import { Sim, type Violation } from './world/sim.ts';

export type Options = {
  readonly seed: number;
  readonly faults?: ReadonlySet<FaultKind>;
  /** The most VMs a world has. */
  readonly vmsMax?: number;
  readonly tracing?: boolean;
  /** Repeats the run in other batches, which costs as much again. */
  readonly replays?: boolean;
  readonly damage?: Damage;
  readonly agentRules?: AgentRules;
  /** A long run: so many guests, and what befalls them, over days. */
  readonly span?: Span;
};
export type Span = {
  readonly days: number;
  readonly hosts: number;
  readonly guests: number;
  readonly migrationsPerDay: number;
  readonly disastersPerHour: number;
  /** Told at the end of each day, what the running partition weighs. */
  readonly onDay: (day: number, weight: { bytes: number; open: number }) => void;
  readonly usedBytes: () => number;
};
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
  /** How often each row decided. */
  readonly rows: ReadonlyMap<string, number>;
};

const WHOLE: AgentRules = { deduplicates: true, checksTokens: true };
/** The longest that a fault lasts once it began: a lingering shell, a queued and slow migration. */
const AFTERMATH_MS = 110_000;

/** One world from a seed, from its beginning until everything is settled. The same options give the same run. */
export async function simulate(options: Options): Promise<Run> {
  return new World(options).run();
}

class World {
  readonly #options: Options;
  readonly #sim: Sim;
  readonly #checker: Checker;
  readonly #service: Service;
  readonly #hypervisor: Hypervisor;
  readonly #outbox: Outbox;
  readonly #locks: LockManager;
  readonly #agents: Agents;
  readonly #orchestrator: Orchestrator;
  readonly #settings: Settings;
  readonly #rows = new Map<string, number>();

  constructor(options: Options) {
    this.#options = options;
    const sim = new Sim(String(options.seed), options.faults ?? everyFault, options.tracing ?? false);
    this.#sim = sim;
    this.#settings = settingsOf(sim, options.span);
    this.#checker = new Checker(sim);
    this.#hypervisor = new Hypervisor(sim);
    this.#locks = new LockManager(sim);
    this.#outbox = new Outbox(sim, (letter) => this.#service.deliver(letter));
    this.#service = new Service(sim, {
      ask: (question) => this.#agents.ask(question),
      send: (command) => {
        this.#checker.sent(command, this.#service);
        const { host } = command;
        if (host === null) this.#orchestrator.send(command);
        else this.#agents.send({ ...command, host });
      },
      committed: (stored, service) => {
        this.#checker.committed(stored, service);
        for (const { entry } of stored) this.#look(entry);
      },
      refused: (letter, code) => this.#refused(letter, code),
      ...(options.damage === undefined ? {} : { damage: options.damage }),
      ...(options.span === undefined ? {} : { records: false }),
    });
    this.#populate(options.vmsMax ?? 3);
    this.#agents = new Agents(
      sim,
      this.#hypervisor,
      this.#locks,
      this.#outbox,
      this.#checker,
      options.agentRules ?? WHOLE,
    );
    const { ledger } = this.#service;
    this.#orchestrator = new Orchestrator(sim, this.#hypervisor, this.#outbox, this.#agents, {
      openOf: (vm) => ledger.record(vm)?.open ?? [],
      openAttempts: () => ledger.openAttempts(),
      whenDurable: (letter, run) => this.#service.whenDurable(letter, run),
    });
    this.#checker.know({ world: this.#hypervisor, locks: this.#locks, transfers: this.#orchestrator.transfers });
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
    sim.faultsUntil = this.#settings.faultsUntilMs;
    await this.#service.start();
    const change = this.#settings.configuration;
    this.#outbox.post(
      {
        source: 'operator',
        id: 'c1',
        type: 'landfall.configuration.set.v1',
        vm: null,
        data: { change, operator: 'ops' },
      },
      1,
    );
    this.#agents.introduce();
    for (const guest of this.#hypervisor.guests.values()) this.#live(guest);
    const parts = {
      world: this.#hypervisor,
      agents: this.#agents,
      outbox: this.#outbox,
      orchestrator: this.#orchestrator,
    };
    new Disasters(sim, { ...parts, stepClock: (ms) => this.#service.stepClock(ms) }).plan(this.#settings.disasters);
    const { span } = this.#options;
    for (let day = 1; day <= (span?.days ?? 0); day += 1) this.#weighAt(day * DAY_MS, day);
    for (let hour = 1; hour < 24 * (span?.days ?? 0); hour += 1)
      sim.schedule.at(hour * HOUR_MS, () => this.#orchestrator.tidy());
    await sim.schedule.runUntil(this.#settings.endMs, () => this.#isDone());
    this.#checkEnd();
    if (this.#options.replays === true && sim.violations.length === 0) await checkReplays(sim, this.#service);
    return this.#result();
  }

  #weighAt(at: number, day: number): void {
    const { span } = this.#options;
    this.#sim.schedule.at(at, () => {
      const weight = span === undefined ? null : this.#service.weigh(span.usedBytes);
      if (weight === null) this.#weighAt(at + 5000, day);
      else span?.onDay(day, weight);
    });
  }

  /** A guest's life: declared, and migrated a few times. */
  #live(guest: Guest): void {
    const random = this.#sim.random(`life:${guest.vm}`);
    this.#orchestrator.declare(guest);
    const { span } = this.#options;
    const migrations = span === undefined ? random.integer(1, 3) : Math.round(span.days * span.migrationsPerDay);
    for (let nth = 0; nth < migrations; nth += 1) {
      const at = 200 + random.integer(0, nth === 0 ? 5000 : this.#settings.faultsUntilMs);
      this.#sim.schedule.at(at, () => this.#orchestrator.migrate(guest));
    }
  }

  /** People look at what is committed, and its verdicts are counted. */
  #look({ attempt, verdict }: Entry): void {
    if (attempt === null) return;
    this.#orchestrator.attend(attempt);
    const row = verdict === null ? undefined : attempt.attempt.verdicts.at(-1)?.row;
    if (row !== undefined) this.#rows.set(row, (this.#rows.get(row) ?? 0) + 1);
  }

  /** A report that cannot be followed here is a defect of one of the two. */
  #refused(letter: Letter, code: string): void {
    const expected = ['ATTEMPT_OPEN', 'NOT_CONTESTED', 'NOT_ATTESTED', 'UNKNOWN_ATTEMPT'].includes(code);
    if (!expected) this.#sim.violate('refused', `${letter.source} ${letter.id} was refused: ${code}`);
  }

  #isDone(): boolean {
    if (this.#sim.violations.length > 0 && this.#options.tracing !== true) return true;
    const calm = this.#sim.now > this.#settings.faultsUntilMs + AFTERMATH_MS;
    return calm && this.#service.idle && !this.#orchestrator.isMoving && this.#attemptsAtWork().length === 0;
  }

  #attemptsAtWork() {
    return [...this.#service.ledger.openAttempts()].filter(({ state }) => !isAtRest(state));
  }

  #checkEnd(): void {
    if (this.#sim.violations.length > 0) return;
    for (const { state } of this.#attemptsAtWork()) this.#sim.violate('every attempt ends', describe(state));
    this.#checker.rebuilds(this.#service);
  }

  #result(): Run {
    const { ledger, restarts } = this.#service;
    const { violations, lines, happened } = this.#sim;
    return {
      seed: this.#options.seed,
      violations,
      lines,
      happened,
      entries: ledger.stored.at(-1)?.sequence ?? 0,
      head: ledger.stored.at(-1)?.hash ?? '',
      restarts,
      rows: this.#rows,
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
  // Two timeouts, for what is reopened late; the longest wait between two tries of a command; and a clock that went back.
  const lastMs = (2 * recheckTimeoutSeconds + 4 * questionLimitSeconds + 64 * 2 * commandRetrySeconds) * 1000 + 150_000;
  const configuration = { recheckTimeoutSeconds, questionLimitSeconds, commandRetrySeconds, recheckIntervalSeconds };
  return { configuration, faultsUntilMs, disasters, endMs: faultsUntilMs + AFTERMATH_MS + lastMs };
}
