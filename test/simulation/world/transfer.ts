import type { CallError } from '../../../events/inputs.ts';
import type { Random } from './random.ts';
import type { Host, Hypervisor, Qemu } from './hypervisor.ts';
import type { Sim } from './sim.ts';

/**
 * One migration as libvirt executes it: Begin, Prepare, Perform, switch-over, Finish, Confirm. Failures on either side end the
 * migration as in libvirt 9.0 (qemu_migration.c).
 */
export type TransferPlan = {
  readonly migration: string;
  readonly vm: string;
  readonly source: string;
  readonly destination: string;
  /** `managed`: the migration ends with its caller. */
  readonly mode: 'p2p' | 'managed';
  readonly leavePaused: boolean;
  /** An unreported migration. It switches over at once, so it either moved the guest or did not. */
  readonly byHand: boolean;
};

/** The error that the call returns; null if it succeeded. */
export type Returned = (error: CallError | null) => void;

const libvirtError = (message: string): CallError => ({ kind: 'libvirt', message });
const CONNECTION: CallError = { kind: 'connection', message: 'the connection to libvirtd broke' };

export class Transfer {
  readonly plan: TransferPlan;
  phase: 'queued' | 'performing' | 'switched' | 'post-copy' | 'finished' | 'over' = 'queued';
  /** True once the destination has the guest. */
  landed = false;
  readonly #sim: Sim;
  readonly #world: Hypervisor;
  readonly #random: Random;
  readonly #returned: Returned;
  #source: Qemu | null = null;
  #shell: Qemu | null = null;
  #wasRunning = true;
  /** Until this time only the caller's report shows the migration. */
  #started = false;

  constructor(sim: Sim, world: Hypervisor, plan: TransferPlan, returned: Returned) {
    this.#sim = sim;
    this.#world = world;
    this.plan = plan;
    this.#random = sim.random(`transfer:${plan.migration}`);
    this.#returned = returned;
  }

  start(): void {
    this.#started = true;
    const waitMs = this.#sim.fault('queued', 0.15) ? this.#random.integer(1000, 30_000) : this.#random.integer(0, 300);
    this.#later(waitMs, () => this.#begin());
  }

  /** Continues after a delay, but only if the phase is unchanged then. */
  #later(ms: number, run: () => void): void {
    const { phase } = this;
    this.#sim.after(ms, () => {
      if (this.phase === phase) run();
    });
  }

  #enter(phase: Transfer['phase']): void {
    this.phase = phase;
    this.#sim.trace(() => `${this.plan.migration} ${phase}`);
  }

  #over(error: CallError | null): void {
    this.#enter('over');
    if (this.#source !== null) this.#source.job = 'none';
    this.#sim.after(this.#random.integer(1, 20), () => this.#returned(error));
  }

  #begin(): void {
    const { source, vm } = this.plan;
    const qemu = this.#world.qemu(source, vm);
    if (!this.#world.host(source).libvirtd) return this.#over(CONNECTION);
    // A guest torn by post-copy keeps its paused job in libvirt and accepts no other migration.
    const isTorn = qemu?.reason === 'post-copy failed';
    if (qemu === undefined || qemu.shell || qemu.job !== 'none' || isTorn)
      return this.#over(libvirtError('domain is not running, or has a job'));
    if (source === this.plan.destination) return this.#over(libvirtError('cannot migrate to the same host'));
    this.#source = qemu;
    qemu.job = 'outgoing';
    this.#enter('performing');
    this.#later(this.#random.integer(10, 400), () => this.#prepare(qemu));
  }

  #prepare(source: Qemu): void {
    const { destination, vm } = this.plan;
    const host = this.#world.host(destination);
    const refused = !host.libvirtd || host.qemus.has(vm) || this.#sim.fault('destination-full', 0.08);
    if (refused) return this.#over(libvirtError('the destination refused'));
    const shell = this.#world.spawn(destination, vm, 'starting up', true);
    shell.job = 'incoming';
    shell.origin = source;
    this.#shell = shell;
    this.#later(20, () => {
      shell.reason = 'migrating';
      this.#world.emit(shell, 'Started', 'Migrated');
    });
    if (this.plan.byHand) return this.#later(this.#random.integer(200, 3000), () => this.#moveAtOnce(source, shell));
    const durationMs = this.#random.chance(0.7) ? this.#random.integer(200, 5000) : this.#random.integer(5000, 45_000);
    if (this.#sim.fault('perform-fails', 0.12))
      return this.#later(durationMs * this.#random.next() + 25, () => this.#cancel());
    const postCopy = this.#sim.fault('post-copy', 0.1) && source.running;
    this.#later(durationMs + 30, () => (postCopy ? this.#goPostCopy(source, shell) : this.#switchOver(source, shell)));
  }

  #moveAtOnce(source: Qemu, shell: Qemu): void {
    const { running } = source;
    this.landed = true;
    Object.assign(shell, { shell: false, job: 'none' });
    this.#world.moveHome(this.plan.vm, this.plan.source, this.plan.destination);
    if (running) this.#world.run(shell, 'migrated', 'Migrated');
    else this.#world.pause(shell, 'user', 'Paused');
    this.#enter('finished');
    this.#confirm(source);
  }

  #switchOver(source: Qemu, shell: Qemu): void {
    this.#wasRunning = source.running;
    if (source.running) this.#world.pause(source, 'migrating', 'Migrated');
    else source.reason = 'migrating';
    this.#enter('switched');
    this.#later(this.#random.integer(30, 900), () => this.#finish(source, shell));
  }

  #finish(source: Qemu, shell: Qemu): void {
    if (this.#sim.fault('finish-fails', 0.06)) {
      this.#world.end(shell, 'failed', 'Stopped', 'Failed');
      return;
    }
    shell.shell = false;
    this.landed = true;
    this.#world.moveHome(this.plan.vm, this.plan.source, this.plan.destination);
    if (this.#wasRunning && !this.plan.leavePaused) this.#world.run(shell, 'migrated', 'Migrated');
    else this.#world.pause(shell, 'user', 'Paused');
    this.#sim.after(150, () => {
      if (shell.job === 'incoming') shell.job = 'none';
    });
    this.#enter('finished');
    if (this.#sim.fault('finish-reply-lost', 0.08)) return this.#replyLost(source);
    this.#later(this.#random.integer(100, 1900), () => this.#confirm(source));
  }

  /** The source does not know if the destination runs. libvirt 9 keeps the source paused; older versions resumed it. */
  #replyLost(source: Qemu): void {
    if (this.#sim.fault('source-resumes-after-lost-reply', 0.25)) {
      this.#world.run(source, 'migration canceled', 'Migrated');
      // Both copies run now, and both continue from the same memory.
      this.#world.moveHome(this.plan.vm, this.plan.destination, this.plan.source, this.plan.destination);
    }
    this.#over(libvirtError('the connection between the hosts broke'));
  }

  #confirm(source: Qemu): void {
    this.#world.end(source, 'migrated', 'Stopped', 'Migrated');
    if (this.phase !== 'over') this.#over(null);
  }

  #goPostCopy(source: Qemu, shell: Qemu): void {
    this.#world.pause(source, 'post-copy', 'Post-copy');
    this.#world.moveHome(this.plan.vm, this.plan.source, this.plan.source, this.plan.destination);
    this.#world.run(shell, 'post-copy', 'Post-copy');
    this.#enter('post-copy');
    const durationMs = this.#random.integer(300, 8000);
    if (this.#sim.fault('post-copy-fails', 0.35)) return this.#later(durationMs, () => this.#tear());
    this.#later(durationMs, () => {
      Object.assign(shell, { job: 'none', reason: 'migrated' });
      this.landed = true;
      this.#world.moveHome(this.plan.vm, this.plan.source, this.plan.destination);
      this.#enter('finished');
      this.#later(this.#random.integer(100, 1900), () => this.#confirm(source));
    });
  }

  /** Post-copy failed: each side has pages that the other side lacks. */
  #tear(): void {
    const [source, shell] = [this.#source, this.#shell];
    this.#enter('over');
    for (const side of [source, shell]) {
      if (side === null || !this.#world.isAlive(side)) continue;
      side.job = 'none';
      this.#world.pause(side, 'post-copy failed', 'Post-copy Error');
    }
    this.#over(libvirtError('post-copy failed'));
  }

  /** The migration failed before the switch-over: the source continues, and the shell is destroyed sooner or later. */
  #cancel(error = libvirtError('migration failed')): void {
    this.#endShell();
    this.#over(error);
  }

  #endShell(): void {
    const shell = this.#shell;
    if (shell === null || !shell.shell) return;
    const lingersMs = this.#sim.fault('shell-lingers', 0.2)
      ? this.#random.integer(3000, 60_000)
      : this.#random.integer(1, 300);
    this.#sim.after(lingersMs, () => {
      if (shell.shell) this.#world.end(shell, 'failed', 'Stopped', 'Failed');
    });
  }

  /** The caller ended. A p2p migration continues without its caller. */
  callerGone(): void {
    if (this.plan.mode === 'p2p') return;
    this.#broken(libvirtError('the client disconnected'));
  }

  /** The source's libvirtd, or the connection to it, is lost. */
  #broken(error: CallError): void {
    switch (this.phase) {
      case 'queued':
        return this.#over(error);
      case 'performing':
        return this.#cancel(error);
      case 'switched':
        // Perform is done, but the caller cannot call Finish: the source stays paused and the shell is destroyed.
        this.#endShell();
        return this.#over(error);
      case 'post-copy':
        return this.#tear();
      case 'finished':
        return this.#over(error);
      case 'over':
        return;
    }
  }

  libvirtdDown(host: Host): void {
    if (!this.#started) return;
    if (host.name === this.plan.source) return this.#broken(CONNECTION);
    if (host.name !== this.plan.destination || this.phase === 'queued' || this.phase === 'over') return;
    if (this.phase !== 'performing') return this.#broken(libvirtError('the destination does not answer'));
    // The source detects the loss with a keep-alive. Until then its job is outgoing.
    this.#later(this.#random.integer(100, 30_000), () => this.#cancel());
  }

  qemuGone(qemu: Qemu): void {
    if (this.phase === 'over' || !this.#started) return;
    if (this.phase === 'post-copy' && (qemu === this.#source || qemu === this.#shell)) return this.#tear();
    if (qemu === this.#source && this.phase !== 'finished') return this.#cancel(libvirtError('the source’s QEMU died'));
    if (qemu === this.#shell && this.phase !== 'finished') this.#shellGone();
  }

  /** The destination's CPUs never ran, so libvirt resumes the source. */
  #shellGone(): void {
    const source = this.#source;
    const hadStopped = this.phase === 'switched';
    this.#over(libvirtError('the destination’s QEMU died'));
    if (source !== null && hadStopped && this.#wasRunning && this.#world.isAlive(source))
      this.#world.run(source, 'migration canceled', 'Migrated');
  }
}
