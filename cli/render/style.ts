import { styleText } from 'node:util';

/** Whether to colour, and how wide the terminal is. Everything in this folder is text in, text out; this is all it knows of a stream. */

export type Tone = 'plain' | 'bold' | 'dim' | 'good' | 'warn' | 'bad' | 'accent';

export type Style = {
  readonly color: boolean;
  /** Columns of the terminal; null: not a terminal, and nothing is cut. */
  readonly width: number | null;
  readonly paint: (tone: Tone, text: string) => string;
};

/** The part of a writable stream that matters here. */
export type Output = { readonly isTTY?: boolean; readonly columns?: number };
export type Environment = { readonly [name: string]: string | undefined };

const formats = {
  bold: 'bold',
  dim: 'dim',
  good: 'green',
  warn: 'yellow',
  bad: 'red',
  accent: 'cyan',
} as const satisfies Record<Exclude<Tone, 'plain'>, Parameters<typeof styleText>[0]>;

const DEFAULT_COLUMNS = 80;

export function styleFor(stream: Output, env: Environment): Style {
  const isTerminal = stream.isTTY === true;
  const width = isTerminal ? stream.columns || DEFAULT_COLUMNS : null;
  return styleOf(wantsColor(isTerminal, env), width);
}

export function styleOf(color: boolean, width: number | null): Style {
  const paint: Style['paint'] = (tone, text) =>
    !color || tone === 'plain' || text === '' ? text : styleText(formats[tone], text, { validateStream: false });
  return { color, width, paint };
}

/** No colour, any width: what a pipe gets. */
export const PLAIN: Style = styleOf(false, null);

/** FORCE_COLOR first, as Node itself has it; then NO_COLOR (no-color.org: any value but the empty one); then the stream. */
function wantsColor(isTerminal: boolean, env: Environment): boolean {
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  const refused = env['NO_COLOR'];
  if (refused !== undefined && refused !== '') return false;
  return isTerminal && env['TERM'] !== 'dumb';
}
