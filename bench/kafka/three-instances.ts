import { join } from 'node:path';
import { perSecond, sleep } from '../measure.ts';
import type { Figure } from '../report.ts';
import { Serving } from '../serving.ts';
import { makeTopics, type Site } from './instance.ts';
import { clientOf, fill, settling } from './records.ts';

/** Compares the rate of three instances, each in its own process, with the rate of one instance. */

const PARTITIONS = 12;
/** Inputs processed before the measurement, because each process compiles its hot functions first. */
const WARM_UP = 36_000;

export async function threeInstances(alone: Site, together: Site, count: number): Promise<Figure[]> {
  const one = await rateOf(alone, ['one'], count);
  const three = await rateOf(together, ['one', 'two', 'three'], count);
  return [
    {
      name: `inputs decided, three instances on ${PARTITIONS} partitions`,
      value: three,
      unit: '/s',
      floor: { name: 'one instance', value: one },
      goal: { atLeast: one },
      note: 'all on the same two cores, the broker and the load too; three write three copies each',
    },
  ];
}

async function rateOf(site: Site, names: readonly string[], count: number): Promise<number> {
  await makeTopics(site, PARTITIONS);
  const instances = await Promise.all(names.map((name) => started(site, name)));
  await shared(instances);
  const client = clientOf(site.brokers);
  let sent = 0;
  const decided = async (inputs: number): Promise<number> => {
    const [began, before] = [performance.now(), sent];
    sent += await fill(client, `${site.prefix}.inputs`, settling(inputs, PARTITIONS));
    // Each instance must be able to read every entry.
    for (const instance of instances) while ((await instance.entries()) < sent) await sleep(50);
    return perSecond(sent - before, performance.now() - began);
  };
  await decided(WARM_UP);
  const rate = await decided(count);
  await Promise.all(instances.map((instance) => instance.stop()));
  return rate;
}

function started({ brokers, prefix, folder }: Site, name: string): Promise<Serving> {
  const db = join(folder, prefix, name, 'ledger.db');
  return Serving.start({ kafkaBrokers: brokers.join(','), kafkaPrefix: prefix, kafkaInstance: name, db });
}

async function shared(instances: readonly Serving[]): Promise<void> {
  const fair = PARTITIONS / instances.length;
  const isShared = async () => {
    const owned = await Promise.all(instances.map((each) => each.metric('landfall_partitions_owned')));
    return owned.every((count) => count === fair);
  };
  while (!(await isShared())) await sleep(100);
}
