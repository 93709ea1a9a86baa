import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { declared, returned, started, textOf, workOff } from '../../service/harness.ts';
import { entriesOf } from '../../support/entries.ts';
import { landfall } from '../../support/landfall.ts';
import { canStartClusters, type Cluster, startCluster } from './brokers/index.ts';
import { eventually, forTest, instance, ready } from './instances.ts';
import { scratchFolders } from './scratch.ts';

/** The one run against a real broker in the fast suite; the slow suite tests the same paths in depth. */

const PARTITIONS = 2;

describe.skipIf(!(await canStartClusters()))('Landfall on a Kafka broker', { timeout: 180_000 }, () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.stop());

  const initialised = async () => {
    const scratch = forTest(scratchFolders(cluster.bootstrap, PARTITIONS));
    const connection = ['--kafka-brokers', cluster.bootstrap.join(','), '--kafka-prefix', scratch.prefix];
    const copies = ['--replication-factor', '1', '--min-insync-replicas', '1'];
    const init = await landfall(['kafka', 'init', '--partitions', String(PARTITIONS), ...copies, ...connection]);
    expect([init.code, init.stderr]).toEqual([0, '']);
    return scratch;
  };

  it('settles migrations on two instances, also after a broker restart', async () => {
    const scratch = await initialised();
    const [one, two] = await Promise.all([instance(scratch, 'one'), instance(scratch, 'two')]);
    await ready(scratch, one, two);
    const migrate = async (vms: readonly string[]) => {
      expect((await one.post(vms.map((vm) => declared(vm)))).status).toBe(202);
      const calls = vms.flatMap((vm) => [started(`m-${vm}`, vm), returned(`m-${vm}`, vm)]);
      expect((await two.post(calls)).status).toBe(202);
      await workOff(one);
    };
    const states = async () => {
      const position = textOf((await one.get('/readyz')).body['position']);
      const { items } = (await two.get('/v1/migrations', { 'landfall-position': position })).body;
      return new Set(items.map((item) => [item['migration'], item['settled'], item['state']].map(textOf).join(' ')));
    };
    const rolledBack = (vms: readonly string[]) => new Set(vms.map((vm) => `m-${vm} true RolledBack`));

    const before = Array.from({ length: 6 }, () => randomUUID());
    await migrate(before);
    expect(await states()).toEqual(rolledBack(before));

    await cluster.restartAll();
    const probe = declared(randomUUID());
    await eventually(async () => ((await one.post(probe)).status === 202 ? true : null));
    await ready(scratch, one, two);
    const after = Array.from({ length: 4 }, () => randomUUID());
    await migrate(after);
    expect(await states()).toEqual(rolledBack([...before, ...after]));
    await Promise.all([one.stop(), two.stop()]);
  });

  it('refuses a commit by a fenced owner', async () => {
    const scratch = await initialised();
    const [one, two] = [await scratch.open('one'), await scratch.open('two')];
    const older = await one.claim(0);
    const head = await older.commit({ entries: entriesOf('a', 3), inputPositions: [] });
    const newer = await two.claim(0);
    expect(newer.claimedHead).toEqual(head);
    const late = older.commit({ entries: entriesOf('late', 1), inputPositions: [] });
    await expect(late).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
    await newer.commit({ entries: entriesOf('b', 1), inputPositions: [] });
    await Promise.all([one.close(), two.close()]);
  });
});
