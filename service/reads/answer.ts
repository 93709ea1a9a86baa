import { Fault } from '../../events/fault.ts';
import type { Link } from '../../log/chain.ts';
import { formatPosition, type Position } from '../../log/port.ts';
import { attemptState, migrationView } from '../../projections/attempts.ts';
import { vmStatus } from '../../projections/vms.ts';
import type { Histories } from './history.ts';
import { listDeadLetters, listHosts, listMigrations, listVms } from './lists.ts';
import { PageBuilder, pageText } from './pages.ts';
import { partOfAttempt, partOfVm, positionIn, type ReadPart, unknownAttempt, unknownVm, type Which } from './parts.ts';
import { migrationAt, vmAt } from './past.ts';
import type { ReadRequest } from './read-request.ts';

/** Answers reads with JSON text. Reader threads run this code, so that the thread that decides does not. */

type Parts = readonly ReadPart[];
type Of<K extends ReadRequest['kind']> = Extract<ReadRequest, { kind: K }>;

/** @throws Fault UNKNOWN_VM, AMBIGUOUS, NOT_FOUND, BAD_REQUEST, TOO_COSTLY, LEDGER_…. */
export async function answer(parts: Parts, which: Which, request: ReadRequest, histories: Histories): Promise<string> {
  switch (request.kind) {
    case 'vms':
      return pageText(await listVms(parts, request, request.at), which);
    case 'vm':
      return JSON.stringify(await vm(parts, request));
    case 'history':
      return history(parts, which, request, histories);
    case 'migrations':
      return pageText(await listMigrations(parts, request, request), which);
    case 'migration':
      return JSON.stringify(await migration(parts, request));
    case 'entries':
      return entries(parts, which, request);
    case 'dead-letters':
      return pageText(listDeadLetters(parts, request), which);
    case 'hosts':
      return pageText({ texts: listHosts(parts).map((host) => JSON.stringify(host)), next: null }, which);
    case 'ledger':
      return ledger(parts, which, request);
  }
}

async function vm(parts: Parts, { vm: named, at }: Of<'vm'>) {
  const { part, vm: found } = partOfVm(parts, named);
  const status = at === undefined ? vmStatus(part.db, found)[0] : await vmAt(part, found, at);
  if (status === null || status === undefined) throw unknownVm(named);
  return status;
}

async function migration(parts: Parts, { migration: id, at }: Of<'migration'>) {
  const part = partOfAttempt(parts, id);
  const found = at === undefined ? migrationView(part.db, id) : await migrationAt(part, id, at);
  if (found === null) throw unknownAttempt(id);
  return found;
}

/** One entry can produce several items, so a page is addressed by item index instead of position. */
async function history(
  parts: Parts,
  which: Which,
  { vm: named, at, limit, after }: Of<'history'>,
  histories: Histories,
): Promise<string> {
  const { part, vm: found } = partOfVm(parts, named);
  const from = after === undefined ? 0 : numberOf(after, 'after');
  const { items, next } = await histories.page(part, { vm: found, at }, from, limit);
  const texts = items.map((item) => JSON.stringify(item));
  return pageText({ texts, next: next === null ? null : String(next) }, which);
}

/** One page of an attempt's entries, and the current state of the attempt. */
async function entries(parts: Parts, which: Which, { migration: id, limit, after }: Of<'entries'>): Promise<string> {
  const part = partOfAttempt(parts, id);
  const from = after === undefined ? 1 : positionIn([part], after, 'after').sequence + 1;
  const page = new EntryPage(limit);
  await page.addFrom(part, part.ledger.readMigration(id, from));
  const found = attemptState(part.db, id);
  if (found === null) throw unknownAttempt(id);
  const name = vmStatus(part.db, found.state.attempt.vm)[0]?.name ?? null;
  return pageText(page.page(), which, { state: found.state, timers: found.timers, name });
}

/** Reads the partitions one after the other. */
async function ledger(parts: Parts, which: Which, { from, after, limit }: Of<'ledger'>): Promise<string> {
  const first = firstOf(parts, from, after);
  const page = new EntryPage(limit);
  for (const part of parts) {
    if (part.partition < first.partition) continue;
    const start = part.partition === first.partition ? Math.max(1, first.sequence) : 1;
    if (!(await page.addFrom(part, part.ledger.readUnparsed(part.partition, start)))) break;
  }
  return pageText(page.page(), which);
}

function firstOf(parts: Parts, from: string | undefined, after: string | undefined): Position {
  if (from !== undefined) return positionIn(parts, from, 'from');
  if (after === undefined) return { partition: 0, sequence: 1 };
  const { partition, sequence } = positionIn(parts, after, 'after');
  return { partition, sequence: sequence + 1 };
}

/** A page of entries. `next` is null only if no entry follows the page. */
class EntryPage {
  readonly #built: PageBuilder;
  #isWhole = true;

  constructor(limit: number) {
    this.#built = new PageBuilder(limit);
  }

  /** Adds the entries until the page is full. Returns false if it was full before the last one. */
  async addFrom({ partition }: ReadPart, stored: AsyncIterable<Link>): Promise<boolean> {
    for await (const each of stored) {
      this.#isWhole = !this.#built.isFull;
      if (!this.#isWhole) return false;
      this.#built.add({ key: formatPosition(each), text: entryText(partition, each) });
    }
    return true;
  }

  page() {
    const { texts, next } = this.#built.page();
    return { texts, next: this.#isWhole ? null : next };
  }
}

/** One entry as JSON. The stored text of the entry is copied without parsing, because the hash covers this text. */
function entryText(partition: number, { sequence, previous, hash, text }: Link): string {
  const position = formatPosition({ partition, sequence });
  return `{"position":"${position}","previous":"${previous}","hash":"${hash}","entry":${text}}`;
}

function numberOf(text: string, field: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new Fault(
    'BAD_REQUEST',
    `${field}: is not a position returned by this service`,
    'Use the `next` of a page, or omit the field.',
  );
}
