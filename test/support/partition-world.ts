import { createHash } from 'node:crypto';
import { Driver } from '../../engine/driver.ts';
import { toInput } from '../../events/cloud-event.ts';
import type { InputData, InputType } from '../../events/inputs.ts';
import { D, S, START, VM, type Words } from './machine-spec.ts';
import { MemoryLedger } from './memory-ledger.ts';

export const CLOCK = 'wall';
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const OWN_VOLUMES: InputData<'landfall.vm.declared.v1'>['volumes'] = [
  { volume: 'v', shareable: false, lockedBy: 'landfall' },
];
export type Said = Readonly<Record<string, Words>>;

/** One partition with its own ledger, a clock moved by the test, and hosts that answer questions. */
export class PartitionWorld {
  readonly ledger = new MemoryLedger();
  now = START;
  #driver: Driver | null = null;
  #ids = 0;
  says: Said = {};

  async driver(): Promise<Driver> {
    this.#driver ??= new Driver(await this.ledger.claim(), this.ledger);
    return this.#driver;
  }

  /** Simulates a crash: uncommitted entries are lost. */
  crash(): void {
    this.#driver = null;
  }

  event<K extends InputType>(type: K, data: Partial<InputData<K>>, id = `e${(this.#ids += 1)}`) {
    const site = type.startsWith('landfall.host.f') || type.startsWith('landfall.configuration');
    return toInput({ specversion: '1.0', id, source: 'spec', type, ...(site ? {} : { subject: VM }), data }, sha256);
  }

  async send<K extends InputType>(type: K, data: Partial<InputData<K>>, id?: string) {
    const driver = await this.driver();
    const taken = driver.partition.take(this.event(type, data, id), null, this.now, CLOCK);
    await driver.flush();
    await this.answer();
    return taken;
  }

  /** Every host that is not silent answers its open questions in the ledger. */
  async answer(): Promise<void> {
    const driver = await this.driver();
    for (let more = true; more; ) {
      more = false;
      for (const { question, host } of this.ledger.entries.flatMap((entry) => entry.questions)) {
        const words = this.says[host];
        if (words === undefined || this.#answered.has(question)) continue;
        this.#answered.add(question);
        more = true;
        driver.partition.take(
          this.event('landfall.host.answered.v1', { question, host, ok: true, domain: null, ...words }),
          null,
          this.now,
          CLOCK,
        );
        await driver.flush();
      }
    }
  }
  readonly #answered = new Set<string>();

  async wait(seconds: number): Promise<void> {
    const end = this.now + seconds * 1000;
    for (;;) {
      const { partition } = await this.driver();
      const due = partition.nextDueAt(CLOCK);
      if (due === null || due > end) break;
      this.now = Math.max(this.now, due);
      partition.fire(this.now, CLOCK, 1);
      await (await this.driver()).flush();
      await this.answer();
    }
    this.now = end;
  }

  async migrates(says: Said, volumes: InputData<'landfall.vm.declared.v1'>['volumes'] = OWN_VOLUMES): Promise<void> {
    for (const host of [S, D])
      await this.send('landfall.host.facts.v1', { host, zone: 'z', cluster: 'c', stream: 'connected' });
    await this.send('landfall.vm.declared.v1', {
      name: 'web-1',
      host: S,
      power: 'running',
      volumes,
    });
    this.says = says;
    await this.send('landfall.migration.started.v1', { migration: 'm1', source: S, destination: D });
  }

  fails = () =>
    this.send('landfall.migration.returned.v1', {
      migration: 'm1',
      ok: false,
      error: { kind: 'caller-timeout', message: 'killed' },
    });

  get attempt() {
    const found = this.ledger.attempt('m1');
    if (found === null) throw new Error('no attempt');
    return found.state;
  }
  get commands() {
    return this.ledger.entries.flatMap((entry) => entry.commands);
  }

  /** Acknowledges every command, also those that follow from an acknowledgement. */
  async acknowledgeAll(): Promise<void> {
    for (let index = 0; index < this.commands.length; index += 1) {
      const command = this.commands[index]?.command ?? '';
      await this.send('landfall.command.acknowledged.v1', { command, ok: true });
    }
  }

  verdicts = () => this.ledger.entries.filter((entry) => entry.verdict !== null);
}
