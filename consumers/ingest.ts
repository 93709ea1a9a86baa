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
 * Ingests recordings and CloudEvents, one JSON object per line, in constant memory. A stream is a recording if its
 * first line is a `scenario`.
 *
 * An incomplete last line is reported and never ingested, so that a later ingest of the whole file gives the same
 * ledger as a single ingest.
 */

export type IngestOptions = {
  /** If true, bad lines go to the dead letters; otherwise the first bad line ends the ingest. */
  skipBad: boolean;
  /** If true, every recording gets its own VMs and attempts. */
  apart: boolean;
  /** Returns the wall-clock time in milliseconds since the epoch. */
  now: () => number;
  onProgress?: (progress: { name: string; lines: number }) => void;
  onBadLine?: (fault: Fault) => void;
  onNotice?: (text: string) => void;
  /** Returns the questions of an earlier run without answers; the recorded hosts answer them in this run. */
  unanswered: (clock: string) => Promise<Question[]>;
};

export type IngestReport = {
  lines: number;
  bad: number;
  /** The number of files that end within a line. */
  cutOff: number;
  consumed: number;
  duplicates: number;
  refused: number;
  /** The endings of the recordings, by the attempt's id in the ledger. */
  endings: Map<string, Ending>;
};
export type Source = { name: string; stream: () => AsyncIterable<Buffer | string>; twice: boolean };
type Kind = 'recording' | 'events';
/** The state of the stream that is being read. */
type Reading = { readonly source: Source; readonly probes: LastProbes | null; kind: Kind | null; times: ClockSkew };

/** Limits for events from a file: inputs per commit, and commits in flight. */
const INPUTS_PER_COMMIT = 256;
const COMMITS_IN_FLIGHT_MAX = 4;

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
  #inFlight: Promise<unknown>[] = [];
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

  /**
   * @throws Fault naming file and line of the first bad line, unless bad lines are skipped; earlier inputs are
   * committed.
   */
  async run(source: Source): Promise<void> {
    const probes = source.twice ? await findLastProbes(source.stream()) : null;
    const reading: Reading = { source, probes, kind: null, times: new ClockSkew() };
    const before = this.report.cutOff;
    this.#name = source.name;
    try {
      for await (const line of readLines(source.stream())) await this.#line(reading, line);
    } catch (error) {
      await this.#flushAll();
      throw error;
    }
    reading.times.report((text) => this.#notice(text));
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
    const located = this.#withLocation(fault, line.number);
    if (!this.#options.skipBad) throw located;
    this.#options.onBadLine?.(located);
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
    times.observe(input.time, `${this.#name}:${line.number}`, now);
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
        this.#options.onBadLine?.(this.#withLocation(new Fault(code, message, remedy), line));
      }
    }
  }

  /** Returns the fault with file name and line number in its message. */
  #withLocation({ code, message, remedy }: Fault, line: number): Fault {
    return new Fault(code, `${this.#name}:${line}: ${message}`, remedy);
  }

  #notice(text: string): void {
    this.#options.onNotice?.(`${this.#name}: ${text}`);
  }

  /**
   * Starts a commit without waiting, so that the next batch is decided meanwhile. The number of commits in flight is
   * limited.
   */
  async #commit(): Promise<void> {
    const commit = this.#driver.flush();
    // A later await reports the failure; until then the rejection must not end the process.
    commit.catch(() => {});
    this.#inFlight.push(commit);
    if (this.#inFlight.length >= COMMITS_IN_FLIGHT_MAX) await this.#inFlight.shift();
  }

  /** Resolves when all accepted inputs are durable. */
  async #flushAll(): Promise<void> {
    await Promise.all([...this.#inFlight, this.#driver.flush()]);
    this.#inFlight = [];
  }

  async #finish(kind: Kind | null, isCutOff: boolean): Promise<void> {
    if (kind === 'recording') return isCutOff ? this.#recordings.suspend() : this.#recordings.close();
    // Overdue timers fire after the inputs of the file, so that deadlines do not overtake answers.
    this.#driver.partition.fire(this.#options.now(), WALL);
    await this.#flushAll();
  }
}

export const isRecorded = (value: unknown) =>
  typeof value === 'object' && value !== null && 'kind' in value && !('specversion' in value);
