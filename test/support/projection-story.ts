import { Partition } from '../../engine/partition/partition.ts';
import { toInput } from '../../events/cloud-event.ts';
import type { Command, Question } from '../../events/commands.ts';
import type { Entry } from '../../events/entries.ts';
import type { Domain, InputType } from '../../events/inputs.ts';
import { sha256 } from '../../log/chain.ts';
import { MemoryLedger } from './memory-ledger.ts';

/** Builds ledgers for tests of the projections: tests give the inputs, the real machine makes the decisions. */

const START = Date.UTC(2026, 0, 1);
export const WEB = '0b51c7a2-7d0e-4c55-9a2e-000000000001';
export const DB = '0b51c7a2-7d0e-4c55-9a2e-000000000002';

type World = Record<string, Domain | null>;
export const running = (job: Domain['job'] = 'none'): Domain => ({
  name: 'guest',
  state: 'running',
  reason: 'booted',
  job,
});
export const migrated: Domain = { name: 'guest', state: 'shut off', reason: 'migrated', job: 'none' };

export class Story {
  readonly ledger = new MemoryLedger();
  readonly #partition = new Partition(this.ledger, () => [null]);
  #owner = this.ledger.claim();
  #ids = 0;
  #answered = 0;
  #acknowledged = 0;
  clock = 'wall';
  now = START;

  /** Takes one input and commits the decisions. */
  async tell(type: InputType, data: unknown, vm: string | null = null, id?: string): Promise<void> {
    this.#ids += 1;
    const event = {
      specversion: '1.0',
      id: id ?? `e${this.#ids}`,
      source: 'test',
      type,
      data,
      ...(vm === null ? {} : { subject: vm }),
    };
    this.now += 10;
    this.#partition.take(toInput(event, sha256), null, this.now, this.clock);
    await this.#commit();
  }

  async malformed(text: string): Promise<void> {
    const fault = { code: 'BAD_EVENT', message: 'not JSON', remedy: 'Send JSON.', name: 'Fault' };
    this.#partition.takeMalformed(
      { stream: 'queue', offset: 7, text, bytes: text.length, digest: sha256(text), fault },
      this.now,
      this.clock,
    );
    await this.#commit();
  }

  /** Answers every open question; a host without an entry in the given world answers with an error. */
  async answer(world: World): Promise<void> {
    const open: Question[] = this.ledger.entries.flatMap(({ questions }) => questions).slice(this.#answered);
    this.#answered += open.length;
    for (const { question, host, vm } of open) {
      const domain = world[host];
      const said = domain === undefined ? { ok: false, error: 'no connection', domain: null } : { ok: true, domain };
      await this.tell('landfall.host.answered.v1', { question, host, ...said }, vm);
    }
  }

  /** Acknowledges every command, including the commands that follow. */
  async acknowledge(): Promise<void> {
    for (let open = this.#unacknowledged(); open.length > 0; open = this.#unacknowledged()) {
      this.#acknowledged += open.length;
      for (const { command, vm } of open)
        await this.tell('landfall.command.acknowledged.v1', { command, ok: true }, vm);
    }
  }

  #unacknowledged(): Command[] {
    return this.ledger.entries.flatMap(({ commands }) => commands).slice(this.#acknowledged);
  }

  async pass(seconds: number): Promise<void> {
    this.now += seconds * 1000;
    this.#partition.fire(this.now, this.clock);
    await this.#commit();
  }

  async #commit(): Promise<void> {
    const { batch, committed } = this.#partition.drain();
    await (await this.#owner).commit(batch);
    committed();
  }

  async site(): Promise<void> {
    for (const host of ['h1', 'h2', 'h3']) {
      const facts = { host, zone: 'z', cluster: 'c', boot: `boot-${host}`, stream: 'connected', agent: 'speaking' };
      await this.tell('landfall.host.facts.v1', facts);
    }
  }

  async declare(vm: string, name: string): Promise<void> {
    const volumes = [{ volume: `${name}-disk` }, { volume: 'iso', shareable: true }];
    await this.tell('landfall.vm.declared.v1', { name, host: 'h1', power: 'running', volumes }, vm);
    await this.holders(vm, `${name}-disk`, 'h1');
  }

  async holders(vm: string, volume: string, ...hosts: string[]): Promise<void> {
    await this.tell(
      'landfall.volume.holders.v1',
      { volume, holders: hosts.map((host) => ({ host, mode: 'exclusive' })) },
      vm,
    );
  }

  async start(vm: string, migration: string): Promise<void> {
    await this.tell('landfall.migration.started.v1', { migration, source: 'h1', destination: 'h2' }, vm);
  }

  async fail(vm: string, migration: string): Promise<void> {
    const error = { kind: 'caller-timeout', message: 'killed after 60 s' };
    await this.tell('landfall.migration.returned.v1', { migration, ok: false, error }, vm);
  }
}

/**
 * The call of `web` fails, but the guest has landed: completed and settled. `db` runs on both hosts: contested. An HA restart
 * of `db` is refused, and one malformed input arrives.
 */
export async function longStory(): Promise<Story> {
  const story = new Story();
  await story.site();
  await story.declare(WEB, 'web');
  await story.declare(DB, 'db');
  await story.start(WEB, 'm1');
  await story.answer({ h1: running('outgoing'), h2: { ...running('incoming'), state: 'paused', reason: 'migrating' } });
  await story.fail(WEB, 'm1');
  await story.answer({ h1: migrated, h2: running() });
  await story.pass(10);
  await story.answer({ h1: migrated, h2: running() });
  await story.acknowledge();
  await story.holders(WEB, 'web-disk', 'h2');
  await story.start(DB, 'm2');
  await story.answer({ h1: running(), h2: null });
  await story.fail(DB, 'm2');
  for (let minute = 0; minute < 40; minute += 1) {
    await story.answer({ h1: running(), h2: running() });
    await story.pass(10);
  }
  await story.tell('landfall.vm.requested.v1', { action: 'ha-restart', host: 'h3' }, DB);
  await story.tell('landfall.configuration.set.v1', { change: { recheckTimeoutSeconds: 120 }, operator: 'ann' });
  await story.malformed('{"specversion');
  return story;
}

/** Changes one entry of the ledger without updating the hashes. */
export function alter(ledger: MemoryLedger, index: number, change: (entry: Entry) => Entry): void {
  const stored = ledger.stored[index];
  if (stored === undefined) throw new RangeError(`no entry ${index}`);
  const entry = change(stored.entry);
  ledger.stored[index] = { ...stored, entry, text: JSON.stringify(entry) };
}
