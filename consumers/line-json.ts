import { Fault, messageOf } from '../events/fault.ts';
import { requireShallow } from '../events/nesting.ts';
import { requireUtf8 } from '../log/kept-bytes.ts';
import type { Line } from './lines.ts';

/** Parses a line as JSON; the faults explain the reason of a failure. */

/** The code of a fault for a file that ends within its last line. */
export const CUT_OFF = 'CUT_OFF';

/** @throws Fault TOO_LARGE, BAD_UTF8, BAD_JSON, CUT_OFF. */
export function parseLine(line: Line): unknown {
  if (line.oversized) {
    throw new Fault(
      'TOO_LARGE',
      `the line has ${line.bytes} bytes; the limit of an input is 1 MiB`,
      'Send references to large data, not the data.',
    );
  }
  const value = parseText(line);
  requireUtf8(line.raw);
  if (Array.isArray(value)) throw anArray();
  requireShallow(value);
  return value;
}

function parseText({ text, torn, raw }: Line): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (text.trimStart().startsWith('[')) throw anArray();
    if (torn) throw cutOff(error);
    requireUtf8(raw);
    // JSON.parse reports "line 1" for every line, which contradicts the real line number.
    const what = messageOf(error).replace(/ \(line 1 column \d+\)$/, '');
    throw new Fault('BAD_JSON', what, 'Write one JSON object per line; `jq -c . FILE` converts a file.', error);
  }
}

const anArray = () =>
  new Fault(
    'BAD_JSON',
    'a JSON array begins here, but each line must be one JSON object',
    "`jq -c '.[]' FILE | landfall ingest -` ingests the members of an array.",
  );

const cutOff = (cause: unknown) =>
  new Fault(
    CUT_OFF,
    'the file ends within this line: it is incomplete or still being written',
    'Ingest the complete file again; inputs that are already in the ledger change nothing.',
    cause,
  );
