import { toInput } from '../events/cloud-event.ts';
import { Fault } from '../events/fault.ts';
import type { Input } from '../events/inputs.ts';
import { sha256 } from '../log/chain.ts';
import { isRecorded, type Source } from './ingest.ts';
import { parseLine } from './line-json.ts';
import { type Line, readLines } from './lines.ts';
import { isBlank } from './recording/last-probes.ts';

/** Reads lines of CloudEvents for senders that do not decide the events themselves. */

/** An event with the line that contained it. */
export type EventOfLine = { readonly line: Line; readonly input: Input; readonly value: unknown };
type EventLine = { readonly line: Line; readonly found: EventOfLine | Fault };

/** Yields an event or a fault for each non-blank line. @throws Fault NOT_LIVE if the stream is a recording. */
export async function* readEventLines(source: Source): AsyncGenerator<EventLine> {
  // The first readable line decides if the stream is a recording.
  let isKnown = false;
  for await (const line of readLines(source.stream())) {
    if (isBlank(line)) continue;
    const found = resultOf(() => {
      const value = parseLine(line);
      if (!isKnown && isRecorded(value)) throw recording(source.name);
      isKnown = true;
      return { line, input: toInput(value, sha256), value };
    });
    if (found instanceof Fault && found.code === RECORDING) throw found;
    yield { line, found };
  }
}

/** Reads until the first valid event. @throws Fault NOT_LIVE if the stream is a recording. */
export async function requireEvents(source: Source): Promise<void> {
  for await (const { found } of readEventLines(source)) if (!(found instanceof Fault)) return;
}

function resultOf<T>(work: () => T): T | Fault {
  try {
    return work();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

const RECORDING = 'NOT_LIVE';

const recording = (name: string) =>
  new Fault(
    RECORDING,
    `${name} is a recording: its recorded times cannot be mixed with live inputs`,
    'Play it with `landfall kafka play FILE` into demo topics, or with `landfall ingest --db FILE` into a ledger file.',
  );
