import type { AttemptState } from '../../../events/attempt.ts';
import type { Command } from '../../../events/commands.ts';
import type { CallError, InputData } from '../../../events/inputs.ts';
import { path } from '../../../machines/chart.ts';
import type { Agents } from './agents.ts';
import type { Guest, Hypervisor } from './hypervisor.ts';
import { ORCHESTRATOR } from '../../../producers/work-queue.ts';
import type { Outbox } from './outbox.ts';
import { Poller, type Poll } from './poller.ts';
import type { Random } from './random.ts';
import type { Sim } from './sim.ts';
import { Transfer } from './transfer.ts';

/** The view of Landfall that the orchestrator has: open attempts, and the time when a report is durable. */
export interface View {
  openOf(vm: string): readonly string[];
  openAttempts(): Iterable<{ state: AttemptState }>;
  whenDurable(letter: { source: string; id: string }, run: () => void): void;
}

const SOURCE = 'orchestrator';

/** The orchestrator: declares VMs, calls migrations, reports their results, runs hooks, and acts for operators. */
export class Orchestrator {
  readonly transfers = new Map<string, Transfer>();
  readonly #sim: Sim;
  readonly #random: Random;
  readonly #world: Hypervisor;
  readonly #outbox: Outbox;
  readonly #agents: Agents;
  readonly #view: View;
  readonly #poller: Poller;
  #count = 0;

  constructor(sim: Sim, world: Hypervisor, ways: { outbox: Outbox; poll: Poll }, agents: Agents, view: View) {
    this.#sim = sim;
    this.#random = sim.random('orchestrator');
    this.#world = world;
    this.#outbox = ways.outbox;
    this.#agents = agents;
    this.#view = view;
    this.#poller = new Poller(sim, ways.poll, ORCHESTRATOR, (item) => {
      if (item.kind === 'command') this.#perform(item.command);
    });
    world.onHost.push((host, what) => {
      if (what !== 'libvirtd-down' && what !== 'host-down') return;
      for (const transfer of this.transfers.values()) transfer.libvirtdDown(host);
    });
    world.onQemuGone.push((qemu) => {
      for (const transfer of this.transfers.values()) transfer.qemuGone(qemu);
    });
  }

  start(): void {
    this.#poller.start();
  }

  #post(
    type: Parameters<Outbox['post']>[0]['type'],
    vm: string,
    data: unknown,
    delayMs = this.#random.integer(1, 40),
  ): { source: string; id: string } {
    this.#count += 1;
    const letter = { source: SOURCE, id: `o${this.#count}`, type, vm, data };
    this.#outbox.post(letter, delayMs);
    return letter;
  }

  declare(guest: Guest): void {
    const host = this.#world.homesOf(guest.vm)[0] ?? null;
    const running = host !== null && this.#world.qemu(host, guest.vm)?.running === true;
    this.#post('landfall.vm.declared.v1', guest.vm, {
      name: guest.name,
      host,
      power: running ? 'running' : 'paused',
      volumes: guest.volumes,
    });
  }

  get isMoving(): boolean {
    return [...this.transfers.values()].some(({ phase }) => phase !== 'over');
  }

  /** Calls a migration unless an attempt is open. A caller that does not check starts a second migration anyway. */
  migrate(guest: Guest): void {
    const open = this.#view.openOf(guest.vm);
    if (open.length > 0) {
      this.#post('landfall.vm.requested.v1', guest.vm, { action: 'migrate' });
      if (!this.#sim.fault('second-migration', 0.5)) return;
    }
    const source = this.#world.homesOf(guest.vm)[0];
    if (source === undefined) return;
    const destination = this.#destinationFrom(source);
    const migration = `${guest.name}-m${this.#migrationsOf(guest) + 1}`;
    const qemu = this.#world.qemu(source, guest.vm);
    const leavePaused = this.#random.chance(0.05);
    const origin = qemu === undefined ? 'stopped' : qemu.running ? 'running' : 'paused';
    const mode = this.#random.chance(0.6) ? 'p2p' : 'managed';
    const data: Partial<InputData<'landfall.migration.started.v1'>> = {
      migration,
      source,
      destination,
      flags: [mode],
      leavePaused,
    };
    const started = {
      ...data,
      storageCopied: this.#random.chance(0.15),
      ...(this.#random.chance(0.5) ? { origin } : {}),
    };
    const transfer = new Transfer(
      this.#sim,
      this.#world,
      { migration, vm: guest.vm, source, destination, mode, leavePaused, byHand: false },
      (error) => report(error),
    );
    const report = this.#reporter(guest, migration);
    this.transfers.set(migration, transfer);
    this.#sim.trace(() => `${migration} is called: ${source} to ${destination}, ${mode}`);
    // The caller waits until its report is durable, because `ran` and the hand-over follow from later events only.
    this.#view.whenDurable(this.#post('landfall.migration.started.v1', guest.vm, started), () => {
      transfer.start();
      this.#killCaller(transfer, report);
    });
  }

  #migrationsOf(guest: Guest): number {
    return [...this.transfers.keys()].filter((migration) => migration.startsWith(`${guest.name}-m`)).length;
  }

  #destinationFrom(source: string): string {
    const hosts = [...this.#world.hosts.keys()];
    if (this.#random.chance(0.02)) return source;
    return this.#random.pick(hosts.filter((host) => host !== source));
  }

  /** Reports the result of a call once. */
  #reporter(guest: Guest, migration: string): (error: CallError | null) => void {
    let reported = false;
    return (error) => {
      if (reported) return;
      reported = true;
      this.#sim.trace(() => `${migration} returns: ${error === null ? 'success' : `${error.kind}, ${error.message}`}`);
      const delayMs = error?.kind === 'caller-lost' ? this.#random.integer(1000, 30_000) : this.#random.integer(1, 60);
      this.#post(
        'landfall.migration.returned.v1',
        guest.vm,
        { migration, ok: error === null, ...(error === null ? {} : { error }) },
        delayMs,
      );
    };
  }

  #killCaller(transfer: Transfer, report: (error: CallError | null) => void): void {
    const killed = this.#sim.fault('caller-killed', 0.35);
    const broken = this.#sim.fault('connection-broken', 0.08);
    if (!killed && !broken) return;
    this.#sim.after(this.#random.integer(50, this.#random.chance(0.6) ? 4000 : 30_000), () => {
      if (transfer.phase === 'over') return;
      const kind = broken ? 'connection' : this.#random.chance(0.7) ? 'caller-timeout' : 'caller-lost';
      report({ kind, message: 'the caller is gone' });
      transfer.callerGone();
    });
  }

  /** Returns true if an attempt of the VM is open and has a verdict. */
  isOpen(vm: string): 'decided' | 'undecided' | null {
    const open = [...this.#view.openAttempts()].filter(({ state }) => state.attempt.vm === vm);
    if (open.length === 0) return null;
    return open.some(({ state }) => state.attempt.verdicts.length > 0) ? 'decided' : 'undecided';
  }

  /** An operator moves a guest by hand without a report. After Landfall's decision the operator obeys a refusal. */
  moveOn(guest: Guest): void {
    const open = this.isOpen(guest.vm);
    if (open === 'decided' || this.#isMoving(guest.vm)) return;
    const source = this.#world.homesOf(guest.vm)[0];
    if (source === undefined) return;
    const migration = `by-hand-${this.transfers.size}`;
    const destination = this.#random.pick([...this.#world.hosts.keys()].filter((host) => host !== source));
    const transfer = new Transfer(
      this.#sim,
      this.#world,
      { migration, vm: guest.vm, source, destination, mode: 'p2p', leavePaused: false, byHand: true },
      (error) => {
        if (error === null && open === null && this.isOpen(guest.vm) === null)
          this.#agents.moveLocks(guest.vm, destination);
      },
    );
    this.transfers.set(migration, transfer);
    transfer.start();
  }

  /** Executes a command to the orchestrator: a hook, or the failure of the call. */
  #perform(command: Command): void {
    if (this.#sim.fault('command-lost', 0.06)) return;
    this.#sim.after(this.#random.integer(1, 60), () => {
      this.#agents.acknowledge(command, this.#sim.fault('hook-fails', 0.08) ? 'the hook failed' : null);
    });
  }

  /**
   * An operator handles the alarm for a lock that cannot be moved. Landfall keeps such a lock and retries without end, and never
   * destroys a copy that its own answers do not show to be a leftover. Without an operator such an attempt would never settle.
   */
  attend({ attempt }: AttemptState): void {
    if (!attempt.alarms.some(({ code }) => code === 'lock-stuck')) return;
    const refused = attempt.steps.find(({ kind, status }) => kind === 'acquire-lock' && status === 'refused');
    if (refused !== undefined)
      this.#sim.after(this.#sim.random('people').integer(1000, 20_000), () => {
        const [home, ...more] = this.#world.homesOf(attempt.vm);
        if (home === refused.host && more.length === 0) this.#agents.freeLocks(attempt.vm, home);
      });
    const hosts = attempt.steps
      .filter(({ kind, status }) => kind === 'release-lock' && status === 'refused')
      .flatMap(({ host }) => host ?? []);
    for (const host of new Set(hosts)) {
      this.#sim.after(this.#sim.random('people').integer(1000, 20_000), () => {
        const qemu = this.#world.qemu(host, attempt.vm);
        const isLeftover = qemu !== undefined && !qemu.running && !qemu.shell && qemu.job === 'none';
        if (!isLeftover || this.#world.homesOf(attempt.vm).includes(host)) return;
        this.#sim.trace(() => `somebody destroys the leftover of ${attempt.vm} on ${host}`);
        this.#world.end(qemu, 'destroyed', 'Stopped', 'Destroyed');
      });
    }
  }

  /**
   * In long runs an operator removes surplus copies of a guest, and paused leftovers beside them, because no rule may do that.
   * Otherwise copies of old migrations would accumulate, which no real site allows.
   */
  tidy(): void {
    for (const { vm } of this.#world.guests.values()) {
      if (this.isOpen(vm) !== null || this.#isMoving(vm)) continue;
      const [home, ...others] = this.#world.homesOf(vm);
      const qemus = [...this.#world.hosts.values()].flatMap((host) => host.qemus.get(vm) ?? []);
      const extra = qemus.filter((qemu) => qemu.host !== home && !qemu.shell);
      if (extra.length === 0 && others.length === 0) continue;
      this.#sim.trace(() => `somebody ends all copies of ${vm} but that on ${home}`);
      for (const qemu of extra) this.#world.end(qemu, 'destroyed', 'Stopped', 'Destroyed');
      if (home !== undefined && others.length > 0) this.#world.setHomes(vm, home);
    }
  }

  #isMoving(vm: string): boolean {
    return [...this.transfers.values()].some(({ plan, phase }) => plan.vm === vm && phase !== 'over');
  }

  /** An operator examines a contested attempt and settles it if the truth can be determined. */
  operate(): void {
    for (const { state } of this.#view.openAttempts()) {
      const at = path(state.value);
      if (at !== 'RolledBack.contested' && at !== 'Completed.provisional') continue;
      const { migration, vm } = state.attempt;
      const homes = this.#world.homesOf(vm);
      const moving = this.#isMoving(vm);
      const others = [...this.#world.hosts.values()].filter((host) => !homes.includes(host.name) && host.qemus.has(vm));
      const clear = homes.length === 1 && !moving && others.length === 0;
      const attest = clear && this.#random.chance(0.8);
      const host = (clear ? homes[0] : undefined) ?? state.attempt.source;
      const guest = clear && this.#world.qemu(host, vm) === undefined ? { stopped: true } : { host };
      this.#post('landfall.migration.resolved.v1', vm, {
        ...guest,
        migration,
        reason: 'looked',
        attest,
        operator: 'ops',
      });
    }
  }
}
