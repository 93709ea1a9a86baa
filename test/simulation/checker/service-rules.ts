import type { Entry } from '../../../events/entries.ts';
import { WorkQueue, ORCHESTRATOR, type WorkItem } from '../../../producers/work-queue.ts';
import type { Service } from '../landfall/service.ts';
import type { Letter } from '../world/outbox.ts';
import type { Sim } from '../world/sim.ts';
import type { LedgerRules } from './ledger-rules.ts';

/** Rules for the running service: for its acknowledgements, its handed-out work and its memory. */
export class ServiceRules {
  readonly #sim: Sim;
  readonly #ledger: LedgerRules;
  /** Letters that a process received and has not acknowledged yet, with their arrival in service time and in true time. */
  readonly #waiting = new Map<Letter, { readonly arrivedAt: number; readonly at: number }>();

  constructor(sim: Sim, ledger: LedgerRules) {
    this.#sim = sim;
    this.#ledger = ledger;
  }

  submitted(letters: readonly Letter[], service: Service): void {
    for (const letter of letters) this.#waiting.set(letter, { arrivedAt: service.now, at: this.#sim.now });
  }

  /** Forgets letters that the process refused or lost at its end; the sender sends them again. */
  rejected(letters: readonly Letter[]): void {
    for (const letter of letters) this.#waiting.delete(letter);
  }

  /** Invariant 10: an acknowledged input is in the ledger. */
  acknowledged(letter: Letter): void {
    this.#waiting.delete(letter);
    const { source, id } = letter;
    if (!this.#ledger.consumed(source, id))
      this.#sim.violate('invariant 10', `${source} ${id} was acknowledged but is not in the ledger`);
  }

  /** A deadline waits for the inputs that were in the log when it was due. */
  committed({ cause }: Entry, { steppedAt }: Service, decidedAt: number): void {
    if (cause.kind !== 'timer') return;
    for (const [{ source, id }, { arrivedAt, at }] of this.#waiting) {
      const wasThere = at > steppedAt && at <= decidedAt && arrivedAt < cause.dueAt;
      if (wasThere && !this.#ledger.consumed(source, id))
        this.#sim.violate('inputs before deadlines', `${cause.migration} ${cause.timer} fired before ${source} ${id}`);
    }
  }

  /** Invariant 9: the service hands out only durable commands that are in progress, also after a restart. */
  handedOut(item: WorkItem, { known, ledger }: Service): void {
    const migration = item.kind === 'question' ? item.question.migration : item.command.migration;
    const durable = ledger.attempt(migration)?.state.attempt;
    if (item.kind === 'question') {
      const { host, question } = item.question;
      if (durable?.asked[host] === undefined)
        this.#sim.violate('invariant 9', `${question} is asked of ${host} but is not in the ledger`);
      return;
    }
    const { command } = item.command;
    const step = known.get(migration)?.attempt.steps.find((candidate) => candidate.command === command);
    if (step?.status !== 'sent' || durable === undefined)
      this.#sim.violate('invariant 9', `${command} is handed out in status ${step?.status ?? 'no step'}`);
  }

  /** Invariant 9: the state rebuilt from the ledger equals the state and the outstanding work of the service. */
  rebuilds(service: Service): void {
    const { ledger, live } = service;
    if (!service.isQuiet) return;
    const states = [...ledger.openAttempts()].map(({ state }) => state);
    const folded = states.map((state) => JSON.stringify(state)).toSorted();
    if (JSON.stringify(folded) !== JSON.stringify(live))
      this.#sim.violate('invariant 9', 'the running partition and the fold of its ledger differ');
    const anew = new WorkQueue();
    anew.restore(states);
    const recipients = [ORCHESTRATOR, ...[...ledger.hosts()].map(({ host }) => host)] as const;
    const [is, should] = [service.workQueue, anew].map((queue) =>
      recipients.flatMap((recipient) =>
        queue?.itemsAfter(recipient, 0, Number.POSITIVE_INFINITY).map(({ item }) => nameOf(item)),
      ),
    );
    if (JSON.stringify(is?.toSorted()) !== JSON.stringify(should?.toSorted()))
      this.#sim.violate(
        'invariant 9',
        `${JSON.stringify(is)} is handed out, and the ledger has ${JSON.stringify(should)}`,
      );
  }
}

const nameOf = (item: WorkItem): string =>
  item.kind === 'question' ? item.question.question : `${item.command.command} ${item.command.try}`;
