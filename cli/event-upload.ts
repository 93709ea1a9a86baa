import { appendFileSync } from 'node:fs';
import { type EventOfLine, readEventLines, requireEvents } from '../consumers/event-lines.ts';
import type { Source } from '../consumers/ingest.ts';
import { CUT_OFF } from '../consumers/line-json.ts';
import { keptOfLine, type Line } from '../consumers/lines.ts';
import { Fault } from '../events/fault.ts';
import type { DeadLetter } from '../producers/dead-letters.ts';
import { BadLineReporter, progress } from './bad-line-reporter.ts';
import type { Io } from './io.ts';

/** Reads files of CloudEvents and sends the events to a sink: the inputs topic or a running service. */

export type Counts = {
  /** Events that are durable in the inputs topic and not decided yet. */
  sent: number;
  consumed: number;
  duplicates: number;
  refused: number;
};
export type UploadReport = Counts & { lines: number; bad: number; cutOff: number };

type LineLocation = { readonly name: string; readonly line: Line };
export type OnRefused = (place: LineLocation, refusal: Pick<Fault, 'code' | 'message' | 'remedy'>) => void;

/** A destination of events. */
export type EventSink = {
  readonly counts: Readonly<Counts>;
  /** Tells the user where the bad lines are kept. */
  readonly kept: string;
  /** Adds an event. The event is durable when `flush` resolves. */
  add(event: EventOfLine, name: string, onRefused: OnRefused): Promise<void>;
  /** Keeps an unreadable line in the dead letters, if the sink has any; resolves when the line is durable. */
  deadLetter(letter: DeadLetter): Promise<void>;
  flush(onRefused: OnRefused): Promise<void>;
};

type UploadOptions = { readonly skipBad: boolean; readonly deadLetters: string | undefined };

/**
 * @throws Fault for the first bad line unless bad lines are skipped; earlier events are durable. NOT_LIVE for a
 * recording.
 */
export async function uploadFiles(
  sources: readonly Source[],
  sink: EventSink,
  options: UploadOptions,
  io: Io,
): Promise<UploadReport> {
  for (const source of sources) if (source.twice) await requireEvents(source);
  const sending = new Upload(sink, options, io);
  try {
    for (const source of sources) await sending.run(source);
    await sending.flush();
  } catch (error) {
    const { sent, consumed, duplicates } = sink.counts;
    io.err(`acknowledged before the error: ${sent + consumed + duplicates}`);
    throw error;
  }
  return sending.concluded();
}

class Upload {
  readonly #sink: EventSink;
  readonly #options: UploadOptions;
  readonly #bad: BadLineReporter;
  readonly #progress: ReturnType<typeof progress>;
  readonly #lines = { lines: 0, bad: 0, cutOff: 0 };

  constructor(sink: EventSink, options: UploadOptions, io: Io) {
    this.#sink = sink;
    this.#options = options;
    this.#bad = new BadLineReporter(io, sink.kept);
    this.#progress = progress(io);
  }

  async run(source: Source): Promise<void> {
    const { name } = source;
    for await (const { line, found } of readEventLines(source)) {
      this.#lines.lines += 1;
      this.#progress({ name, lines: this.#lines.lines });
      if (found instanceof Fault) await this.#reportBad({ name, line }, found);
      else await this.#sink.add(found, name, this.#onRefused);
    }
  }

  flush(): Promise<void> {
    return this.#sink.flush(this.#onRefused);
  }

  concluded(): UploadReport {
    this.#bad.summarize();
    return { ...this.#lines, ...this.#sink.counts };
  }

  async #reportBad(place: LineLocation, fault: Fault): Promise<void> {
    const located = withLocation(place, fault);
    if (!this.#options.skipBad) {
      await this.flush();
      throw located;
    }
    this.#bad.report(located);
    // An incomplete last line does not count as bad, because the file may still grow.
    if (fault.code === CUT_OFF) this.#lines.cutOff += 1;
    else {
      this.#lines.bad += 1;
      const letter = letterOf(place, fault);
      await this.#sink.deadLetter(letter);
      this.#append(letter);
    }
  }

  readonly #onRefused: OnRefused = (place, { code, message, remedy }) => {
    const fault = new Fault(code, message, remedy);
    this.#bad.report(withLocation(place, fault));
    this.#append(letterOf(place, fault));
  };

  #append(letter: DeadLetter): void {
    const { deadLetters } = this.#options;
    if (deadLetters !== undefined) appendFileSync(deadLetters, `${JSON.stringify(letter)}\n`);
  }
}

function letterOf({ name, line }: LineLocation, { code, message, remedy }: Fault): DeadLetter {
  return { code, message, remedy, stream: `file:${name}`, offset: line.number, ...keptOfLine(line) };
}

/** Returns the fault with file name and line number in its message. */
function withLocation({ name, line }: LineLocation, { code, message, remedy }: Fault): Fault {
  return new Fault(code, `${name}:${line.number}: ${message}`, remedy);
}
