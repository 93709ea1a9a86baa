import type { Which } from './parts.ts';

/** Builds pages as JSON text. */

/** The largest size of a page. A page ends at this size even if it has fewer items than `limit`. */
const PAGE_CHARACTERS_MAX = 4 * 1024 * 1024;

/** One item of a page: its JSON text, and the key with which the next page continues. */
export type Item = { readonly key: string; readonly text: string };

/** The texts of the items, and the key of the last item, or null if the list ends with this page. */
export type ItemPage = { readonly texts: readonly string[]; readonly next: string | null };

export class PageBuilder {
  readonly items: Item[] = [];
  readonly #limit: number;
  #characters = 0;
  #isCut = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isFull(): boolean {
    return this.items.length === this.#limit || this.#characters >= PAGE_CHARACTERS_MAX;
  }

  /** The key after which items may be missing because the page ended at its size limit; null if it did not. */
  get cutAfter(): string | null {
    return this.#isCut ? (this.items.at(-1)?.key ?? null) : null;
  }

  /** Adds an item. Returns false if the page is full and takes no further item. */
  add(item: Item): boolean {
    if (this.isFull) return false;
    this.items.push(item);
    this.#characters += item.text.length;
    if (this.isFull) this.cut();
    return !this.isFull;
  }

  /** Ends the page although the list may continue. */
  cut(): void {
    this.#isCut = true;
  }

  page(): ItemPage {
    return { texts: this.items.map(({ text }) => text), next: this.cutAfter };
  }
}

/** The JSON text of a page. @param rest further members of the object. */
export function pageText({ texts, next }: ItemPage, which: Which, rest: Record<string, unknown> = {}): string {
  const members = { next, ...(which === 'demo' ? { ledger: which } : {}), ...rest };
  return `{"items":[${texts.join(',')}],${JSON.stringify(members).slice(1)}`;
}
