import type { Command } from '../../../events/commands.ts';
import type { Entry } from '../../../events/entries.ts';
import type { StoredEntry } from '../../../log/port.ts';
import { sequenceOf } from '../../../machines/evidence.ts';
import type { Service } from '../landfall/service.ts';
import type { Sample } from '../world/agent.ts';
import type { Witness } from '../world/agents.ts';
import type { Hypervisor, Qemu } from '../world/hypervisor.ts';
import type { LockManager } from '../world/lock-manager.ts';
import type { Sim } from '../world/sim.ts';
import type { Transfer } from '../world/transfer.ts';
import { LedgerRules } from './ledger-rules.ts';
import { ServiceRules } from './service-rules.ts';
import { since, untruths } from './truth.ts';

export type Known = { world: Hypervisor; locks: LockManager; transfers: ReadonlyMap<string, Transfer> };

/**
 * Compares the service with the true state of the world: checks every commit and every action of an agent, and reports
 * violations.
 */
export class Checker implements Witness {
  readonly service: ServiceRules;
  readonly #sim: Sim;
  readonly #rules: LedgerRules;
  readonly #samples = new Map<string, Sample>();
  /** The sample behind the answer to each question, once the answer is consumed. */
  readonly #heard = new Map<string, Sample>();
  /** The time since which the world may agree with the commands of a verdict. */
  readonly #verdictSince = new Map<string, number>();
  readonly #toldBy = new Set<string>();
  /** The time when each call's return became durable. */
  readonly #returned = new Map<string, number>();
  /** The newest token used for each lock on each host. */
  readonly #tokens = new Map<string, number>();
  #known: Known | null = null;

  constructor(sim: Sim) {
    this.#sim = sim;
    this.#rules = new LedgerRules((rule, text) => sim.violate(rule, text));
    this.service = new ServiceRules(sim, this.#rules);
  }

  know(known: Known): void {
    this.#known = known;
  }

  get #world(): Known {
    if (this.#known === null) throw new Error('the checker knows no world yet');
    return this.#known;
  }

  committed(stored: readonly StoredEntry[], service: Service, decidedAt: number): void {
    for (const { entry } of stored) {
      this.#hear(entry);
      this.#rules.take(entry);
      this.service.committed(entry, service, decidedAt);
      this.#judge(entry, service);
    }
  }

  wasToldBy(vm: string, host: string): boolean {
    return this.#toldBy.has(`${vm}/${host}`);
  }

  /** Records the answer that an attempt now relies on, and the hosts that reported a guest. */
  #hear({ cause, attempt, vm }: Entry): void {
    if (cause.kind === 'input' && cause.type === 'landfall.host.lifecycle.v1')
      this.#toldBy.add(`${vm}/${(cause.data as { host: string }).host}`);
    if (cause.kind !== 'input' || cause.type !== 'landfall.host.answered.v1' || attempt === null) return;
    const { question, host } = cause.data as { question: string; host: string };
    const state = attempt.attempt;
    const answer = state.asked[host]?.answer;
    const taken = answer?.arrived === state.sequence || answer?.asked === sequenceOf(question, state.migration);
    const sample = this.#samples.get(cause.id);
    if (!taken || sample === undefined) return;
    // The first answer to a question counts, unless the question had timed out before that answer arrived.
    if (!this.#heard.has(question)) this.#heard.set(question, sample);
  }

  #judge({ verdict: made, attempt: state }: Entry, { steppedForwardAt }: Service): void {
    const attempt = state?.attempt;
    if (attempt !== undefined && attempt.returnedAt !== null && !this.#returned.has(attempt.migration))
      this.#returned.set(attempt.migration, this.#sim.now);
    const verdict = attempt?.verdicts.at(-1);
    if (made === null || attempt === undefined || verdict === undefined) return;
    const { world, transfers } = this.#world;
    const sampleOf = (question: string) => this.#heard.get(question);
    const clockStepped = steppedForwardAt >= (this.#returned.get(attempt.migration) ?? 0);
    const transfer = transfers.get(attempt.migration);
    const grounds = { world, transfer, sampleOf, now: this.#sim.now, clockStepped };
    this.#verdictSince.set(`${attempt.migration}/v${verdict.number}`, since(verdict, grounds));
    const text = `${attempt.migration}/v${verdict.number}`;
    this.#sim.trace(
      () =>
        `${text}: ${verdict.outcome}${verdict.contested ? ', contested' : ''} on ${verdict.host} by ${verdict.row}, ${verdict.certainty}`,
    );
    for (const [rule, words] of untruths(attempt.vm, verdict, grounds)) this.#sim.violate(rule, `${text} ${words}`);
  }

  sampled(input: string, sample: Sample): void {
    this.#samples.set(input, sample);
  }

  acquiring(command: Command, host: string, holders: readonly string[]): void {
    const others = holders.filter((holder) => holder !== host);
    if (others.length > 0)
      this.#sim.violate('invariant 6', `${command.command}: ${host} is granted what ${others.join(', ')} holds`);
    const { world } = this.#world;
    const homes = world.homesSince(command.vm, this.#since(command));
    // The locks of a guest that is stopped on every host may belong to either end, because no process opens the volume. This also
    // applies if an operator boots the guest without a request, after the hosts have answered and before an event reports the
    // boot.
    const wasStopped = world.wasNowhereSince(command.vm, this.#since(command));
    const isUsed = !wasStopped && world.homesOf(command.vm).some((home) => world.qemu(home, command.vm) !== undefined);
    if (!homes.has(host) && isUsed)
      this.#sim.violate(
        'lock to the wrong host',
        `${command.command}: ${host} is granted the lock of a guest on ${[...homes].join(', ')}`,
      );
  }

  /** Invariant 5: the source may be resumed only if the destination never ran and the source has the locks. */
  resuming(command: Command, qemu: Qemu): void {
    const { world, locks } = this.#world;
    const homes = world.homesOf(command.vm);
    const alone = homes.length === 1 && homes[0] === qemu.host;
    if (!alone)
      this.#sim.violate(
        'invariant 5',
        `${command.command}: ${qemu.host} is resumed, but the guest is at home on ${homes.join(', ')}`,
      );
    for (const { volume, shareable, lockedBy } of world.guest(command.vm).volumes) {
      const held =
        shareable ||
        lockedBy !== 'landfall' ||
        (locks.holders(volume).length === 1 && locks.holders(volume)[0] === qemu.host);
      if (!held) this.#sim.violate('invariant 5', `${command.command}: ${qemu.host} is resumed without ${volume}`);
    }
  }

  destroying(command: Command, qemu: Qemu): void {
    // The check uses the state at the time of the answers. If the guest ended on the destination before its CPUs ran, but after
    // the host answered, no evidence shows that the source's copy is the last one again.
    const homes = this.#world.world.homesSince(command.vm, this.#since(command));
    const only = homes.size === 1 && homes.has(qemu.host);
    if (only || qemu.running)
      this.#sim.violate('leftover', `${command.command}: the command destroys the guest itself on ${qemu.host}`);
  }

  carriedOut(command: Command, repeated: boolean): void {
    if (repeated) this.#sim.violate('invariant 10', `${command.command} was executed twice`);
    if (command.volume !== null) this.#fenced(command, `${command.host}/${command.vm}/${command.volume}`);
  }

  /** Invariant 6: an agent that has seen a newer token for a lock executes no command with an older token. */
  #fenced({ command, token }: Command, lock: string): void {
    const newest = this.#tokens.get(lock) ?? 0;
    if (token < newest)
      this.#sim.violate('invariant 6', `${command} was executed with token ${token} after one with ${newest}`);
    this.#tokens.set(lock, Math.max(token, newest));
  }

  #since(command: Command): number {
    const verdict = command.command.slice(0, command.command.indexOf('/', command.migration.length + 1));
    return this.#verdictSince.get(verdict) ?? 0;
  }
}
