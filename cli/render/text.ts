import { stripVTControlCharacters } from 'node:util';

/** Text functions for terminals: display width, shortening, padding, and removal of control characters. */

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
const WIDE =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}]/u;
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g;
// oxlint-disable-next-line no-control-regex -- as above
const ASCII = /^[\u0020-\u007e]*$/;

const widthOfOne = (grapheme: string) => (WIDE.test(grapheme) ? 2 : /^\p{M}|^\u200b/u.test(grapheme) ? 0 : 1);

/** Returns the number of terminal columns of a text, without its colours. */
export function widthOf(painted: string): number {
  if (ASCII.test(painted)) return painted.length;
  const text = stripVTControlCharacters(painted);
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += widthOfOne(segment);
  return width;
}

/** Shortens a text to `width` columns; `…` replaces the removed end. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = '';
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    used += widthOfOne(segment);
    if (used > width - 1) break;
    kept += segment;
  }
  return width <= 0 ? '' : `${kept.trimEnd()}…`;
}

export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const fill = ' '.repeat(Math.max(0, width - widthOf(text)));
  return align === 'right' ? fill + text : text + fill;
}

/**
 * Removes escape sequences, control and direction characters: names and errors from other systems must not control the
 * terminal.
 */
export function clean(text: string): string {
  return stripVTControlCharacters(text).replace(CONTROL, ' ').trim();
}

/** Wraps a text at `width` columns; all lines but the first are indented. */
export function wrap(text: string, width: number | null, indent = ''): string {
  if (width === null) return text;
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line === '' || widthOf(longer) <= width - indent.length) line = longer;
    else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line].join(`\n${indent}`);
}

export const plural = (count: number, one: string, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** Returns `a, b and c`. */
export function listed(words: readonly string[], last = 'and'): string {
  return words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1) ?? ''}`;
}

/** Shortens a UUID for display; other ids stay as they are. */
export function shortId(id: string): string {
  return /^[0-9a-f]{8}-[0-9a-f-]{27}$/i.test(id) ? `${id.slice(0, 8)}…${id.slice(-4)}` : id;
}

/** Removes `error: ` and repeated lines from messages of libvirt and virsh. */
export function message(text: string): string {
  const lines = text.split('\n').map((line) => clean(line).replace(/^(error: )+/i, ''));
  return [...new Set(lines)].filter((line) => line !== '').join('; ');
}
