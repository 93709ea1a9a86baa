import type { Question } from '../../events/commands.ts';
import { Fault } from '../../events/fault.ts';
import type { Input, InputData, SiteInputType, VmInputType } from '../../events/inputs.ts';
import { callErrorOf } from './call-error.ts';
import { answerOf, type HostReply, powerIn, replyOf } from './host-reply.ts';
import { seal } from './sealed-input.ts';
import { isEventLine, DomainNames, parseVirshEvent } from './domain-names.ts';
import type { ApiLine, ProbeLine, RecordedDomain, RecordedLine, ScenarioLine } from './schema.ts';
import { type Ending, Endings } from './truth.ts';
import { RecordedVolumes } from './volumes.ts';

/**
 * Converts recorded lines into inputs, and answers questions from the recorded probes. A question asked at T gets the
 * host's first probe that was asked at T or later. After its last probe, a host repeats its last answer 50 ms after
 * each question.
 */
const AFTERWARDS_ANSWER_MS = 50;

/**
 * Maps recorded names to ledger names. By default they are equal; `apart` gives each recording its own VMs and
 * attempts.
 */
export type LedgerNames = {
  vm: (vm: string) => string;
  migration: (id: string) => string;
  volume: (name: string) => string;
  name: (name: string) => string;
  cluster: string | undefined;
};

/** An input with its line number and its time, in recorded milliseconds since the epoch. */
export type TimedInput = { input: Input; line: number; t: number };
type HostState = { stream: 'connected' | 'lost'; last: HostReply | null; pending: Question[]; ended: boolean };

export class RecordedWorld {
  readonly clock: string;
  readonly source: string;
  readonly #naming: LedgerNames;
  readonly #vms: ReadonlySet<string>;
  readonly #declared = new Set<string>();
  readonly #volumes: RecordedVolumes;
  readonly #hosts = new Map<string, HostState>();
  readonly #names = new DomainNames();
  readonly #locksWaiting = new Map<
    string,
    { holders: InputData<'landfall.volume.holders.v1'>['holders']; line: number }
  >();
  readonly #lastProbeLines: ReadonlyMap<string, number> | null;
  /** Pending answers of hosts after their last probe, sorted by time and then by question order. */
  #afterwards: { question: Question; t: number; order: number }[] = [];
  /** The order of the questions; after a restart, the questions are asked in the same order. */
  readonly #orders = new Map<string, number>();
  readonly #endings = new Endings();

  /** @param lastProbeLines has the line number of each host's last probe; null if the stream can be read only once. */
  constructor(scenario: ScenarioLine, naming: LedgerNames, lastProbeLines: ReadonlyMap<string, number> | null) {
    this.clock = `recorded:${scenario.name}@${Math.round(scenario.t)}`;
    this.source = this.clock;
    this.#naming = naming;
    this.#vms = new Set([...(scenario.vm === undefined ? [] : [scenario.vm]), ...(scenario.vms ?? [])]);
    this.#volumes = new RecordedVolumes(scenario, this.#vms);
    this.#lastProbeLines = lastProbeLines;
    this.#endings.take(scenario);
  }

  /** The number of events with a domain that no listing names. */
  get unmappedEvents(): number {
    return this.#names.unmapped;
  }

  /** The recorded ending of each attempt, by the attempt's id in the ledger. */
  get endings(): [migration: string, ending: Ending][] {
    return [...this.#endings.byMigration].map(([id, ending]) => [this.#naming.migration(id), ending]);
  }

  /** Asks a recorded host. */
  ask(question: Question): void {
    const host = this.#host(question.host);
    this.#orders.set(question.question, this.#orders.size);
    if (host.ended) this.#later(question, question.askedAt);
    else host.pending.push(question);
  }

  #later(question: Question, t: number): void {
    const order = this.#orders.get(question.question) ?? 0;
    this.#afterwards.push({ question, t: Math.max(t, question.askedAt + AFTERWARDS_ANSWER_MS), order });
    this.#afterwards.sort((a, b) => a.t - b.t || a.order - b.order);
  }

  /** Returns the time of the next answer from a host after its last probe, or null. */
  nextAnswerAt(): number | null {
    return this.#afterwards[0]?.t ?? null;
  }

  answerAfterwards(): TimedInput[] {
    const next = this.#afterwards.shift();
    if (next === undefined) return [];
    const { question, t } = next;
    return [this.#answer(question, this.#host(question.host).last, `after/${question.question}`, 0, t)];
  }

  /** Ends the stream; from now on every host repeats its last answer. */
  end(t: number): void {
    for (const host of this.#hosts.values()) this.#endHost(host, t);
  }

  #endHost(host: HostState, t: number): void {
    host.ended = true;
    for (const question of host.pending) this.#later(question, t);
    host.pending = [];
  }

  take(line: RecordedLine, number: number): TimedInput[] {
    this.#endings.take(line);
    switch (line.kind) {
      case 'scenario':
      case 'lab':
      case 'truth':
        return [];
      case 'virsh-event':
        return this.#event(line.host, line.line, number, line.t);
      case 'stream-lost':
        return this.#mention(line.host, 'lost', number, line.t);
      case 'probe':
        return [...this.#mention(line.host, null, number, line.t), ...this.#probe(line, number)];
      case 'lock':
        return this.#lock(line.volume, line.holders, number, line.t);
      case 'api':
        return this.#api(line, number);
    }
  }

  /** Declares a host at its first appearance and whenever its event stream connects or breaks. */
  #mention(name: string, stream: 'connected' | 'lost' | null, number: number, t: number): TimedInput[] {
    const known = this.#hosts.has(name);
    const host = this.#host(name);
    const next = stream ?? host.stream;
    if (known && host.stream === next) return [];
    host.stream = next;
    const { cluster } = this.#naming;
    const data = { host: name, stream: next, ...(cluster === undefined ? {} : { cluster }) };
    return [this.#site('landfall.host.facts.v1', data, `${number}/facts`, number, t)];
  }

  #event(host: string, text: string, number: number, t: number): TimedInput[] {
    const event = parseVirshEvent(text);
    // virsh prints connection errors to the same stream, so only a real event proves that the stream is connected.
    const connected = this.#mention(host, isEventLine(text) ? 'connected' : null, number, t);
    if (event === null) return connected;
    return [...connected, ...this.#lifecycle(host, this.#names.event(host, { line: number, t, ...event }), number, t)];
  }

  #lifecycle(host: string, events: ReturnType<DomainNames['event']>, number: number, t: number): TimedInput[] {
    return events
      .filter((event) => this.#vms.has(event.vm))
      .map((event) =>
        this.#vm(
          'landfall.host.lifecycle.v1',
          event.vm,
          { host, event: event.event, detail: event.detail },
          `${event.line}/event`,
          number,
          t,
        ),
      );
  }

  #probe(line: ProbeLine, number: number): TimedInput[] {
    const host = this.#host(line.host);
    const answer = replyOf(line, host.last);
    const isBack = host.last?.ok === false && answer.ok;
    host.last = answer;
    const listed = answer.ok ? this.#listed(line, answer, number) : [];
    const answered = host.pending.filter((question) => question.askedAt <= line.asked);
    host.pending = host.pending.filter((question) => question.askedAt > line.asked);
    const answers = answered.map((question) =>
      this.#answer(question, answer, `${number}/${question.question}`, number, line.t),
    );
    if (this.#lastProbeLines?.get(line.host) === number) this.#endHost(host, line.t);
    return [...listed, ...answers, ...(isBack ? [this.#agentReturned(line.host, number, line.t)] : [])];
  }

  /**
   * Reports that a silent host answers again. A live agent would report this too, and a waiting attempt then asks at
   * once.
   */
  #agentReturned(host: string, number: number, t: number): TimedInput {
    return this.#site('landfall.host.facts.v1', { host, agent: 'speaking' }, `${number}/speaking`, number, t);
  }

  #listed(line: ProbeLine, answer: HostReply, number: number): TimedInput[] {
    const declared = Object.entries(answer.domains).flatMap(([vm, domain]) =>
      this.#declare(line.host, vm.toLowerCase(), domain, number, line.t),
    );
    const events = this.#lifecycle(
      line.host,
      this.#names.listing(line.host, line.asked, answer.domains),
      number,
      line.t,
    );
    return [...declared, ...events];
  }

  /** Declares a VM of the scenario at its first listing, with its name and its disks. */
  #declare(host: string, vm: string, domain: RecordedDomain, number: number, t: number): TimedInput[] {
    if (!this.#vms.has(vm) || this.#declared.has(vm)) return [];
    this.#declared.add(vm);
    const power = powerIn(domain);
    const named = this.#volumes.declare(vm, domain.name);
    const volumes = named.map(({ volume, shareable }) => ({
      volume: this.#naming.volume(volume),
      shareable,
      lockedBy: 'hypervisor' as const,
    }));
    const data = { name: this.#naming.name(domain.name), host, power, volumes };
    const waiting = named.flatMap(({ volume }) => {
      const lock = this.#locksWaiting.get(volume);
      return lock === undefined ? [] : [this.#holders(vm, volume, lock.holders, `${lock.line}/lock`, number, t)];
    });
    return [this.#vm('landfall.vm.declared.v1', vm, data, `${number}/declared/${vm}`, number, t), ...waiting];
  }

  /** Converts an observed lease. A lease observed before its VM waits until the VM is listed. */
  #lock(
    volume: string,
    holders: InputData<'landfall.volume.holders.v1'>['holders'],
    number: number,
    t: number,
  ): TimedInput[] {
    const owner = this.#volumes.ownerOf(volume);
    if (owner !== undefined) return [this.#holders(owner, volume, holders, `${number}/lock`, number, t)];
    this.#locksWaiting.set(volume, { holders, line: number });
    return [];
  }

  #holders(
    vm: string,
    volume: string,
    holders: InputData<'landfall.volume.holders.v1'>['holders'],
    id: string,
    number: number,
    t: number,
  ): TimedInput {
    return this.#vm('landfall.volume.holders.v1', vm, { volume: this.#naming.volume(volume), holders }, id, number, t);
  }

  #api(line: ApiLine, number: number): TimedInput[] {
    const vm = line.vm ?? (this.#vms.size === 1 ? [...this.#vms][0] : undefined);
    if (vm === undefined)
      throw new Fault('BAD_RECORDING', 'vm: missing, and the recording has several VMs', 'Add the VM of the call.');
    const make = <T extends VmInputType>(type: T, data: InputData<T>) => [
      this.#vm(type, vm, data, `${number}/api`, number, line.t),
    ];
    if (line.action !== 'migrate') {
      const error = line.error ? { error: line.error } : {};
      return make('landfall.operator.acted.v1', {
        action: line.action,
        ok: line.rc === 0 || line.ok === true,
        ...error,
      });
    }
    if (line.migrationId === undefined)
      throw new Fault('BAD_RECORDING', 'migrationId: missing', 'Add the id of the migration call.');
    const migration = this.#naming.migration(line.migrationId);
    if (line.phase === 'end') {
      const ok = line.ok ?? line.rc === 0;
      return make(
        'landfall.migration.returned.v1',
        ok ? { migration, ok } : { migration, ok, error: callErrorOf(line) },
      );
    }
    if (line.source === undefined || line.destination === undefined) {
      throw new Fault(
        'BAD_RECORDING',
        `${line.source === undefined ? 'source' : 'destination'}: missing`,
        'Add both hosts of the migration call.',
      );
    }
    const flags = line.flags ?? [];
    return make('landfall.migration.started.v1', {
      migration,
      source: line.source,
      destination: line.destination,
      flags,
      leavePaused: flags.includes('--suspend'),
      storageCopied: flags.some((flag) => flag.startsWith('--copy-storage')),
      effects: 'observe',
    });
  }

  #answer(question: Question, answering: HostReply | null, id: string, number: number, t: number): TimedInput {
    const domain = answering?.ok === true ? (this.#domainOf(question.vm, answering) ?? null) : null;
    const { data, recorded } = answerOf(question, answering, domain);
    return { input: seal('landfall.host.answered.v1', question.vm, data, this.source, id, recorded), line: number, t };
  }

  /** Questions contain the ledger's VM ids, listings the recorded ids. */
  #domainOf(vm: string, { domains }: HostReply): RecordedDomain | undefined {
    const found = Object.entries(domains).find(([recorded]) => this.#naming.vm(recorded.toLowerCase()) === vm);
    return found?.[1];
  }

  #vm<T extends VmInputType>(
    type: T,
    vm: string,
    data: InputData<T>,
    id: string,
    number: number,
    t: number,
  ): TimedInput {
    return { input: seal(type, this.#naming.vm(vm), data, this.source, id), line: number, t };
  }

  #site<T extends SiteInputType>(type: T, data: InputData<T>, id: string, number: number, t: number): TimedInput {
    return { input: seal(type, null, data, this.source, id), line: number, t };
  }

  #host(name: string): HostState {
    const host = this.#hosts.get(name) ?? { stream: 'connected', last: null, pending: [], ended: false };
    this.#hosts.set(name, host);
    return host;
  }
}
