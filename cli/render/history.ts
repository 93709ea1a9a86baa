import type { TimelineItem } from '../../projections/timeline.ts';
import { destinationsOf, drawSpan, textOf, toneOf } from './history-row.ts';
import { type Guest, laneHosts, LockLane, strokes, symbols } from './lanes.ts';
import { foldRounds, type HistoryItem } from './brief.ts';
import type { Style, Tone } from './style.ts';
import { clean, cut, message, pad, widthOf, wrap } from './text.ts';
import { clock, day, millisecondsOf, offset } from './time.ts';

/** Formats `landfall history`: the timeline of one VM, with a lane per host and one for the lock. */

export type History = { readonly vm: string; readonly name?: string | null; readonly items: readonly TimelineItem[] };
export type HistoryOptions = { readonly brief?: boolean };

const WALL_WIDTH = 12;
const OFFSET_WIDTH = 12;
const LANE_WIDTH_MIN = 8;
const LANE_WIDTH_MAX = 16;

export function history({ vm, name, items }: History, style: Style, { brief = false }: HistoryOptions = {}): string {
  const title = `${style.paint('bold', clean(name ?? 'unnamed VM'))}  ${clean(vm)}`;
  if (items.length === 0) return `${title}\nThe ledger has no events of this VM.`;
  const chart = new Chart(items, style);
  const legend = legendLines.map((line) => style.paint('dim', wrap(line, style.width)));
  const shown: readonly HistoryItem[] = brief ? foldRounds(items) : items;
  return [title, ...headlines(items, style), '', ...shown.flatMap((item) => chart.draw(item)), '', ...legend].join(
    '\n',
  );
}

/** One line for each attempt: its newest verdict, or that there is none. */
function headlines(items: readonly TimelineItem[], style: Style): string[] {
  const attempts = new Map<string, TimelineItem | null>();
  for (const item of items) {
    if (item.migration === null) continue;
    if (item.kind === 'verdict') attempts.set(item.migration, item);
    else if (!attempts.has(item.migration)) attempts.set(item.migration, null);
  }
  return [...attempts].map(([migration, verdict]) => {
    const settled = items.some((item) => item.migration === migration && item.kind === 'settled');
    const text = verdict === null ? 'no verdict yet' : `${message(verdict.text)}${settled ? '' : '; not settled'}`;
    const tone = verdict === null ? 'warn' : toneOf(verdict);
    return style.paint(tone, wrap(`${clean(migration)}: ${text}`, style.width, '  '));
  });
}

const legendLines = [
  `${symbols.running} running  ${symbols.paused} paused  ${symbols.shell} incoming shell, CPUs never ran  ${symbols.absent} no guest  ${symbols.silent} no answer  ═ verdict`,
  'Times are UTC. + is the time after the start of the latest call.',
];

/** Draws items in order and remembers the state of each lane. */
class Chart {
  readonly #style: Style;
  readonly #hosts: readonly string[];
  readonly #width: number;
  readonly #destinations: ReadonlyMap<string, string>;
  readonly #guests = new Map<string, Guest>();
  readonly #lock = new LockLane();
  #zero: number;
  #heading = '';

  constructor(items: readonly TimelineItem[], style: Style) {
    this.#style = style;
    this.#hosts = laneHosts(items);
    const longest = Math.max(LANE_WIDTH_MIN, ...this.#hosts.map((host) => widthOf(clean(host))));
    this.#width = Math.min(LANE_WIDTH_MAX, longest) + 2;
    this.#destinations = destinationsOf(items);
    const first = items.find(({ kind }) => kind === 'call-started') ?? items[0];
    this.#zero = first === undefined ? 0 : millisecondsOf(first.time);
  }

  draw(item: HistoryItem): string[] {
    if (item.kind === 'call-started') this.#zero = millisecondsOf(item.time);
    const time = `${clock(item.time)}  ${pad(offset(millisecondsOf(item.time) - this.#zero), OFFSET_WIDTH, 'right')}  `;
    const lanes = this.#lanes(item);
    const room =
      this.#style.width === null
        ? null
        : Math.max(20, this.#style.width - widthOf(time) - this.#width * (this.#hosts.length + 1));
    const [first = '', ...rest] = wrap(textOf(item), room).split('\n');
    const row = (left: string, middle: string, text: string) =>
      `${this.#style.paint('dim', left)}${this.#style.paint(laneTone(item), middle)}${this.#style.paint(toneOf(item), text)}`.trimEnd();
    const further = rest.map((text) => row(pad('', widthOf(time)), this.#unchangedLanes(), text));
    return [...this.#head(item), row(time, lanes, first), ...further];
  }

  /** Returns all lanes in their present state. */
  #unchangedLanes(): string {
    const lanes = this.#hosts.map((host) => strokes[this.#guests.get(host) ?? 'unseen']);
    return [...lanes, this.#lockStroke()].map((text) => pad(text, this.#width)).join('');
  }

  #lockStroke(): string {
    return this.#lock.label === null || this.#lock.label === 'none' ? ' ' : '│';
  }

  /** Returns the lane names; they are repeated when the day or the recording changes. */
  #head(item: TimelineItem): string[] {
    const heading = `${day(item.time)}${item.clock === 'wall' ? '' : `, recording ${clean(item.clock.replace(/^recorded:/, ''))}`}`;
    if (heading === this.#heading) return [];
    const blank = this.#heading === '' ? [] : [''];
    this.#heading = heading;
    const names = [...this.#hosts.map((host) => cut(clean(host), this.#width - 2)), 'lock'];
    const left = pad('', WALL_WIDTH + OFFSET_WIDTH + 4);
    return [
      ...blank,
      this.#style.paint('dim', heading),
      this.#style.paint(
        'dim',
        left +
          names
            .map((lane) => pad(lane, this.#width))
            .join('')
            .trimEnd(),
      ),
    ];
  }

  #lanes(item: HistoryItem): string {
    const shown = guestsOf(item);
    for (const [host, guest] of shown) this.#guests.set(host, guest);
    const holder = this.#lock.take(item) ?? this.#lockStroke();
    const cells = [
      ...this.#hosts.map((host) => {
        const now = this.#guests.get(host) ?? 'unseen';
        return shown.has(host) ? symbols[now] : strokes[now];
      }),
      cut(clean(holder), this.#width - 2),
    ].map((text) => pad(text, this.#width));
    return item.kind === 'verdict' ? this.#verdictLine('═', cells) : this.#call(item, cells);
  }

  /** Returns a line across all lanes. */
  #verdictLine(stroke: string, cells: readonly string[]): string {
    return `${stroke.repeat(this.#width * cells.length - 2)}  `;
  }

  /**
   * Draws the call between the source's and the destination's lane: `├───▶` at the start, `┣━━━┫` on success, `╳╌╌╌` on
   * failure.
   */
  #call({ kind, host, migration, outcome }: TimelineItem, cells: readonly string[]): string {
    if (kind !== 'call-started' && kind !== 'call-returned') return cells.join('');
    const from = this.#hosts.indexOf(host ?? '');
    const to = this.#hosts.indexOf(this.#destinations.get(migration ?? '') ?? '');
    if (from < 0 || to < 0 || from === to) return cells.join('');
    const ends =
      kind === 'call-started'
        ? (['├', '─', from < to ? '▶' : '◀'] as const)
        : outcome === 'good'
          ? (['┣', '━', '┫'] as const)
          : (['╳', '╌', '╌'] as const);
    return drawSpan(cells.join(''), from * this.#width, to * this.#width, ends);
  }
}

function guestsOf({ host, guest, guests }: HistoryItem): ReadonlyMap<string, Guest> {
  return guests ?? new Map(host === null || guest === null ? [] : [[host, guest]]);
}

const laneTone = (item: TimelineItem): Tone => (item.kind === 'verdict' ? toneOf(item) : 'plain');
