import { hash } from 'node:crypto';
import type { Identity } from './port.ts';

export const KEY_BYTES = 16;
const KEY_WORDS = KEY_BYTES / 4;
const CAPACITY_MIN = 1024;

/**
 * Returns the key of an identity: the first half of a SHA-256, one byte per character (latin1). A string is three times as fast
 * to create as a buffer.
 */
export function keyOf({ source, id }: Identity): string {
  return hash('sha256', `${source}\0${id}`, 'binary').slice(0, KEY_BYTES);
}

/**
 * Maps the identities of consumed inputs to the sequences of their entries, in memory: 32 bytes per identity. Random keys in a
 * B-tree on disk would halve the rate of the ledger.
 *
 * A ring buffer holds the keys, oldest first. `#slots` is an open-addressed hash table whose values are ring indexes plus 1.
 */
export class IdentityIndex {
  #capacity = CAPACITY_MIN;
  #keys = new Uint32Array(CAPACITY_MIN * KEY_WORDS);
  #sequences = new Float64Array(CAPACITY_MIN);
  #slots = new Uint32Array(CAPACITY_MIN * 2);
  #oldest = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Returns the sequence of the entry that consumed the key first; undefined if the key is unknown. */
  find(key: string): number | undefined {
    const place = this.#slots[this.#slotOf(wordsOf(key))] ?? 0;
    return place === 0 ? undefined : this.#sequences[place - 1];
  }

  /** Adds a key; a known key keeps its first sequence. Sequences must not decrease between calls. */
  add(key: string, sequence: number): void {
    this.#addWords(wordsOf(key), sequence);
  }

  /** Removes all keys with a sequence up to and including `sequence`. */
  forgetThrough(sequence: number): void {
    while (this.#size > 0 && (this.#sequences[this.#oldest] ?? 0) <= sequence) {
      this.#vacate(this.#slotOf(this.#wordsAt(this.#oldest)));
      this.#oldest = (this.#oldest + 1) % this.#capacity;
      this.#size -= 1;
    }
  }

  #addWords(words: Uint32Array, sequence: number): void {
    if (this.#size === this.#capacity) this.#grow();
    const slot = this.#slotOf(words);
    if (this.#slots[slot] !== 0) return;
    const place = (this.#oldest + this.#size) % this.#capacity;
    this.#keys.set(words, place * KEY_WORDS);
    this.#sequences[place] = sequence;
    this.#slots[slot] = place + 1;
    this.#size += 1;
  }

  #grow(): void {
    const grown = new IdentityIndex();
    grown.#capacity = this.#capacity * 2;
    grown.#keys = new Uint32Array(grown.#capacity * KEY_WORDS);
    grown.#sequences = new Float64Array(grown.#capacity);
    grown.#slots = new Uint32Array(grown.#capacity * 2);
    for (let nth = 0; nth < this.#size; nth += 1) {
      const place = (this.#oldest + nth) % this.#capacity;
      grown.#addWords(this.#wordsAt(place), this.#sequences[place] ?? 0);
    }
    this.#capacity = grown.#capacity;
    this.#keys = grown.#keys;
    this.#sequences = grown.#sequences;
    this.#slots = grown.#slots;
    this.#oldest = 0;
  }

  /** Returns the slot that holds the key, or else the free slot for it. At least half of the slots are free. */
  #slotOf(words: Uint32Array): number {
    const mask = this.#slots.length - 1;
    let slot = (words[0] ?? 0) & mask;
    for (let place = this.#slots[slot] ?? 0; place !== 0; place = this.#slots[slot] ?? 0) {
      if (this.#isAt(place - 1, words)) break;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  /** Frees a slot and moves later slots of the same run forward, so that searches still find them. */
  #vacate(slot: number): void {
    const mask = this.#slots.length - 1;
    let free = slot;
    this.#slots[free] = 0;
    for (let next = (free + 1) & mask; this.#slots[next] !== 0; next = (next + 1) & mask) {
      const place = this.#slots[next] ?? 0;
      const home = (this.#keys[(place - 1) * KEY_WORDS] ?? 0) & mask;
      const isHomeBetween = ((next - home) & mask) < ((next - free) & mask);
      if (isHomeBetween) continue;
      this.#slots[free] = place;
      this.#slots[next] = 0;
      free = next;
    }
  }

  #wordsAt(place: number): Uint32Array {
    return this.#keys.subarray(place * KEY_WORDS, (place + 1) * KEY_WORDS);
  }

  #isAt(place: number, words: Uint32Array): boolean {
    const start = place * KEY_WORDS;
    for (let word = 0; word < KEY_WORDS; word += 1) {
      if (this.#keys[start + word] !== words[word]) return false;
    }
    return true;
  }
}

/** A reused buffer for the words of a key; each call of `wordsOf` overwrites it. */
const keyWords = new Uint32Array(KEY_WORDS);

function wordsOf(key: string): Uint32Array {
  for (let word = 0; word < KEY_WORDS; word += 1) {
    const at = word * 4;
    keyWords[word] =
      key.charCodeAt(at) |
      (key.charCodeAt(at + 1) << 8) |
      (key.charCodeAt(at + 2) << 16) |
      (key.charCodeAt(at + 3) << 24);
  }
  return keyWords;
}
