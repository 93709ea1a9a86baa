/** An error that a broker returns, with the protocol's name as its type. */
export class BrokerError extends Error {
  readonly type: string;

  constructor(type: string, message = type) {
    super(message);
    this.name = 'BrokerError';
    this.type = type;
  }
}

/** Errors after which a client sends the same request again. */
const RETRIABLE: ReadonlySet<string> = new Set(['CONCURRENT_TRANSACTIONS', 'NOT_LEADER_FOR_PARTITION']);

export const isRetriable = (error: unknown): boolean => error instanceof BrokerError && RETRIABLE.has(error.type);
