import { createReadStream } from 'node:fs';
import { parse, toInput } from '../events/cloud-event.ts';
import type { Question } from '../events/commands.ts';
import { Fault, messageOf } from '../events/fault.ts';
import { WALL } from '../events/vocabulary.ts';
import { sha256 } from '../log/chain.ts';
import type { Driver } from './driver.ts';
import { type Line, readLines } from './lines.ts';
import { apart, asRecorded } from './recording/naming.ts';
import { Player } from './recording/play.ts';
import { RecordedLine, type ScenarioLine, type TruthLine } from './recording/schema.ts';
import { RecordedWorld } from './recording/world.ts';

/**
 * Ingests recorded streams and CloudEvents, one JSON object a line, of any size in constant memory. Which of the two a stream
 * is, its first line says: a recording begins with its `scenario`.
 */

export type IngestOptions = {
  /** Bad lines go to the dead letters and the rest goes in; otherwise the first one ends the ingest. */
  skipBad: boolean;
  /** Every recording gets VMs and attempts of its own. */
  apart: boolean;
  /** The wall clock, in milliseconds. */
  now: () => number;
  onProgress?: (progress: { name: string; lines: number }) => void;
  onBadLine?: (fault: Fault) => void;
  onNotice?: (text: string) => void;
  /** The questions that an earlier run put on this clock and nobody answered: the recorded hosts answer them now. */
  unanswered: (clock: string) => Promise<Question[]>;
};

export type IngestReport = {
  lines: number;
  bad: number;
  consumed: number;
  duplicates: number;
  refused: number;
  truths: Map<string, TruthLine>;
};
export type Source = { name: string; stream: () => AsyncIterable<Buffer | string>; twice: boolean };

/** How many inputs share a commit, and how many commits may be under way, when events are read from a file. */
const INPUTS_PER_COMMIT = 256;
const COMMITS_UNDER_WAY = 4;
/** A recording whose clock leaps further than this between two lines has a bad time, not a long pause. */
const LEAP_FORWARD_MAX_MS = 24 * 3_600_000;
const LEAP_BACK_MAX_MS = 60_000;

export function fileSource(name: string): Source {
  return { name, twice: true, stream: () => createReadStream(name) };
}

export function stdinSource(): Source {
  return { name: 'stdin', twice: false, stream: () => process.stdin };
}

export class Ingest {
  readonly #driver: Driver;
  readonly #options: IngestOptions;
  readonly report: IngestReport = { lines: 0, bad: 0, consumed: 0, duplicates: 0, refused: 0, truths: new Map() };
  #player: Player | null = null;
  #lastT = 0;
  #underWay: Promise<unknown>[] = [];

  constructor(driver: Driver, options: IngestOptions) {
    this.#driver = driver;
    this.#options = options;
  }

  /** Puts a committed question to the host of the recording that is playing. */
  ask(question: Question): void {
    this.#player?.world.ask(question);
  }

  /** @throws Fault BAD_LINE and the like for the first bad line, unless they are skipped; what came before it is committed. */
  async run(source: Source): Promise<void> {
    const lastProbeLines = source.twice ? await findLastProbes(source.stream()) : null;
    let kind: 'recording' | 'events' | null = null;
    try {
      for await (const line of readLines(source.stream())) {
        this.report.lines += 1;
        if (line.text.trim() === '' && !line.oversized) continue;
        kind = await this.#line(source, line, kind, lastProbeLines);
        if (this.report.lines % 1000 === 0) this.#options.onProgress?.({ name: source.name, lines: this.report.lines });
      }
    } catch (error) {
      await this.#settle();
      throw error;
    }
    await this.#finish(kind);
  }

  async #line(
    source: Source,
    line: Line,
    kind: 'recording' | 'events' | null,
    probes: ReadonlyMap<string, number> | null,
  ): Promise<'recording' | 'events' | null> {
    try {
      const value = parseLine(line);
      const isRecorded = typeof value === 'object' && value !== null && 'kind' in value && !('specversion' in value);
      const expected = kind ?? (isRecorded ? 'recording' : 'events');
      if (expected === 'recording') await this.#recorded(value, line, probes);
      else await this.#event(value, line, source.name);
      return expected;
    } catch (error) {
      const fault = asFault(error, `${source.name}:${line.number}`);
      if (isLedgerFault(fault)) throw error;
      await this.#bad(fault, line, source.name);
      return kind;
    }
  }

  async #bad(fault: Fault, line: Line, name: string): Promise<void> {
    if (!this.#options.skipBad) throw fault;
    this.report.bad += 1;
    this.#options.onBadLine?.(fault);
    const clock = this.#player?.world.clock ?? WALL;
    const now = this.#player === null ? this.#options.now() : this.#lastT;
    const digest = line.digest ?? sha256(line.text);
    this.#driver.partition.takeMalformed(
      { stream: `file:${name}`, offset: line.number, text: line.text, bytes: line.bytes, digest, fault },
      now,
      clock,
    );
  }

  // ---- recordings

  async #recorded(value: unknown, line: Line, probes: ReadonlyMap<string, number> | null): Promise<void> {
    const recorded = parse(RecordedLine, value, '');
    if (recorded.kind === 'scenario') return this.#open(recorded, probes);
    if (this.#player === null) {
      throw new Fault(
        'BAD_RECORDING',
        'kind: the first line of a recording is its `scenario`',
        'Is the beginning of the file missing?',
      );
    }
    checkTime(recorded.t, this.#lastT);
    this.#lastT = Math.max(this.#lastT, recorded.t);
    await this.#player.line(recorded, line.number);
  }

  async #open(scenario: ScenarioLine, probes: ReadonlyMap<string, number> | null): Promise<void> {
    await this.#close();
    const clock = `recorded:${scenario.name}@${Math.round(scenario.t)}`;
    const naming = this.#options.apart
      ? apart(scenario.name)
      : asRecorded(scenario.name, (id) => this.#driver.partition.isOnOtherClock(id, clock));
    this.#player = new Player(this.#driver, new RecordedWorld(scenario, naming, probes));
    for (const question of await this.#options.unanswered(clock)) this.#player.world.ask(question);
    this.#lastT = scenario.t;
  }

  async #close(): Promise<void> {
    const player = this.#player;
    if (player === null) return;
    await player.end();
    for (const [migration] of player.world.migrations)
      if (player.world.truth !== null) this.report.truths.set(migration, player.world.truth);
    if (player.world.unmappedEvents > 0) {
      this.#options.onNotice?.(
        `${player.world.unmappedEvents} lifecycle event(s) of domains that no listing names were not used`,
      );
    }
    this.#player = null;
  }

  // ---- CloudEvents

  async #event(value: unknown, line: Line, name: string): Promise<void> {
    const input = toInput(value, sha256);
    const taken = this.#driver.partition.take(
      input,
      { stream: `file:${name}`, offset: line.number },
      this.#options.now(),
      WALL,
    );
    if (taken.outcome === 'consumed') this.report.consumed += 1;
    if (taken.outcome === 'duplicate') this.report.duplicates += 1;
    if (taken.outcome === 'refused') this.#refused(taken.refusal, `${name}:${line.number}`);
    if (this.#driver.partition.pendingCount >= INPUTS_PER_COMMIT) await this.#commit();
  }

  #refused({ code, message, remedy }: { code: string; message: string; remedy: string }, place: string): void {
    this.report.refused += 1;
    this.#options.onBadLine?.(new Fault(code, `${place}: ${message}`, remedy));
  }

  /** Commits without waiting, so that the next batch is worked out meanwhile; at most a few are under way. */
  async #commit(): Promise<void> {
    this.#underWay.push(this.#driver.flush());
    if (this.#underWay.length >= COMMITS_UNDER_WAY) await this.#underWay.shift();
  }

  /** Everything taken so far becomes durable. */
  async #settle(): Promise<void> {
    await this.#driver.flush();
    await Promise.all(this.#underWay);
    this.#underWay = [];
  }

  async #finish(kind: 'recording' | 'events' | null): Promise<void> {
    if (kind === 'recording') return this.#close();
    // What fell due while nobody ran comes after the inputs that were there: answers are not overtaken by their deadlines.
    this.#driver.partition.fire(this.#options.now(), WALL);
    await this.#settle();
  }
}

function parseLine(line: Line): unknown {
  if (line.oversized) {
    throw new Fault(
      'TOO_LARGE',
      `${line.bytes} bytes in one line: an input has 1 MiB at most`,
      'Send references to large data, not the data.',
    );
  }
  try {
    return JSON.parse(line.text);
  } catch (error) {
    const what = line.torn ? 'the file ends in the middle of this line: it was cut off' : messageOf(error);
    throw new Fault(
      line.torn ? 'CUT_OFF' : 'BAD_JSON',
      what,
      line.torn ? 'Ingest the whole file again: what is in already is recognised.' : 'Each line is one JSON object.',
      error,
    );
  }
}

function checkTime(t: number, last: number): void {
  if (t > last + LEAP_FORWARD_MAX_MS || t < last - LEAP_BACK_MAX_MS) {
    throw new Fault(
      'BAD_TIME',
      `t: ${t} is ${t > last ? 'more than a day after' : 'more than a minute before'} the line before (${last})`,
      'A recording is in the order of its times, in milliseconds since the epoch.',
    );
  }
}

/** The fault with the place it happened in. */
function asFault(error: unknown, place: string): Fault {
  if (error instanceof Fault) return new Fault(error.code, `${place}: ${error.message}`, error.remedy, error);
  throw error;
}

const isLedgerFault = (fault: Fault) => fault.code.startsWith('LEDGER_');

/** The line of each host's last probe, by a first reading. A line that does not parse is the second reading's to report. */
async function findLastProbes(stream: AsyncIterable<Buffer | string>): Promise<Map<string, number>> {
  const last = new Map<string, number>();
  for await (const line of readLines(stream)) {
    const host = /"kind":\s*"probe"/.test(line.text) ? /"host":\s*"([^"]*)"/.exec(line.text)?.[1] : undefined;
    if (host !== undefined) last.set(host, line.number);
  }
  return last;
}
