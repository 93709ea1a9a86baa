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

type Place = { readonly name: string; readonly line: Line };
export type OnRefused = (place: Place, refusal: Pick<Fault, 'code' | 'message' | 'remedy'>) => void;

/** A destination of events. */
export type EventSink = {
  readonly counts: Readonly<Counts>;
  /** Tells the user where the bad lines are kept. */
  readonly kept: string;
  /** Adds an event. The event is durable when `flush` resolves. */
  take(event: EventOfLine, name: string, refused: OnRefused): Promise<void>;
  /** Keeps an unreadable line in the dead letters, if the sink has any; resolves when the line is durable. */
  bury(letter: DeadLetter): Promise<void>;
  flush(refused: OnRefused): Promise<void>;
};

type UploadOptions = { readonly skipBad: boolean; readonly deadLetters: string | undefined };

/**
 * @throws Fault for the first bad line unless bad lines are skipped; earlier events are durable. NOT_LIVE for a
 * recording.
 */
export async function uploadFiles(
  sources: readonly Source[],
  receiver: EventSink,
  options: UploadOptions,
  io: Io,
): Promise<UploadReport> {
  for (const source of sources) if (source.twice) await requireEvents(source);
  const sending = new Upload(receiver, options, io);
  try {
    for (const source of sources) await sending.run(source);
    await sending.flush();
  } catch (error) {
    const { sent, consumed, duplicates } = receiver.counts;
    io.err(`acknowledged before that: ${sent + consumed + duplicates}`);
    throw error;
  }
  return sending.concluded();
}

class Upload {
  readonly #receiver: EventSink;
  readonly #options: UploadOptions;
  readonly #bad: BadLineReporter;
  readonly #progress: ReturnType<typeof progress>;
  readonly #lines = { lines: 0, bad: 0, cutOff: 0 };

  constructor(receiver: EventSink, options: UploadOptions, io: Io) {
    this.#receiver = receiver;
    this.#options = options;
    this.#bad = new BadLineReporter(io, receiver.kept);
    this.#progress = progress(io);
  }

  async run(source: Source): Promise<void> {
    const { name } = source;
    for await (const { line, found } of readEventLines(source)) {
      this.#lines.lines += 1;
      this.#progress({ name, lines: this.#lines.lines });
      if (found instanceof Fault) await this.#bury({ name, line }, found);
      else await this.#receiver.take(found, name, this.#refused);
    }
  }

  flush(): Promise<void> {
    return this.#receiver.flush(this.#refused);
  }

  concluded(): UploadReport {
    this.#bad.conclude();
    return { ...this.#lines, ...this.#receiver.counts };
  }

  async #bury(place: Place, fault: Fault): Promise<void> {
    const told = placed(place, fault);
    if (!this.#options.skipBad) {
      await this.flush();
      throw told;
    }
    this.#bad.tell(told);
    // An incomplete last line does not count as bad, because the file may still grow.
    if (fault.code === CUT_OFF) this.#lines.cutOff += 1;
    else {
      this.#lines.bad += 1;
      const letter = letterOf(place, fault);
      await this.#receiver.bury(letter);
      this.#append(letter);
    }
  }

  readonly #refused: OnRefused = (place, { code, message, remedy }) => {
    const fault = new Fault(code, message, remedy);
    this.#bad.tell(placed(place, fault));
    this.#append(letterOf(place, fault));
  };

  #append(letter: DeadLetter): void {
    const { deadLetters } = this.#options;
    if (deadLetters !== undefined) appendFileSync(deadLetters, `${JSON.stringify(letter)}\n`);
  }
}

function letterOf({ name, line }: Place, { code, message, remedy }: Fault): DeadLetter {
  return { code, message, remedy, stream: `file:${name}`, offset: line.number, ...keptOfLine(line) };
}

/** Returns the fault with file name and line number in its message. */
function placed({ name, line }: Place, { code, message, remedy }: Fault): Fault {
  return new Fault(code, `${name}:${line.number}: ${message}`, remedy);
}
