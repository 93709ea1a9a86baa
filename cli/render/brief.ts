import type { GuestShown } from '../../projections/timeline-facts.ts';
import type { TimelineItem } from '../../projections/timeline.ts';

/** An item of a history, or a round: consecutive questions and answers folded into one item, with the guest on each host. */
export type HistoryItem = TimelineItem & { readonly guests?: ReadonlyMap<string, GuestShown> };

/** Folds consecutive questions and answers into rounds. */
export function foldRounds(items: readonly TimelineItem[]): HistoryItem[] {
  const folded: HistoryItem[] = [];
  let round: TimelineItem[] = [];
  const close = () => {
    if (round.length > 0) folded.push(roundOf(round));
    round = [];
  };
  for (const item of items) {
    if (item.kind === 'question' || item.kind === 'answer') {
      round.push(item);
      continue;
    }
    close();
    folded.push(item);
  }
  close();
  return folded;
}

/** The newest answer of each host, the time span, and the number of questions. */
function roundOf(items: readonly TimelineItem[]): HistoryItem {
  const [first] = items;
  const last = items.reduce((a, b) => (a.until > b.until ? a : b));
  if (first === undefined) throw new RangeError('a round has at least one item');
  const answers = new Map(items.flatMap((item) => (item.host === null ? [] : [[item.host, item] as const])));
  const asked = items.reduce((sum, { kind, times }) => (kind === 'question' ? sum + times : sum), 0);
  const said = [...answers].map(([host, { text }]) => `${host}: ${text}`);
  const head = asked > 1 ? `${asked} rounds` : asked === 1 ? 'asks' : 'late answer';
  const guests = new Map([...answers].flatMap(([host, { guest }]) => (guest === null ? [] : [[host, guest] as const])));
  return {
    ...first,
    lane: 'landfall',
    host: null,
    kind: 'question',
    text: said.length === 0 ? `${head}: no answer yet` : `${head}: ${said.join('; ')}`,
    guest: null,
    outcome: null,
    lock: null,
    times: 1,
    until: last.until,
    guests,
  };
}
