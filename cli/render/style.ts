import { styleText } from 'node:util';

/**
 * Terminal style: colours and width. The formatters in this folder are pure; a style is all they know about the output
 * stream.
 */

export type Tone = 'plain' | 'bold' | 'dim' | 'good' | 'warn' | 'bad' | 'accent';

export type Style = {
  readonly color: boolean;
  /** Columns of the terminal; null for a pipe, whose text is never shortened. */
  readonly width: number | null;
  readonly paint: (tone: Tone, text: string) => string;
};

/** The required part of a writable stream. */
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

/** The style of a pipe: no colours and no width limit. */
export const PLAIN: Style = styleOf(false, null);

/** Applies FORCE_COLOR first, as Node does, then a non-empty NO_COLOR (no-color.org), then the type of the stream. */
function wantsColor(isTerminal: boolean, env: Environment): boolean {
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  const refused = env['NO_COLOR'];
  if (refused !== undefined && refused !== '') return false;
  return isTerminal && env['TERM'] !== 'dumb';
}
