import { kafkaClientContract } from '../../contracts/kafka-client.ts';
import { simulatedClient } from './broker/client.ts';
import { SimulatedCluster } from './broker/cluster.ts';
import { wallNetwork } from './broker/wall-network.ts';

const cluster = new SimulatedCluster(wallNetwork());
let names = 0;

kafkaClientContract('simulated brokers', {
  client: (clientId) => simulatedClient(cluster, { run: (work) => work(), slowMs: 0 }, clientId),
  unique: (what) => `${what}-${(names += 1)}`,
});
