import { toInput } from '../events/cloud-event.ts';
import { Fault } from '../events/fault.ts';
import type { Input } from '../events/inputs.ts';
import { sha256 } from '../log/chain.ts';
import { isRecorded, type Source } from './ingest.ts';
import { parseLine } from './line-json.ts';
import { type Line, readLines } from './lines.ts';
import { isBlank } from './recording/last-probes.ts';

/** Lines of CloudEvents, for whoever passes them on instead of deciding them. */

/** An event as it stood in its line. */
export type EventOfLine = { readonly line: Line; readonly input: Input; readonly value: unknown };
type EventLine = { readonly line: Line; readonly found: EventOfLine | Fault };

/** Each line that is not blank: as an event, or why it is none. @throws Fault NOT_LIVE where the stream is a recording. */
export async function* readEventLines(source: Source): AsyncGenerator<EventLine> {
  // As with a ledger file: which of the two a stream is, the first line that can be read says.
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

/** Reads as far as it takes to tell. @throws Fault NOT_LIVE. */
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
    `${name} is a recording: it has a clock of its own, and is not decided among live inputs`,
    '`landfall kafka play FILE` plays it in topics of its own; `landfall ingest --db FILE` into a ledger file.',
  );
