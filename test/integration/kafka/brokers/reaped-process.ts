import { startCluster } from './index.ts';

/** Starts a broker, prints its address and its log file, and waits until it is killed. */
const cluster = await startCluster();
console.log(`${cluster.bootstrap[0]} ${cluster.broker(0).log}`);
setInterval(() => {}, 1000);
