import { startCluster } from './index.ts';

/** Starts a broker, prints where it listens and what it prints to, and waits to be killed. */
const cluster = await startCluster();
console.log(`${cluster.bootstrap[0]} ${cluster.broker(0).log}`);
setInterval(() => {}, 1000);
