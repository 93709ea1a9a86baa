import type { DeadLetter } from '../../projections/site.ts';
import type { Style } from './style.ts';
import { type Cell, cell, table } from './table.ts';
import { clean, message, plural, shortId, wrap } from './text.ts';
import { wall } from './time.ts';

/** Formats `landfall dead-letters`: each refused input with its source and reason, then one remedy per error code. */

const columns = [
  { header: 'POSITION', align: 'right' },
  { header: 'TIME' },
  { header: 'CODE' },
  { header: 'VM' },
  { header: 'SOURCE', flex: true },
  { header: 'REASON', flex: true },
  { header: 'FIRST BYTES', flex: true },
] as const;

export function deadLettersTable(letters: readonly DeadLetter[], style: Style): string {
  if (letters.length === 0) return 'No input was refused.';
  const remedies = new Map(letters.map(({ code, remedy }) => [code, remedy]));
  const hints = [...remedies].map(
    ([code, remedy]) => `  ${style.paint('bad', clean(code))}  ${wrap(clean(remedy), style.width, '    ')}`,
  );
  const body = table(columns, letters.map(row), style);
  return [body, '', `${plural(letters.length, 'input')} refused. What to do:`, ...hints].join('\n');
}

function row(letter: DeadLetter): Cell[] {
  const { position, time, code, vm, excerpt } = letter;
  return [
    position,
    cell(wall(time), 'dim'),
    cell(code, 'bad'),
    vm === null ? cell('–', 'dim') : shortId(vm),
    fromText(letter),
    message(letter.message),
    excerpt === null ? cell('–', 'dim') : cell(excerpt, 'dim'),
  ];
}

/** Returns `events.ndjson:17` for a line of a file, otherwise the event's source and id. */
function fromText({ stream, offset, source, id }: DeadLetter): string {
  if (stream !== null) return offset === null ? stream : `${stream.replace(/^file:/, '')}:${offset}`;
  return source === null ? '–' : `${source} ${id ?? ''}`.trim();
}
