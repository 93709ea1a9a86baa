import type { Attempt, AttemptState } from '../events/attempt.ts';
import type { Command, Question } from '../events/commands.ts';
import type { Entry } from '../events/entries.ts';
import { WALL } from '../events/vocabulary.ts';
import { toCommand } from '../machines/effects.ts';
import { questionId } from '../machines/evidence.ts';
import { isOver } from '../machines/vm.ts';

/**
 * The work queue holds the questions and commands that agents and the orchestrator have not answered yet. It is fed by
 * committed entries only, and every item follows from an open attempt of the ledger. So a restart restores the same items, and
 * an uncommitted item is never sent (invariant 9).
 *
 * Each item has a number. The number rises when the question is asked again or the command is sent again. A reader that
 * continues from a number gets each item once. A reader that lost a reply repeats its last number and gets the items again,
 * and a reader without a number gets every outstanding item: delivery is at least once.
 */

export type WorkItem = { kind: 'question'; question: Question } | { kind: 'command'; command: Command };
/** The orchestrator as a recipient: a symbol, so that no host name can equal it. */
export const ORCHESTRATOR = Symbol('orchestrator');
export type Recipient = string | typeof ORCHESTRATOR;

type Numbered = { readonly number: number; readonly recipient: Recipient; readonly item: WorkItem };
/** The outstanding items of one recipient by id, in the order of their numbers, and the callbacks that wait for a new item. */
type RecipientQueue = { items: Map<string, Numbered>; waiters: Set<() => void> };

const NOTHING: readonly Numbered[] = [];

export class WorkQueue {
  readonly #queues = new Map<Recipient, RecipientQueue>();
  /** The outstanding items of each attempt. An array needs less memory than a map when 100,000 attempts are open. */
  readonly #byAttempt = new Map<string, readonly Numbered[]>();
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

  /** Replaces the content with the outstanding items of these open attempts. Unchanged items keep their numbers. */
  restore(attempts: Iterable<AttemptState>): void {
    const open = new Set<string>();
    for (const state of attempts) {
      open.add(state.attempt.migration);
      this.#update(state, []);
    }
    for (const [migration, items] of this.#byAttempt) {
      if (open.has(migration)) continue;
      this.#remove(items);
      this.#byAttempt.delete(migration);
    }
  }

  /** Updates the outstanding items from a committed batch, and wakes the recipients of new items. */
  committed(entries: readonly Entry[]): void {
    for (const { attempt, questions } of entries) if (attempt !== null) this.#update(attempt, questions);
  }

  /** Returns the recipient's outstanding items above this number in ascending order, at most `limit`. */
  itemsAfter(recipient: Recipient, number: number, limit: number): Numbered[] {
    const found: Numbered[] = [];
    for (const numbered of this.#queues.get(recipient)?.items.values() ?? []) {
      if (numbered.number <= number) continue;
      found.push(numbered);
      if (found.length === limit) break;
    }
    return found;
  }

  /** Returns the recipient of an outstanding command; undefined when the command is not outstanding. */
  recipientOfCommand(migration: string, command: string): Recipient | undefined {
    return this.#byAttempt.get(migration)?.find(({ item }) => idOf(item) === command)?.recipient;
  }

  /** Calls back once, when the recipient has a new item or the queue closes. Returns a function that cancels the callback. */
  onceAvailable(recipient: Recipient, callback: () => void): () => void {
    if (this.#closed) {
      queueMicrotask(callback);
      return () => {};
    }
    const { waiters } = this.#queueOf(recipient);
    waiters.add(callback);
    return () => {
      waiters.delete(callback);
      this.#removeIfEmpty(recipient);
    };
  }

  /** Calls every waiting callback. Later waits end at once. */
  close(): void {
    this.#closed = true;
    for (const recipient of this.#queues.keys()) this.#wake(recipient);
  }

  #update(state: AttemptState, justAsked: readonly Question[]): void {
    const { migration } = state.attempt;
    const before = this.#byAttempt.get(migration) ?? NOTHING;
    const items = outstanding(state, justAsked);
    this.#remove(before.filter(({ item }) => !items.has(idOf(item))));
    if (items.size === 0) return void this.#byAttempt.delete(migration);
    const woken = new Set<Recipient>();
    const current = [...items].map(([id, item]) => {
      const previous = before.find((each) => idOf(each.item) === id);
      if (previous !== undefined && triesOf(previous.item) === triesOf(item)) return previous;
      const numbered = this.#enqueue(id, item, previous);
      woken.add(numbered.recipient);
      return numbered;
    });
    this.#byAttempt.set(migration, current);
    for (const recipient of woken) this.#wake(recipient);
  }

  /** Gives the item the next number and appends it, so that the map keeps the order of the numbers. */
  #enqueue(id: string, item: WorkItem, previous: Numbered | undefined): Numbered {
    const recipient = recipientOf(item);
    const { items } = this.#queueOf(recipient);
    if (previous === undefined) this.#count(item, 1);
    else items.delete(id);
    this.#number += 1;
    const numbered: Numbered = { number: this.#number, recipient, item };
    items.set(id, numbered);
    return numbered;
  }

  #remove(items: readonly Numbered[]): void {
    for (const { recipient, item } of items) {
      this.#count(item, -1);
      this.#queues.get(recipient)?.items.delete(idOf(item));
      this.#removeIfEmpty(recipient);
    }
  }

  #count({ kind }: WorkItem, change: 1 | -1): void {
    if (kind === 'question') this.#questions += change;
    else this.#commands += change;
  }

  #wake(recipient: Recipient): void {
    const queue = this.#queues.get(recipient);
    if (queue === undefined) return;
    const waiters = [...queue.waiters];
    queue.waiters.clear();
    for (const waiter of waiters) waiter();
  }

  #queueOf(recipient: Recipient): RecipientQueue {
    const queue = this.#queues.get(recipient) ?? { items: new Map(), waiters: new Set() };
    this.#queues.set(recipient, queue);
    return queue;
  }

  #removeIfEmpty(recipient: Recipient): void {
    const queue = this.#queues.get(recipient);
    if (queue?.items.size === 0 && queue.waiters.size === 0) this.#queues.delete(recipient);
  }
}

const idOf = (item: WorkItem): string => (item.kind === 'question' ? item.question.question : item.command.command);
const triesOf = (item: WorkItem): number => (item.kind === 'command' ? item.command.try : 0);

function recipientOf(item: WorkItem): Recipient {
  return item.kind === 'question' ? item.question.host : (item.command.host ?? ORCHESTRATOR);
}

/**
 * Returns the unanswered questions and commands of an attempt by id. A recorded attempt has none, because its recording answers
 * them.
 */
function outstanding(state: AttemptState, justAsked: readonly Question[]): Map<string, WorkItem> {
  const { attempt } = state;
  const items = new Map<string, WorkItem>();
  if (attempt.clock !== WALL || isOver(state)) return items;
  for (const [host, { asked, answer, dueAt }] of Object.entries(attempt.asked)) {
    // A question past its time limit stays outstanding, because a late answer counts when nothing newer is known.
    const isAnswered = answer !== null && answer.asked >= asked && answer.timedOut !== true;
    if (asked > 0 && !isAnswered) {
      const question = questionOf(attempt, host, asked, dueAt, justAsked);
      items.set(question.question, { kind: 'question', question });
    }
  }
  for (const command of commandsOf(attempt)) items.set(command.command, { kind: 'command', command });
  return items;
}

function commandsOf(attempt: Attempt): Command[] {
  const verdict = attempt.verdicts.at(-1);
  if (verdict === undefined) return [];
  // The step `ask-origin` is sent as a question, not as a command.
  const sent = attempt.steps.filter((step) => step.status === 'sent' && step.kind !== 'ask-origin');
  return sent.map((step) => toCommand(attempt, verdict, step));
}

/**
 * Returns the question as the entry asked it. After a restart its times are computed from the question's time limit.
 */
function questionOf(
  attempt: Attempt,
  host: string,
  asked: number,
  dueAt: number | null,
  justAsked: readonly Question[],
): Question {
  const { migration, vm, configuration } = attempt;
  const id = questionId(migration, asked);
  const fromEntry = justAsked.find(({ question }) => question === id);
  if (fromEntry !== undefined) return fromEntry;
  const limitMs = configuration.questionLimitSeconds * 1000;
  const due = dueAt ?? (attempt.returnedAt ?? attempt.startedAt) + limitMs;
  return { question: id, migration, vm, host, askedAt: Math.max(0, due - limitMs), dueAt: due };
}
