import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { commandLine, type Said } from '../support/command-line.ts';
import { recording, scratchFolder } from '../support/landfall.ts';

/** Damages the pages of a small ledger, and requires that the audit and the rebuild end and notice the damage. */

const PAGE_BYTES = 16_384;
const DISK_BLOCK_BYTES = 4096;
export const PAGE_BLOCKS = PAGE_BYTES / DISK_BLOCK_BYTES;
/** An audit of the small ledger takes less than a second on an idle machine. */
const HANG_MS = 60_000;
const PROGRAM = fileURLToPath(new URL('./damage-process.ts', import.meta.url));

export type Damage =
  | { readonly kind: 'zeroed' | 'random'; readonly block: number }
  | { readonly kind: 'zeroed page'; readonly page: number }
  | { readonly kind: 'swapped'; readonly page: number; readonly other: number }
  | { readonly kind: 'truncated'; readonly page: number };

/** Returns a damaged copy of the bytes of a ledger. */
export function damaged(bytes: Buffer, damage: Damage): Buffer {
  const copy = Buffer.from(bytes);
  switch (damage.kind) {
    case 'zeroed':
      return copy.fill(0, damage.block * DISK_BLOCK_BYTES, (damage.block + 1) * DISK_BLOCK_BYTES);
    case 'zeroed page':
      return copy.fill(0, damage.page * PAGE_BYTES, (damage.page + 1) * PAGE_BYTES);
    case 'random': {
      const start = damage.block * DISK_BLOCK_BYTES;
      // A fixed pseudo-random sequence (xorshift) repeats the same damage in each run.
      for (let at = start, state = damage.block + 1; at < start + DISK_BLOCK_BYTES; at += 1) {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        copy[at] = state & 0xff;
      }
      return copy;
    }
    case 'swapped': {
      const [page, other] = [damage.page * PAGE_BYTES, damage.other * PAGE_BYTES];
      bytes.copy(copy, page, other, other + PAGE_BYTES);
      bytes.copy(copy, other, page, page + PAGE_BYTES);
      return copy;
    }
    case 'truncated':
      return copy.subarray(0, damage.page * PAGE_BYTES);
  }
}

/** Returns every damage of each kind that a ledger of this size can have, with pages swapped in neighbouring pairs. */
export function everyDamage(bytes: number): Damage[] {
  const pages = Array.from({ length: Math.floor(bytes / PAGE_BYTES) }, (_, page) => page);
  const blocks = Array.from({ length: Math.floor(bytes / DISK_BLOCK_BYTES) }, (_, block) => block);
  return [
    ...blocks.flatMap((block): Damage[] => [
      { kind: 'zeroed', block },
      { kind: 'random', block },
    ]),
    ...pages.slice(1).flatMap((page): Damage[] => [
      { kind: 'swapped', page: page - 1, other: page },
      { kind: 'truncated', page },
    ]),
  ];
}

/** A page, counted from 0, and the table or index that it belongs to. */
type LedgerPage = { readonly page: number; readonly name: string; readonly type: string };
type SmallLedger = { readonly file: string; readonly bytes: number; readonly pages: readonly LedgerPage[] };

/** Creates a ledger from a recording. @returns its path, its size in bytes and its pages. */
export async function smallLedger(): Promise<SmallLedger> {
  const file = join(scratchFolder(), 'original.db');
  expect((await commandLine(['ingest', recording('abort'), '--db', file])).code).toBe(0);
  const db = new DatabaseSync(file, { readOnly: true });
  const rows = db.prepare('SELECT name, pagetype, pageno FROM dbstat ORDER BY pageno').all();
  db.close();
  const pages = rows.map(({ name, pagetype, pageno }) => ({
    page: Number(pageno) - 1,
    name: String(name),
    type: String(pagetype),
  }));
  return { file, bytes: readFileSync(file).length, pages };
}

type Outcome = { readonly isChanged: boolean; readonly audit: Said; readonly rebuild: Said };

/** Requires for each damage that both commands end, and that the audit reports every changed content. */
export async function requireNoticed(file: string, damages: readonly Damage[]): Promise<void> {
  for await (const [damage, outcome] of outcomesOf(file, damages)) requireOutcome(damage, outcome);
}

/** Damages the ledger in each way, and yields what the audit and the rebuild say. @throws Error if one of them hangs. */
export async function* outcomesOf<D extends Damage>(
  file: string,
  damages: readonly D[],
): AsyncGenerator<[damage: D, outcome: Outcome]> {
  const child = spawn(process.execPath, [PROGRAM, file, `${file}.damaged`], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  try {
    for (const damage of damages) {
      child.stdin.write(`${JSON.stringify(damage)}\n`);
      const line = await within(lines.next(), `the audit hangs: ${JSON.stringify(damage)}`);
      yield [damage, JSON.parse(String(line.value)) as Outcome];
    }
  } finally {
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
  }
}

function requireOutcome(damage: Damage, { isChanged, audit, rebuild }: Outcome): void {
  const isReasoned = ({ code, err }: Said) => code !== 2 || /^error (LEDGER|ENTRY)_[A-Z_]+: /.test(err);
  const isNoticed = !isChanged || audit.code !== 0;
  expect({ damage, audit, rebuild, isNoticed, isReasoned: isReasoned(audit) && isReasoned(rebuild) }).toMatchObject({
    isNoticed: true,
    isReasoned: true,
  });
}

async function within<T>(work: Promise<T>, message: string): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(message)), HANG_MS);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
