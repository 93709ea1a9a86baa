/** Real brokers for tests: one that all test files share, or clusters of one's own to break. */
export { type Cluster, startCluster } from './cluster.ts';
export { brokersForTests, canStartClusters, uniqueName } from './for-tests.ts';
