import { setImmediate } from 'node:timers/promises';
import { TimelineBuilder, type TimelineItem } from '../../projections/timeline.ts';
import type { ReadPart } from './parts.ts';

/**
 * Reads timelines in pages. A timeline is folded from all entries of its VM. The fold at the end of a page is cached, so that
 * the next page costs only its own entries. Without the cached fold, the next page folds from the start.
 */

/** The number of cached folds. */
const KEPT_MAX = 16;
/** The largest size of a page. A page ends at this size even if it has fewer items than `limit`. */
const PAGE_CHARACTERS_MAX = 4 * 1024 * 1024;
/** The entries folded before other reads of the thread continue. */
const TURN_ENTRIES = 64;

type Of = { readonly vm: string; readonly at: number | undefined };

/** A timeline folded up to one entry. */
type Folding = { readonly builder: TimelineBuilder; sequence: number };
type Kept = { readonly part: ReadPart; readonly key: string; readonly folding: Folding };

export class Histories {
  /** Cached folds, the least recently used first. */
  #kept: Kept[] = [];

  /** Reads one page. @param from the index of the first item. `next` is the index after the page, or null on the last page. */
  async page(
    part: ReadPart,
    of: Of,
    from: number,
    limit: number,
  ): Promise<{ items: TimelineItem[]; next: number | null }> {
    const folding = this.#take(part, keyOf(of, from)) ?? (await begun(part, of, from));
    const { builder } = folding;
    const isWhole = await fold(part, of, folding, limit);
    const items = builder.items.slice(
      0,
      lengthOf(isWhole ? builder.items : builder.items.slice(0, builder.finished), limit),
    );
    if (isWhole && items.length === builder.items.length) return { items, next: null };
    builder.items.splice(0, items.length);
    const next = from + items.length;
    this.#kept.push({ part, key: keyOf(of, next), folding });
    this.#kept = this.#kept.slice(-KEPT_MAX);
    return { items, next };
  }

  /** Takes a fold out of the cache, so that two readers of the same timeline do not share a fold. */
  #take(part: ReadPart, key: string): Folding | undefined {
    const index = this.#kept.findIndex((kept) => kept.part.db === part.db && kept.key === key);
    return index === -1 ? undefined : this.#kept.splice(index, 1)[0]?.folding;
  }
}

const keyOf = ({ vm, at }: Of, from: number): string => `${vm} ${at ?? ''} ${from}`;

/** Folds from the first entry and discards the items before the page. */
async function begun(part: ReadPart, of: Of, from: number): Promise<Folding> {
  const folding = { builder: new TimelineBuilder(of.vm, of.at), sequence: 0 };
  for (let passed = 0; passed < from; ) {
    const isWhole = await fold(part, of, folding, Math.min(from - passed, TURN_ENTRIES));
    const { items, finished } = folding.builder;
    passed += items.splice(0, Math.min(from - passed, isWhole ? items.length : finished)).length;
    if (isWhole) break;
  }
  return folding;
}

/** Folds until the page has `count` items that cannot change any more. Returns true at the last entry. */
async function fold(part: ReadPart, { vm }: Of, folding: Folding, wanted: number): Promise<boolean> {
  const { builder } = folding;
  if (builder.finished >= wanted) return false;
  let count = 0;
  for await (const stored of part.ledger.readVm(vm, folding.sequence + 1)) {
    builder.add(stored);
    folding.sequence = stored.sequence;
    if (builder.finished >= wanted) return false;
    count += 1;
    if (count % TURN_ENTRIES === 0) await setImmediate();
  }
  return true;
}

function lengthOf(items: readonly TimelineItem[], limit: number): number {
  let characters = 0;
  const end = items.findIndex(({ text }) => {
    characters += text.length;
    return characters > PAGE_CHARACTERS_MAX;
  });
  return Math.min(limit, end === -1 ? items.length : Math.max(1, end));
}
