import type { Style, Tone } from './style.ts';
import { clean, cut, pad, widthOf } from './text.ts';

/**
 * Formats aligned columns under dimmed headers. Only terminal output is shortened to the width; a pipe gets the full
 * text.
 */

export type Cell = string | { readonly text: string; readonly tone: Tone };

export type Column = {
  readonly header: string;
  readonly align?: 'right';
  /** A flexible column shrinks if the terminal is too narrow; the widest column shrinks first. */
  readonly flex?: true;
};

const GAP = '  ';
const FLEX_WIDTH_MIN = 10;

export const cell = (text: string, tone: Tone): Cell => ({ text, tone });
const textOf = (content: Cell) => clean(typeof content === 'string' ? content : content.text);
const toneOf = (content: Cell): Tone => (typeof content === 'string' ? 'plain' : content.tone);

/** @param indent is put before every line and counts towards the width. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  style: Style,
  indent = '',
): string {
  const headers = columns.map(({ header }) => header);
  const hasHeader = headers.some((header) => header !== '');
  const widths = fit(columns, naturalWidths(headers, rows), style.width === null ? null : style.width - indent.length);
  const draw = (cells: readonly Cell[]) => indent + line(columns, cells, widths, style);
  const head = hasHeader ? [draw(headers.map((header) => cell(header, 'dim')))] : [];
  return [...head, ...rows.map(draw)].join('\n');
}

function naturalWidths(headers: readonly string[], rows: readonly (readonly Cell[])[]): number[] {
  const widths = headers.map(widthOf);
  for (const row of rows) {
    for (const [index, content] of row.entries())
      widths[index] = Math.max(widths[index] ?? 0, widthOf(textOf(content)));
  }
  return widths;
}

/** Shrinks the widest flexible column until the line fits or no column can shrink. */
function fit(columns: readonly Column[], natural: readonly number[], available: number | null): number[] {
  const widths = [...natural];
  if (available === null) return widths;
  const total = () => widths.reduce((sum, width) => sum + width, 0) + GAP.length * (widths.length - 1);
  for (let over = total() - available; over > 0; over -= 1) {
    const widest = widestFlexible(columns, widths);
    if (widest === null) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}

function widestFlexible(columns: readonly Column[], widths: readonly number[]): number | null {
  let found: number | null = null;
  for (const [index, width] of widths.entries()) {
    if (columns[index]?.flex !== true || width <= FLEX_WIDTH_MIN) continue;
    if (found === null || width > (widths[found] ?? 0)) found = index;
  }
  return found;
}

function line(columns: readonly Column[], cells: readonly Cell[], widths: readonly number[], style: Style): string {
  const last = cells.length - 1;
  const drawn = cells.map((content, index) => {
    const width = widths[index] ?? 0;
    const shown = cut(textOf(content), width);
    const align = columns[index]?.align ?? 'left';
    const painted = style.paint(toneOf(content), shown);
    const fill = pad('', width - widthOf(shown));
    if (align === 'right') return fill + painted;
    return index === last ? painted : painted + fill;
  });
  return drawn.join(GAP).trimEnd();
}
