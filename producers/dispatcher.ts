import type { Command, Question } from '../events/commands.ts';
import type { Entry } from '../events/entries.ts';

/**
 * Hands out what committed entries ask and command: at least once, by deterministic id. It is fed by the ledger only, so
 * nothing is ever sent that is not durable, and a replay, which feeds nobody, sends nothing (invariant 9).
 */
export interface Receiver {
  /** Puts a question to the host's agent. */
  ask(question: Question): void;
  /** Sends a command to its host's agent, or to the orchestrator. */
  send(command: Command): void;
}

export class Dispatcher {
  readonly #receiver: Receiver;

  constructor(receiver: Receiver) {
    this.#receiver = receiver;
  }

  /** A batch became durable. */
  committed(entries: readonly Entry[]): void {
    for (const entry of entries) {
      for (const question of entry.questions) this.#receiver.ask(question);
      for (const command of entry.commands) this.#receiver.send(command);
    }
  }
}

/**
 * The questions on one clock that nobody has answered, in the order they were asked: they are put again after a restart. One
 * that ran out is still among them, since a late answer counts where nothing newer is known.
 */
export async function unanswered(
  entries: AsyncIterable<{ readonly entry: Entry }>,
  clock: string,
): Promise<Question[]> {
  const open = new Map<string, Question>();
  for await (const { entry } of entries) {
    if (entry.clock !== clock) continue;
    const answered = questionAnswered(entry);
    if (answered !== null) open.delete(answered);
    for (const question of entry.questions) open.set(question.question, question);
  }
  return [...open.values()];
}

function questionAnswered({ cause }: Entry): string | null {
  if (cause.kind !== 'input' || cause.type !== 'landfall.host.answered.v1') return null;
  const { data } = cause;
  return typeof data === 'object' && data !== null && 'question' in data && typeof data.question === 'string'
    ? data.question
    : null;
}
