/** Real brokers for tests: one broker that all test files share, and clusters that a test may break. */
export { type Cluster, startCluster } from './cluster.ts';
export { brokersForTests, canStartClusters, uniqueName } from './for-tests.ts';
