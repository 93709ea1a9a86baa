import { createReadStream } from 'node:fs';
import { toInput } from '../events/cloud-event.ts';
import type { Question } from '../events/commands.ts';
import { Fault } from '../events/fault.ts';
import type { Input } from '../events/inputs.ts';
import { WALL } from '../events/vocabulary.ts';
import { sha256 } from '../log/chain.ts';
import type { Driver } from '../engine/driver.ts';
import { CUT_OFF, parseLine } from './line-json.ts';
import { keptOfLine, type Line, readLines } from './lines.ts';
import { ClockSkew } from './clock-skew.ts';
import type { Taken } from '../engine/partition/partition.ts';
import { findLastProbes, isBlank, type LastProbes } from './recording/last-probes.ts';
import type { Ending } from './recording/truth.ts';
import { RecordingStream } from './recording/recording-stream.ts';

/**
 * Ingests recorded streams and CloudEvents, one JSON object a line, of any size in constant memory. Which of the two a stream
 * is, its first line says: a recording begins with its `scenario`.
 *
 * A last line without its end that is no JSON yet is not a bad line but half of one: it is told and never taken, so that the
 * whole file, ingested later, ends in the very ledger that it would have made at once.
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
  /** Files that ended in the middle of a line. */
  cutOff: number;
  consumed: number;
  duplicates: number;
  refused: number;
  /** How the recordings say that their attempts ended, by the attempt's id in the ledger. */
  endings: Map<string, Ending>;
};
export type Source = { name: string; stream: () => AsyncIterable<Buffer | string>; twice: boolean };
type Kind = 'recording' | 'events';
/** What is known of the stream that is being read. */
type Reading = { readonly source: Source; readonly probes: LastProbes | null; kind: Kind | null; times: ClockSkew };

/** How many inputs share a commit, and how many commits may be under way, when events are read from a file. */
const INPUTS_PER_COMMIT = 256;
const COMMITS_UNDER_WAY = 4;

export function fileSource(name: string): Source {
  return { name, twice: true, stream: () => createReadStream(name) };
}

export function stdinSource(): Source {
  return { name: 'stdin', twice: false, stream: () => process.stdin };
}

export class Ingest {
  readonly #driver: Driver;
  readonly #options: IngestOptions;
  readonly #recordings: RecordingStream;
  readonly report: IngestReport = {
    lines: 0,
    bad: 0,
    cutOff: 0,
    consumed: 0,
    duplicates: 0,
    refused: 0,
    endings: new Map(),
  };
  #underWay: Promise<unknown>[] = [];
  #name = '';

  constructor(driver: Driver, options: IngestOptions) {
    this.#driver = driver;
    this.#options = options;
    this.#recordings = new RecordingStream(driver, {
      apart: options.apart,
      unanswered: options.unanswered,
      onTaken: (taken, line) => this.#count(taken, line),
      onEnding: (migration, ending) => this.report.endings.set(migration, ending),
      onNotice: (text) => this.#notice(text),
    });
  }

  /** @throws Fault naming file and line of the first bad line, unless they are skipped; what came before it is committed. */
  async run(source: Source): Promise<void> {
    const probes = source.twice ? await findLastProbes(source.stream()) : null;
    const reading: Reading = { source, probes, kind: null, times: new ClockSkew() };
    const before = this.report.cutOff;
    this.#name = source.name;
    try {
      for await (const line of readLines(source.stream())) await this.#line(reading, line);
    } catch (error) {
      await this.#settle();
      throw error;
    }
    reading.times.tell((text) => this.#notice(text));
    await this.#finish(reading.kind, this.report.cutOff > before);
  }

  async #line(reading: Reading, line: Line): Promise<void> {
    this.report.lines += 1;
    if (this.report.lines % 1000 === 0) this.#options.onProgress?.({ name: this.#name, lines: this.report.lines });
    if (isBlank(line)) return;
    this.#recordings.count(line);
    try {
      const value = parseLine(line);
      reading.kind ??= isRecorded(value) ? 'recording' : 'events';
      if (reading.kind === 'recording') await this.#recordings.take(value, reading.probes);
      else await this.#event(toInput(value, sha256), line, reading.times);
    } catch (error) {
      if (!(error instanceof Fault) || error.code.startsWith('LEDGER_')) throw error;
      this.#bad(error, line);
    }
  }

  #bad(fault: Fault, line: Line): void {
    const placed = this.#placed(fault, line.number);
    if (!this.#options.skipBad) throw placed;
    this.#options.onBadLine?.(placed);
    if (fault.code === CUT_OFF) {
      this.report.cutOff += 1;
      return;
    }
    this.report.bad += 1;
    const { clock, now } = this.#recordings.moment ?? { clock: WALL, now: this.#options.now() };
    const at = { stream: `file:${this.#name}`, offset: line.number };
    this.#driver.partition.takeMalformed({ ...at, ...keptOfLine(line), fault }, now, clock);
  }

  async #event(input: Input, line: Line, times: ClockSkew): Promise<void> {
    const now = this.#options.now();
    times.see(input.time, `${this.#name}:${line.number}`, now);
    const at = { stream: `file:${this.#name}`, offset: line.number };
    this.#count(this.#driver.partition.take(input, at, now, WALL), line.number);
    if (this.#driver.partition.pendingCount >= INPUTS_PER_COMMIT) await this.#commit();
  }

  #count(taken: Taken, line: number): void {
    switch (taken.outcome) {
      case 'consumed':
        this.report.consumed += 1;
        return;
      case 'duplicate':
        this.report.duplicates += 1;
        return;
      case 'refused': {
        const { code, message, remedy } = taken.refusal;
        this.report.refused += 1;
        this.#options.onBadLine?.(this.#placed(new Fault(code, message, remedy), line));
      }
    }
  }

  /** The fault with the place it happened in. */
  #placed({ code, message, remedy }: Fault, line: number): Fault {
    return new Fault(code, `${this.#name}:${line}: ${message}`, remedy);
  }

  #notice(text: string): void {
    this.#options.onNotice?.(`${this.#name}: ${text}`);
  }

  /** Commits without waiting, so that the next batch is worked out meanwhile; at most a few are under way. */
  async #commit(): Promise<void> {
    const commit = this.#driver.flush();
    // It is looked at later; until then its failure must not end the process.
    commit.catch(() => {});
    this.#underWay.push(commit);
    if (this.#underWay.length >= COMMITS_UNDER_WAY) await this.#underWay.shift();
  }

  /** Everything taken so far becomes durable. */
  async #settle(): Promise<void> {
    await Promise.all([...this.#underWay, this.#driver.flush()]);
    this.#underWay = [];
  }

  async #finish(kind: Kind | null, isCutOff: boolean): Promise<void> {
    if (kind === 'recording') return isCutOff ? this.#recordings.suspend() : this.#recordings.close();
    // What fell due while nobody ran comes after the inputs that were there: answers are not overtaken by their deadlines.
    this.#driver.partition.fire(this.#options.now(), WALL);
    await this.#settle();
  }
}

export const isRecorded = (value: unknown) =>
  typeof value === 'object' && value !== null && 'kind' in value && !('specversion' in value);
