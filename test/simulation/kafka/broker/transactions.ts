import type { GroupOffset, NewRecord } from '../../../../kafka/port.ts';
import { BrokerError } from './errors.ts';
import type { Network } from './network.ts';
import type { PartitionLog, PartitionTransaction } from './partition-log.ts';

type Producer = {
  epoch: number;
  state: 'empty' | 'ongoing' | 'ending';
  /** Counts the transactions, so that a time limit ends only the transaction that it was set for. */
  serial: number;
  parts: Map<PartitionLog, PartitionTransaction>;
  offsets: GroupOffset[];
  timeoutMs: number;
  /** The last completed request to end a transaction. */
  ended: object | null;
};

/** The identity of one producer session. A newer session with the same transactional id fences this session. */
export type Session = { readonly id: string; readonly epoch: number };

/** The transaction coordinator: epochs, fencing, time limits, and the markers that end transactions. */
export class TransactionCoordinator {
  readonly #network: Network;
  readonly #commitOffset: (offset: GroupOffset) => void;
  readonly #producers = new Map<string, Producer>();

  constructor(network: Network, commitOffset: (offset: GroupOffset) => void) {
    this.#network = network;
    this.#commitOffset = commitOffset;
  }

  /** Starts a session: fences the older session and aborts its open transaction. @throws BrokerError CONCURRENT_TRANSACTIONS. */
  init(id: string, timeoutMs: number): Session {
    const producer = this.#producers.get(id) ?? newProducer();
    this.#producers.set(id, producer);
    if (producer.state === 'ongoing') {
      producer.epoch += 1;
      this.#end(producer, 'aborted', null);
    }
    if (producer.state === 'ending') throw new BrokerError('CONCURRENT_TRANSACTIONS');
    producer.epoch += 1;
    producer.timeoutMs = timeoutMs;
    producer.ended = null;
    return { id, epoch: producer.epoch };
  }

  append(session: Session, log: PartitionLog, send: object, records: readonly NewRecord[]): number {
    const producer = this.#current(session);
    if (log.hasSend(send)) return log.append(send, records, null);
    if (!log.hasLeader) throw new BrokerError('NOT_LEADER_FOR_PARTITION');
    this.#begin(producer);
    const part = producer.parts.get(log) ?? log.begin();
    producer.parts.set(log, part);
    return log.append(send, records, part);
  }

  addOffset(session: Session, offset: GroupOffset): void {
    const producer = this.#current(session);
    this.#begin(producer);
    producer.offsets.push(offset);
  }

  /** @param request identifies the request, so that a repetition succeeds. */
  commit(session: Session, request: object): void {
    const producer = this.#current(session);
    if (producer.ended === request) return;
    if (producer.state !== 'ongoing') throw new BrokerError('INVALID_TXN_STATE');
    this.#end(producer, 'committed', request);
  }

  #current({ id, epoch }: Session): Producer {
    const producer = this.#producers.get(id);
    if (producer === undefined) throw new BrokerError('INVALID_PRODUCER_ID_MAPPING');
    if (producer.epoch !== epoch) throw new BrokerError('INVALID_PRODUCER_EPOCH');
    return producer;
  }

  #begin(producer: Producer): void {
    if (producer.state === 'ending') throw new BrokerError('CONCURRENT_TRANSACTIONS');
    if (producer.state === 'ongoing') return;
    producer.state = 'ongoing';
    producer.serial += 1;
    const { serial, timeoutMs } = producer;
    this.#network.after(timeoutMs, () => {
      if (producer.state !== 'ongoing' || producer.serial !== serial) return;
      producer.epoch += 1;
      this.#end(producer, 'aborted', null);
    });
  }

  /** The outcome is decided at once; the markers are written later, and the next transaction waits for them. */
  #end(producer: Producer, outcome: 'committed' | 'aborted', request: object | null): void {
    const { parts, offsets } = producer;
    producer.state = 'ending';
    producer.ended = request;
    producer.parts = new Map();
    producer.offsets = [];
    if (outcome === 'committed') for (const [log, part] of parts) log.decideCommit(part);
    const isLate = this.#network.fault('marker-late');
    this.#network.after(isLate ? this.#network.between(50, 3000) : this.#network.between(0, 3), () => {
      for (const [log, part] of parts) log.complete(part, outcome);
      if (outcome === 'committed') for (const offset of offsets) this.#commitOffset(offset);
      producer.state = 'empty';
    });
  }
}

function newProducer(): Producer {
  return { epoch: 0, state: 'empty', serial: 0, parts: new Map(), offsets: [], timeoutMs: 60_000, ended: null };
}
