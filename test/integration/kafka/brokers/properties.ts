/** The ports of one broker. The controller ports and the number of brokers are equal in the settings of all brokers. */
export type BrokerPorts = {
  readonly controller: number;
  readonly plain: number;
  /** A listener behind a proxy: the port it binds to, and the port it advertises to clients. */
  readonly proxied?: { readonly port: number; readonly advertised: number };
  readonly secure?: number;
};

export type Properties = Readonly<Record<string, string | number>>;

/**
 * Settings of a broker that is its own controller, or of one in a quorum of three. Short timeouts detect a lost broker quickly.
 */
export function brokerProperties(
  id: number,
  ports: readonly BrokerPorts[],
  folder: string,
  more: Properties,
): Properties {
  const own = ports[id];
  if (own === undefined) throw new RangeError(`there is no broker ${id}`);
  const copies = ports.length;
  const inSyncMin = copies > 1 ? 2 : 1;
  return {
    'node.id': id,
    'process.roles': 'broker,controller',
    'controller.quorum.voters': ports.map(({ controller }, voter) => `${voter}@127.0.0.1:${controller}`).join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    ...listeners(own),
    'log.dirs': `${folder}/data`,
    'default.replication.factor': copies,
    'min.insync.replicas': inSyncMin,
    'offsets.topic.replication.factor': copies,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': copies,
    'transaction.state.log.min.isr': inSyncMin,
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': copies,
    'share.coordinator.state.topic.min.isr': inSyncMin,
    'auto.create.topics.enable': 'false',
    'group.initial.rebalance.delay.ms': 0,
    'broker.session.timeout.ms': 3000,
    'broker.heartbeat.interval.ms': 500,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'log.cleaner.dedupe.buffer.size': 2_097_152,
    ...more,
  };
}

function listeners({ controller, plain, proxied, secure }: BrokerPorts): Properties {
  const all = [
    { name: 'CONTROLLER', protocol: 'PLAINTEXT', port: controller, advertised: controller },
    { name: 'PLAINTEXT', protocol: 'PLAINTEXT', port: plain, advertised: plain },
    ...(proxied === undefined ? [] : [{ name: 'PROXIED', protocol: 'PLAINTEXT', ...proxied }]),
    ...(secure === undefined ? [] : [{ name: 'SECURE', protocol: 'SASL_SSL', port: secure, advertised: secure }]),
  ];
  return {
    listeners: all.map(({ name, port }) => `${name}://127.0.0.1:${port}`).join(','),
    'advertised.listeners': all.map(({ name, advertised }) => `${name}://127.0.0.1:${advertised}`).join(','),
    'listener.security.protocol.map': all.map(({ name, protocol }) => `${name}:${protocol}`).join(','),
  };
}

/** Returns the settings in the format of a Java properties file. */
export function propertiesText(properties: Properties): string {
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${String(value).replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n`)
    .join('');
}
