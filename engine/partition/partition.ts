import { toEvent } from '../../events/cloud-event.ts';
import type { AttemptState } from '../../events/attempt.ts';
import type { Configuration } from '../../events/configuration.ts';
import type { Cause } from '../../events/entries.ts';
import { MALFORMED_BYTES_KEPT } from '../../events/entry-version.ts';
import type { Fault } from '../../events/fault.ts';
import type { Input } from '../../events/inputs.ts';
import { WALL } from '../../events/vocabulary.ts';
import { sha256 } from '../../log/chain.ts';
import type { Excerpt } from '../../log/kept-bytes.ts';
import type { Batch, Identity, InputPosition } from '../../log/port.ts';
import type { Directory } from '../../log/directory.ts';
import { refusals } from './refusals.ts';
import { applySiteInput } from './site-inputs.ts';
import type { HeapTimer } from './timer-heap.ts';
import { applyVmInput } from './vm-inputs.ts';
import { type CacheLimits, type Moment, Workspace } from './workspace.ts';

/**
 * Decides inputs and due timers in memory and produces ledger entries. The partition does no I/O except lookups and reads no
 * clock: each call passes the time. A decision takes effect when its batch is committed. Each identity is consumed once
 * (invariant 10).
 */

export type Malformed = InputPosition & Excerpt & { readonly fault: Fault };
/** `refused`: the input is in the ledger with the reason, and changed nothing. */
export type Taken = { outcome: 'consumed' | 'duplicate' } | { outcome: 'refused'; refusal: Refusal };
export type Refusal = { code: string; message: string; remedy: string };
export type Note = Identity & { readonly type: string; readonly data: object };
/** A batch to commit. The caller calls `committed` once the batch is durable. */
export type Drained = { batch: Batch; committed: () => void };
export type Recall = (identities: readonly Identity[]) => (string | null)[];

const DUPLICATE: Taken = { outcome: 'duplicate' };
const CONSUMED: Taken = { outcome: 'consumed' };

export class Partition {
  readonly #space: Workspace;
  readonly #recall: Recall;
  /** The identities of batches under way; `recall` finds an identity only after its commit. */
  readonly #underWay = new Set<ReadonlyMap<string, string>>();
  #pending = new Map<string, string>();
  #inputPositions = new Map<string, number>();

  constructor(directory: Directory, recall: Recall, limits?: CacheLimits) {
    this.#space = new Workspace(directory, limits);
    this.#recall = recall;
  }

  get openCount(): number {
    return this.#space.attempts.openCount;
  }

  get pendingCount(): number {
    return this.#space.pending.length;
  }

  /** Returns whether an entry decided since the last batch has a question or a command. */
  get hasOutgoing(): boolean {
    return this.#space.hasOutgoing;
  }

  get configuration(): Configuration {
    return this.#space.configuration;
  }

  *openAttempts(): Generator<AttemptState> {
    for (const migration of this.#space.attempts.openIds()) {
      const loaded = this.#space.attempts.peek(migration);
      if (loaded !== null) yield loaded.state;
    }
  }

  /** Returns whether an attempt of this id exists on another clock: in another recording or at the live site. */
  isOnOtherClock(migration: string, clock: string): boolean {
    const found = this.#space.attempts.find(migration);
    return found !== null && found.state.attempt.clock !== clock;
  }

  /** Returns the time of the next deadline on this clock, in milliseconds since 1970; null if no deadline is open. */
  nextDueAt(clock: string): number | null {
    return this.#space.timetable.next(clock)?.dueAt ?? null;
  }

  /** Fires at most `limit` timers of the clock that are due at `now`, earliest first. Returns the number that fired. */
  fire(now: number, clock: string, limit = Number.POSITIVE_INFINITY): number {
    const { timetable } = this.#space;
    let fired = 0;
    for (let due = timetable.next(clock); due !== undefined && due.dueAt <= now; due = timetable.next(clock)) {
      if (fired >= limit) break;
      timetable.drop(clock);
      if (this.#fireOne(due, { now, clock })) fired += 1;
      timetable.fired(due);
    }
    return fired;
  }

  #fireOne(due: HeapTimer, moment: Moment): boolean {
    const { migration, timer, generation } = due;
    const loaded = this.#space.attempts.open(migration);
    if (loaded?.timers[timer]?.generation !== generation) return false;
    const knownHosts = this.#space.knownHosts(moment.clock, loaded.state.attempt.source);
    return this.#space.step(migration, { type: 'timer', kind: timer, knownHosts }, { kind: 'timer', ...due }, moment);
  }

  /** Decides an input. A redelivered input changes nothing; an input that reuses an identity for other content is refused. */
  take(input: Input, at: InputPosition | null, now: number, clock: string): Taken {
    if (at !== null) this.#advance(at);
    const known = this.#known(input);
    if (known === input.digest) return DUPLICATE;
    if (known !== null) return this.#conflict(input, at, { now, clock });
    const before = this.#space.pending.length;
    const cause = causeOf(input, at);
    if (input.vm === null) applySiteInput(this.#space, input, cause, { now, clock });
    else applyVmInput(this.#space, input, cause, { now, clock });
    this.#remember(input, input.digest);
    const refusal = this.#space.pending[before]?.refusal ?? null;
    return refusal === null ? CONSUMED : { outcome: 'refused', refusal };
  }

  /** Stores the first bytes of a malformed record and the reason in an entry, from which the dead letter is made. */
  takeMalformed(malformed: Malformed, now: number, clock: string): Taken {
    const { stream, offset, digest, fault } = malformed;
    this.#advance(malformed);
    return this.#storeUnusable({ source: stream, id: `malformed:${offset}:${digest.slice(0, 16)}` }, malformed, fault, {
      now,
      clock,
    });
  }

  #advance({ stream, offset }: InputPosition): void {
    this.#inputPositions.set(stream, Math.max(offset, this.#inputPositions.get(stream) ?? 0));
  }

  #conflict(input: Input, at: InputPosition | null, moment: Moment): Taken {
    const text = JSON.stringify(toEvent(input));
    const place = at ?? { stream: input.source, offset: 0 };
    const fault = refusals.identityConflict(input);
    this.#storeUnusable(
      conflictIdentity(input),
      { ...place, text, bytes: Buffer.byteLength(text), digest: input.digest },
      fault,
      moment,
    );
    // A repeated conflicting input has no entry of its own, but it is refused too.
    return { outcome: 'refused', refusal: { code: fault.code, message: fault.message, remedy: fault.remedy } };
  }

  #storeUnusable(identity: Identity, letter: Omit<Malformed, 'fault'>, fault: Fault, moment: Moment): Taken {
    if (this.#known(identity) !== null) return DUPLICATE;
    const { stream, offset, digest, bytes, encoding } = letter;
    const text = letter.text.slice(0, MALFORMED_BYTES_KEPT);
    const cause: Cause = {
      kind: 'malformed',
      source: identity.source,
      id: identity.id,
      digest,
      stream,
      offset,
      text,
      bytes,
      ...(encoding === undefined ? {} : { encoding }),
    };
    this.#space.refuse(null, fault, cause, moment);
    this.#remember(identity, digest);
    return { outcome: 'refused', refusal: { code: fault.code, message: fault.message, remedy: fault.remedy } };
  }

  /** Writes an entry about an operator's action on the ledger itself, which affects no decision. */
  note({ type, source, id, data }: Note, now: number): void {
    const digest = sha256(JSON.stringify(data));
    this.#space.write(null, { kind: 'input', type, source, id, digest, data }, { now, clock: WALL }, {});
  }

  /** Returns the batch of everything decided since the last call. */
  drain(): Drained {
    const inputPositions: InputPosition[] = [...this.#inputPositions].map(([stream, offset]) => ({ stream, offset }));
    this.#inputPositions = new Map();
    const { entries, committed } = this.#space.drain();
    const identities = this.#pending;
    if (identities.size === 0) return { batch: { entries, inputPositions }, committed };
    this.#pending = new Map();
    this.#underWay.add(identities);
    const forget = () => {
      this.#underWay.delete(identities);
      committed();
    };
    return { batch: { entries, inputPositions }, committed: forget };
  }

  #known({ source, id }: Identity): string | null {
    const key = `${source}\n${id}`;
    const pending = this.#pending.get(key);
    if (pending !== undefined) return pending;
    for (const identities of this.#underWay) {
      const digest = identities.get(key);
      if (digest !== undefined) return digest;
    }
    return this.#recall([{ source, id }])[0] ?? null;
  }

  #remember({ source, id }: Identity, digest: string): void {
    this.#pending.set(`${source}\n${id}`, digest);
  }
}

/** Returns the identity of the entry that refuses an input because its own identity was used for other content. */
export function conflictIdentity({ source, id, digest }: Pick<Input, 'source' | 'id' | 'digest'>): Identity {
  return { source, id: `conflict:${id}:${digest.slice(0, 16)}` };
}

function causeOf(input: Input, at: InputPosition | null): Cause {
  const { type, source, id, digest, data, time, trace } = input;
  const cause = { kind: 'input' as const, type, source, id, digest, ...at, data };
  return { ...cause, ...(time === undefined ? {} : { time }), ...(trace === undefined ? {} : { trace }) };
}
