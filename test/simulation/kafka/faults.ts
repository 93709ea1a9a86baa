/** The faults of a Kafka world with their probabilities: per request or commit, or per world for the faults that are planned. */
export const kafkaFaults = {
  'request-lost': 0.004,
  'reply-lost': 0.006,
  'request-delayed': 0.002,
  /** A request or its reply is lost; the client notices the loss only after the time limit of the request. */
  'connection-silent': 0.1,
  /** A repeated send is acknowledged without its offset. */
  'offset-unknown': 0.3,
  /** The markers of a transaction are written long after its commit was acknowledged. */
  'marker-late': 0.02,
  /** A fetched batch is fetched once more. */
  'fetch-repeated': 0.02,
  'fetch-delayed': 0.02,
  /** The consumer ends with an error. */
  'consumer-crash': 0.002,
  /** The consumer stays in its group and fetches nothing more. */
  'consumer-stuck': 0.001,
  'disk-slow': 0.02,
  'disk-full': 0.003,
  'leader-change': 0.8,
  'instance-kill': 0.8,
  'instance-freeze': 0.8,
  'instance-slow': 0.4,
  'instance-stop': 0.6,
  'clock-skew': 0.3,
} as const;

export type KafkaFault = keyof typeof kafkaFaults;
