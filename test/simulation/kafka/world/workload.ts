import { type Command, type Question } from '../../../../events/commands.ts';
import type { FetchedRecord } from '../../../../kafka/port.ts';
import { type Receipt, type Submission, submissionOf } from '../../../../service/engine/engine.ts';
import { cloudEvent, vmOf } from '../../../support/builders.ts';
import type { Instance } from './instance.ts';
import type { KafkaSim } from './kafka-sim.ts';

const HOSTS = ['host-a', 'host-b', 'host-c'];
const REPLY_MS = 20_000;

type Work = { readonly question?: Question; readonly command?: Command };

export type Acknowledged = (submission: Submission, receipt: Receipt) => void;

/**
 * The clients of the cluster: an orchestrator that migrates VMs, agents that answer questions and commands from the topic of
 * commands, and operators. Each client repeats an input, through any instance, until the input is acknowledged.
 */
export class Workload {
  readonly #sim: KafkaSim;
  readonly #instances: readonly Instance[];
  readonly #acknowledged: Acknowledged;
  readonly #places = new Map<string, string>();
  #waiting = 0;
  #inputs = 0;

  constructor(sim: KafkaSim, instances: readonly Instance[], acknowledged: Acknowledged) {
    this.#sim = sim;
    this.#instances = instances;
    this.#acknowledged = acknowledged;
  }

  /** The number of inputs that are not acknowledged yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Plans the inputs of the world up to this time. */
  plan(untilMs: number): void {
    const random = this.#sim.random('workload');
    HOSTS.forEach((host, nth) =>
      this.#at(nth * 5, 'host.facts', { host, cluster: 'c', boot: '1', stream: 'connected' }, null),
    );
    const settings = { recheckTimeoutSeconds: 20, questionLimitSeconds: 2, recheckIntervalSeconds: 5 };
    this.#at(20, 'configuration.set', { change: settings, operator: 'ops' }, null);
    for (let nth = 1; nth <= random.integer(1, 3); nth += 1) this.#planVm(nth, untilMs);
    for (let nth = 0; nth < random.integer(3, 15); nth += 1) {
      const vm = vmOf(random.integer(1, 4));
      this.#at(random.integer(0, untilMs), 'operator.acted', { action: 'look', ok: true }, vm);
    }
  }

  #planVm(nth: number, untilMs: number): void {
    const random = this.#sim.random('workload');
    const vm = vmOf(nth);
    const volumes = [{ volume: `disk-${nth}` }];
    this.#at(
      random.integer(0, 500),
      'vm.declared',
      { name: `vm${nth}`, host: HOSTS[0], power: 'running', volumes },
      vm,
    );
    this.#places.set(vm, random.pick(['host-a', 'host-b']));
    for (let attempt = 1; attempt <= random.integer(1, 2); attempt += 1) {
      const migration = `m${nth}-${attempt}`;
      const at = random.integer(1000, untilMs);
      this.#at(at, 'migration.started', { migration, source: 'host-a', destination: 'host-b' }, vm);
      const error = { kind: 'libvirt', message: 'operation failed' };
      this.#at(at + random.integer(10, 5000), 'migration.returned', { migration, ok: false, error }, vm);
    }
  }

  /** An agent reads records of the topic of commands. */
  work(records: readonly FetchedRecord[]): void {
    for (const { value } of records) {
      const { question, command } = JSON.parse(value?.toString() ?? '{}') as Work;
      const ms = this.#sim.random('agents').integer(1, 300);
      if (question !== undefined) this.#sim.after(ms, () => this.#answer(question));
      if (command !== undefined) this.#sim.after(ms, () => this.#acknowledgeCommand(command));
    }
  }

  #answer({ question, host, vm }: Question): void {
    const isHere = this.#places.get(vm) === host;
    const domain = isHere ? { name: 'vm', state: 'running', reason: 'booted', job: 'none' } : null;
    this.#post('host.answered', { question, host, ok: true, domain, boot: '1' }, vm);
  }

  #acknowledgeCommand({ command, vm }: Command): void {
    this.#post('command.acknowledged', { command, ok: true }, vm);
  }

  #at(ms: number, type: string, data: object, vm: string | null): void {
    this.#sim.after(ms, () => this.#post(type, data, vm));
  }

  #post(type: string, data: object, vm: string | null): void {
    this.#inputs += 1;
    this.#waiting += 1;
    this.#send(submissionOf(cloudEvent(type, data, { id: `e${this.#inputs}`, source: 'client', subject: vm })));
  }

  /** Sends an input through one instance, and repeats it through another instance if it is not acknowledged in time. */
  #send(submission: Submission): void {
    const random = this.#sim.random('clients');
    const instance = random.pick(this.#instances);
    let isOver = false;
    const reply = (receipts: readonly Receipt[] | Error) => {
      if (isOver) return;
      isOver = true;
      const [receipt] = receipts instanceof Error ? [] : receipts;
      if (receipt === undefined) return this.#sim.after(random.integer(50, 1500), () => this.#send(submission));
      this.#waiting -= 1;
      this.#acknowledged(submission, receipt);
    };
    this.#sim.after(REPLY_MS, () => reply(new Error('no reply')));
    this.#sim.after(random.integer(0, 5), () => instance.submit([submission], reply));
  }
}
