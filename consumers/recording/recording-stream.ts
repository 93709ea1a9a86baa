import { parse } from '../../events/cloud-event.ts';
import type { Question } from '../../events/commands.ts';
import { Fault } from '../../events/fault.ts';
import type { Driver } from '../../engine/driver.ts';
import type { Line } from '../lines.ts';
import type { Taken } from '../../engine/partition/partition.ts';
import type { LastProbes } from './last-probes.ts';
import { apart, asRecorded } from './ledger-names.ts';
import { RecordingPlayer } from './player.ts';
import { RecordedLine, recordedKinds, type ScenarioLine } from './schema.ts';
import type { Ending } from './truth.ts';
import { RecordedWorld } from './world.ts';

/**
 * Plays recordings one after the other: a `scenario` line starts a recording and ends the one before. Line numbers are
 * relative to their recording, so a recording gives the same ledger at any place in a file.
 */

export type RecordingStreamOptions = {
  /** If true, every recording gets its own VMs and attempts. */
  apart: boolean;
  onTaken: (taken: Taken, lineInFile: number) => void;
  /** Receives the recorded ending of an attempt. */
  onEnding: (migration: string, ending: Ending) => void;
  onNotice: (text: string) => void;
  /** Returns the questions of an earlier run without answers; the recorded hosts answer them in this run. */
  unanswered: (clock: string) => Promise<Question[]>;
};

type PlayState = { player: RecordingPlayer; lastT: number; before: number };

/** A larger time difference between two lines is an error in the recording, not a pause. */
const LEAP_FORWARD_MAX_MS = 24 * 3_600_000;
const LEAP_BACK_MAX_MS = 60_000;

export class RecordingStream {
  readonly #driver: Driver;
  readonly #options: RecordingStreamOptions;
  #playing: PlayState | null = null;
  /** The line number in the file, and the number of non-blank lines up to it. */
  #at = { line: 0, count: 0 };

  constructor(driver: Driver, options: RecordingStreamOptions) {
    this.#driver = driver;
    this.#options = options;
    // Only committed questions reach the recorded hosts (invariant 9). A recorded attempt sends no commands.
    driver.onCommitted((entries) => entries.flatMap(({ questions }) => questions).forEach((each) => this.#ask(each)));
  }

  /** The world id and the time of the recording in progress; null between recordings. */
  get moment(): { clock: string; now: number } | null {
    return this.#playing === null ? null : { clock: this.#playing.player.world.clock, now: this.#playing.lastT };
  }

  #ask(question: Question): void {
    this.#playing?.player.world.ask(question);
  }

  /** Counts a non-blank line. Must be called before each call of `take`. */
  count(line: Line): void {
    this.#at = { line: line.number, count: this.#at.count + 1 };
  }

  async take(value: unknown, probes: LastProbes | null): Promise<void> {
    const recorded = recordedLine(value);
    if (recorded.kind === 'scenario') return this.#open(recorded, probes);
    if (this.#playing === null) {
      throw new Fault(
        'BAD_RECORDING',
        'kind: the first line of a recording must be its `scenario`',
        'Check that the beginning of the file is not missing.',
      );
    }
    checkTime(recorded.t, this.#playing.lastT);
    this.#playing.lastT = Math.max(this.#playing.lastT, recorded.t);
    await this.#playing.player.line(recorded, this.#at.count - this.#playing.before);
  }

  /** Ends the recording in progress: its time advances until all possible decisions are made. */
  async close(): Promise<void> {
    if (this.#playing === null) return;
    const { player } = this.#playing;
    await player.end();
    const { endings, unmappedEvents } = player.world;
    for (const [migration, ending] of endings) this.#options.onEnding(migration, ending);
    if (unmappedEvents > 0) {
      this.#options.onNotice(
        `${unmappedEvents} lifecycle events were ignored: no listing has the names of their domains`,
      );
    }
    this.#playing = null;
  }

  /** Stops without ending the recording: its time stops and open attempts stay open, for a later ingest of the rest. */
  async suspend(): Promise<void> {
    await this.#driver.flush();
    this.#playing = null;
  }

  async #open(scenario: ScenarioLine, probes: LastProbes | null): Promise<void> {
    const { line, count } = this.#at;
    await this.close();
    const player = new RecordingPlayer(this.#driver, this.#world(scenario, probes?.get(line) ?? null), (taken) =>
      this.#options.onTaken(taken, this.#at.line),
    );
    this.#playing = { player, lastT: scenario.t, before: count - 1 };
    for (const question of await this.#options.unanswered(player.world.clock)) player.world.ask(question);
  }

  #world(scenario: ScenarioLine, probes: ReadonlyMap<string, number> | null): RecordedWorld {
    const recording = { name: scenario.name, t: Math.round(scenario.t) };
    const clock = `recorded:${recording.name}@${recording.t}`;
    const isTaken = (id: string) => this.#driver.partition.isOnOtherClock(id, clock);
    const naming = (this.#options.apart ? apart : asRecorded)(recording, isTaken);
    const migration = (id: string) => {
      const named = naming.migration(id);
      if (!this.#options.apart && named !== id) {
        this.#options.onNotice(
          `attempt ${id} of ${clock} is stored as ${named}, because another recording has an attempt with this id. Use --apart if the recordings have different VMs.`,
        );
      }
      return named;
    };
    return new RecordedWorld(scenario, { ...naming, migration: once(migration) }, probes);
  }
}

/** Returns a function that remembers its first result for each id. */
function once(name: (id: string) => string): (id: string) => string {
  const known = new Map<string, string>();
  return (id) => {
    const named = known.get(id) ?? name(id);
    known.set(id, named);
    return named;
  };
}

function recordedLine(value: unknown): RecordedLine {
  const kind = typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined;
  if (!recordedKinds.some((known) => known === kind)) {
    throw new Fault(
      'UNKNOWN_TYPE',
      `kind: ${JSON.stringify(kind) ?? 'missing'} is not a kind of recorded line`,
      `Use one of: ${recordedKinds.join(', ')}.`,
    );
  }
  try {
    return parse(RecordedLine, value, '');
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new Fault(error.code, error.message, 'See recordings/README.md for the fields of each kind.', error);
  }
}

function checkTime(t: number, last: number): void {
  if (t > last + LEAP_FORWARD_MAX_MS || t < last - LEAP_BACK_MAX_MS) {
    throw new Fault(
      'BAD_TIME',
      `t: ${t} is ${t > last ? 'more than a day after' : 'more than a minute before'} the line before (${last})`,
      'Sort the recording by time; times are in milliseconds since the epoch.',
    );
  }
}
