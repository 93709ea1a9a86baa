import type { TimelineItem } from '../../projections/timeline.ts';
import type { Tone } from './style.ts';
import { clean, message } from './text.ts';
import { clock } from './time.ts';

/** Formats one row of a history and the line of a migration call across the host lanes. */

export function drawSpan(
  line: string,
  from: number,
  to: number,
  [start, stroke, end]: readonly [string, string, string],
): string {
  const [low, high] = [Math.min(from, to), Math.max(from, to)];
  const between = stroke.repeat(high - low - 1);
  return line.slice(0, low) + (from < to ? start + between + end : end + between + start) + line.slice(high + 1);
}

/** Returns the destination of each migration. */
export function destinationsOf(items: readonly TimelineItem[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const { migration, lane, host } of items) {
    if (migration !== null && host !== null && lane === 'destination' && !found.has(migration))
      found.set(migration, host);
  }
  return found;
}

export function textOf({ lane, host, text, times, until }: TimelineItem): string {
  const who = host !== null && (lane === 'source' || lane === 'destination' || lane === 'other') ? `${host}: ` : '';
  const again = times > 1 ? `  ×${times}, until ${clock(until)}` : '';
  return `${clean(who)}${who === '' ? '' : ' '}${message(text).replace(/([:.] )(error: )+/g, '$1')}${again}`;
}

export function toneOf({ kind, outcome }: TimelineItem): Tone {
  switch (kind) {
    case 'verdict':
      return outcome ?? 'plain';
    case 'alarm':
    case 'refusal':
      return 'bad';
    case 'call-started':
    case 'call-returned':
    case 'resolution':
    case 'deadline':
      return 'bold';
    case 'question':
      return 'dim';
    default:
      return outcome === 'bad' ? 'warn' : 'plain';
  }
}
