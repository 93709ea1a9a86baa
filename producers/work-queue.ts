import type { Attempt, AttemptState } from '../events/attempt.ts';
import type { Command, Question } from '../events/commands.ts';
import type { Entry } from '../events/entries.ts';
import { WALL } from '../events/vocabulary.ts';
import { toCommand } from '../machines/effects.ts';
import { questionId } from '../machines/evidence.ts';
import { isOver } from '../machines/vm.ts';

/**
 * What hosts' agents and the orchestrator still have to answer or to do. It holds nothing of its own: every item follows from
 * an open attempt as the ledger has it, so a restart hands out the same again, and nothing is sent that is not durable.
 *
 * Each item has a number that rises when it is asked or sent anew. Who reads on from a number gets each item once; who lost
 * a reply reads on from the number before it, and who has no number gets all that is outstanding: at least once.
 */

export type WorkItem = { kind: 'question'; question: Question } | { kind: 'command'; command: Command };
/** The orchestrator, which no host's name is. */
export const ORCHESTRATOR = Symbol('orchestrator');
export type Recipient = string | typeof ORCHESTRATOR;

type Numbered = { readonly number: number; readonly recipient: Recipient; readonly item: WorkItem };
type Shelf = { items: Map<string, Numbered>; waiters: Set<() => void> };

const NOTHING: readonly Numbered[] = [];

export class WorkQueue {
  readonly #shelves = new Map<Recipient, Shelf>();
  /** What is outstanding of each attempt, as it lies on the shelves: of a hundred thousand attempts, so no map for each. */
  readonly #placed = new Map<string, readonly Numbered[]>();
  #number = 0;
  #closed = false;
  #questions = 0;
  #commands = 0;

  get counts(): { questions: number; commands: number } {
    return { questions: this.#questions, commands: this.#commands };
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** The last number that was given. */
  get number(): number {
    return this.#number;
  }

  /** Takes up what open attempts have outstanding, after a start or a new claim. What lies here already keeps its number. */
  restore(attempts: Iterable<AttemptState>): void {
    const open = new Set<string>();
    for (const state of attempts) {
      open.add(state.attempt.migration);
      this.#place(state, []);
    }
    for (const [migration, placed] of this.#placed) {
      if (open.has(migration)) continue;
      this.#clear(placed);
      this.#placed.delete(migration);
    }
  }

  /** A batch became durable. */
  committed(entries: readonly Entry[]): void {
    for (const { attempt, questions } of entries) if (attempt !== null) this.#place(attempt, questions);
  }

  /** Outstanding items with a higher number, in its order. */
  itemsAfter(recipient: Recipient, number: number, limit: number): Numbered[] {
    const found: Numbered[] = [];
    for (const numbered of this.#shelves.get(recipient)?.items.values() ?? []) {
      if (numbered.number <= number) continue;
      found.push(numbered);
      if (found.length === limit) break;
    }
    return found;
  }

  /** The receiver of a command that is outstanding. */
  recipientOfCommand(migration: string, command: string): Recipient | undefined {
    return this.#placed.get(migration)?.find(({ item }) => idOf(item) === command)?.recipient;
  }

  /** Calls back once, when something new lies there for the recipient or all is closed. Returns what cancels it. */
  onceAvailable(recipient: Recipient, callback: () => void): () => void {
    if (this.#closed) {
      queueMicrotask(callback);
      return () => {};
    }
    const { waiters } = this.#shelf(recipient);
    waiters.add(callback);
    return () => {
      waiters.delete(callback);
      this.#tidy(recipient);
    };
  }

  /** Ends every wait: the service stops. */
  close(): void {
    this.#closed = true;
    for (const recipient of this.#shelves.keys()) this.#wake(recipient);
  }

  #place(state: AttemptState, asked: readonly Question[]): void {
    const { migration } = state.attempt;
    const before = this.#placed.get(migration) ?? NOTHING;
    const items = outstanding(state, asked);
    this.#clear(before.filter(({ item }) => !items.has(idOf(item))));
    if (items.size === 0) return void this.#placed.delete(migration);
    const woken = new Set<Recipient>();
    const placed = [...items].map(([id, item]) => {
      const same = before.find((each) => idOf(each.item) === id);
      if (same !== undefined && triesOf(same.item) === triesOf(item)) return same;
      const numbered = this.#put(id, item, same);
      woken.add(numbered.recipient);
      return numbered;
    });
    this.#placed.set(migration, placed);
    for (const recipient of woken) this.#wake(recipient);
  }

  /** Behind the others, so that the order of the map is that of the numbers. */
  #put(id: string, item: WorkItem, before: Numbered | undefined): Numbered {
    const recipient = recipientOf(item);
    const { items } = this.#shelf(recipient);
    if (before === undefined) this.#count(item, 1);
    else items.delete(id);
    this.#number += 1;
    const numbered: Numbered = { number: this.#number, recipient, item };
    items.set(id, numbered);
    return numbered;
  }

  #clear(placed: readonly Numbered[]): void {
    for (const { recipient, item } of placed) {
      this.#count(item, -1);
      this.#shelves.get(recipient)?.items.delete(idOf(item));
      this.#tidy(recipient);
    }
  }

  #count({ kind }: WorkItem, change: 1 | -1): void {
    if (kind === 'question') this.#questions += change;
    else this.#commands += change;
  }

  #wake(recipient: Recipient): void {
    const shelf = this.#shelves.get(recipient);
    if (shelf === undefined) return;
    const waiters = [...shelf.waiters];
    shelf.waiters.clear();
    for (const waiter of waiters) waiter();
  }

  #shelf(recipient: Recipient): Shelf {
    const shelf = this.#shelves.get(recipient) ?? { items: new Map(), waiters: new Set() };
    this.#shelves.set(recipient, shelf);
    return shelf;
  }

  #tidy(recipient: Recipient): void {
    const shelf = this.#shelves.get(recipient);
    if (shelf?.items.size === 0 && shelf.waiters.size === 0) this.#shelves.delete(recipient);
  }
}

const idOf = (item: WorkItem): string => (item.kind === 'question' ? item.question.question : item.command.command);
const triesOf = (item: WorkItem): number => (item.kind === 'command' ? item.command.try : 0);

function recipientOf(item: WorkItem): Recipient {
  return item.kind === 'question' ? item.question.host : (item.command.host ?? ORCHESTRATOR);
}

/** What an attempt waits for from outside, by id. A recording's attempt is answered by its recording. */
function outstanding(state: AttemptState, newest: readonly Question[]): Map<string, WorkItem> {
  const { attempt } = state;
  const items = new Map<string, WorkItem>();
  if (attempt.clock !== WALL || isOver(state)) return items;
  for (const [host, { asked, answer, dueAt }] of Object.entries(attempt.asked)) {
    // One that ran out is outstanding still: its answer counts where nothing newer is known.
    const isAnswered = answer !== null && answer.asked >= asked && answer.timedOut !== true;
    if (asked > 0 && !isAnswered) {
      const question = questionOf(attempt, host, asked, dueAt, newest);
      items.set(question.question, { kind: 'question', question });
    }
  }
  for (const command of commandsOf(attempt)) items.set(command.command, { kind: 'command', command });
  return items;
}

function commandsOf(attempt: Attempt): Command[] {
  const verdict = attempt.verdicts.at(-1);
  if (verdict === undefined) return [];
  // The origin is asked by a question, not by a command.
  const sent = attempt.steps.filter((step) => step.status === 'sent' && step.kind !== 'ask-origin');
  return sent.map((step) => toCommand(attempt, verdict, step));
}

/** The question as it was asked; after a restart its times follow from its limit. */
function questionOf(
  attempt: Attempt,
  host: string,
  asked: number,
  dueAt: number | null,
  newest: readonly Question[],
): Question {
  const { migration, vm, configuration } = attempt;
  const id = questionId(migration, asked);
  const same = newest.find(({ question }) => question === id);
  if (same !== undefined) return same;
  const limitMs = configuration.questionLimitSeconds * 1000;
  const due = dueAt ?? (attempt.returnedAt ?? attempt.startedAt) + limitMs;
  return { question: id, migration, vm, host, askedAt: Math.max(0, due - limitMs), dueAt: due };
}
