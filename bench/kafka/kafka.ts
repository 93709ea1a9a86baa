import { canStartClusters, startCluster } from '../../test/integration/kafka/brokers/index.ts';
import type { Figure, Options, Result } from '../report.ts';
import { perSecond, Samples, sleep } from '../measure.ts';
import { configurationSet, newAttempt, quickCourse } from '../workload.ts';
import { submissionOf } from '../../service/engine/engine.ts';
import { consumeProduceCommit } from './floor.ts';
import { entriesIn, makeTopics, openInstance, type Site, until } from './instance.ts';
import { clientOf, fill, makeTopic, opening, settling } from './records.ts';
import { threeInstances } from './three-instances.ts';

/** Compares Landfall on Kafka with consume, produce and commit by the raw client, on the same broker in the same run. */

const BATCH = 1000;
/** Inputs processed before the measurement, by Landfall and by the raw client. */
const WARM_UP = 12_000;
const WARM_UP_SECONDS = 4;
const RATE = 500;
/** The average size of an entry of this workload. The floor writes records of this size. */
const ENTRY_BYTES = 2300;

export const kafka = {
  summary:
    'on one Kafka broker of this machine: transitions/s, latency, hand-over, three instances (needs Java and Maven)',
  async run({ folder, full }: Options): Promise<Result> {
    if (!(await canStartClusters())) throw new Error('it needs Java 17 and Maven');
    await using cluster = await startCluster();
    const brokers = cluster.bootstrap;
    const site = (prefix: string): Site => ({ brokers, prefix, folder });
    return {
      benchmark: 'kafka',
      workload:
        'attempts of six inputs each, one broker and one replica on the same two cores, the load and the checks in them too',
      figures: [
        ...(await throughput(site('bench-a'), full ? 120_000 : 48_000)),
        ...(await latency(site('bench-b'), full ? 30 : 10)),
        ...(await handOver(site('bench-c'), 100_000)),
        ...(await threeInstances(site('bench-d'), site('bench-e'), full ? 96_000 : 48_000)),
      ],
      notMeasured: ['replication: one broker has one replica', 'a network: all speak over loopback'],
    };
  },
};

async function throughput(site: Site, count: number): Promise<Figure[]> {
  const client = clientOf(site.brokers);
  await makeTopics(site, 1);
  const sent = await fill(client, `${site.prefix}.inputs`, settling(count, 1));
  await makeTopic(client, 'floor-small');
  await makeTopic(client, 'floor-large');
  const from = `${site.prefix}.inputs`;
  const floor = { brokers: site.brokers, from, count: sent, warmUp: WARM_UP, batch: BATCH };
  const small = await consumeProduceCommit({ ...floor, to: 'floor-small', valueBytes: null });
  const large = await consumeProduceCommit({ ...floor, to: 'floor-large', valueBytes: ENTRY_BYTES });
  const engine = await openInstance(site, 'one');
  await engine.start();
  await until(() => entriesIn(engine) > WARM_UP);
  const [began, already] = [performance.now(), entriesIn(engine)];
  await until(() => entriesIn(engine) >= sent);
  const value = perSecond(sent - already, performance.now() - began);
  await engine.stop();
  return [
    {
      name: 'inputs decided, one partition',
      value,
      unit: '/s',
      floor: { name: `raw client, batches of ${BATCH}, entries as large`, value: large.recordsPerSecond },
      goal: { atLeast: large.recordsPerSecond / 2 },
    },
    {
      name: 'the same',
      value,
      unit: '/s',
      floor: { name: `raw client, batches of ${BATCH}, inputs copied`, value: small.recordsPerSecond },
      goal: { atLeast: small.recordsPerSecond / 2 },
    },
  ];
}

async function latency(site: Site, seconds: number): Promise<Figure[]> {
  const client = clientOf(site.brokers);
  await makeTopics(site, 1);
  const engine = await openInstance(site, 'one');
  await engine.start();
  await until(() => engine.fault === null);
  const [verdicts, pace] = [new Samples(), 1000 / (RATE / 6)];
  const attempts: Promise<void>[] = [];
  const began = performance.now();
  for (let number = 0; performance.now() - began < (WARM_UP_SECONDS + seconds) * 1000; number += 1) {
    const ahead = began + number * pace - performance.now();
    if (ahead > 0) await sleep(ahead);
    const isWarm = performance.now() - began > WARM_UP_SECONDS * 1000;
    attempts.push(oneAttempt(engine, isWarm ? verdicts : new Samples()));
  }
  await Promise.all(attempts);
  await engine.stop();
  await makeTopic(client, 'floor-pace-from');
  await makeTopic(client, 'floor-pace-to');
  const batch = 5;
  const count = await fill(client, 'floor-pace-from', settling(3000, 1));
  const raw = await consumeProduceCommit({
    brokers: site.brokers,
    from: 'floor-pace-from',
    to: 'floor-pace-to',
    count,
    warmUp: count / 6,
    batch,
    valueBytes: ENTRY_BYTES,
  });
  const floorOf = (share: number) => ({
    name: `raw transaction of ${batch}`,
    value: raw.transactionMs.percentile(share),
  });
  const figure = (name: string, share: number): Figure => ({
    name: `input to durable verdict at ${RATE}/s, ${name}`,
    value: verdicts.percentile(share),
    unit: 'ms',
    floor: floorOf(share),
    ...(share === 0.99 ? { goal: { below: 2 * raw.transactionMs.percentile(0.99) } } : {}),
  });
  return [figure('p50', 0.5), figure('p99', 0.99), figure('p99.9', 0.999)];
}

/** Runs one attempt and measures its last input, the answer that decides the attempt. */
async function oneAttempt(engine: Awaited<ReturnType<typeof openInstance>>, verdicts: Samples): Promise<void> {
  for (const [index, text] of quickCourse(newAttempt()).entries()) {
    const began = performance.now();
    const [receipt] = await engine.submit([submissionOf(JSON.parse(text))]);
    if (receipt?.outcome !== 'consumed') throw new Error(`it was not decided: ${JSON.stringify(receipt)}`);
    if (index === 3) verdicts.add(performance.now() - began);
  }
}

/**
 * A long poll interval, so that no poll falls into the hand-over. At the default interval the polls alone would be a
 * heavy load.
 */
const slowPolls = configurationSet({
  recheckIntervalSeconds: 1800,
  recheckTimeoutSeconds: 3600,
  questionLimitSeconds: 1800,
});

async function handOver(site: Site, count: number): Promise<Figure[]> {
  const client = clientOf(site.brokers);
  await makeTopics(site, 1);
  const one = await openInstance(site, 'one');
  await one.start();
  await until(() => one.fault === null);
  await one.submit([submissionOf(JSON.parse(slowPolls))]);
  const sent = await fill(client, `${site.prefix}.inputs`, opening(count));
  const two = await openInstance(site, 'two');
  await until(() => entriesIn(one) > sent && entriesIn(two) > sent, 50);
  await two.start();
  await until(() => two.fault === null && one.fault === null, 50);
  // One of the two instances owns the partition; the other owns none.
  const [owner, other] = one.owned.length > 0 ? [one, two] : [two, one];
  await sleep(2000);
  const began = performance.now();
  const stopped = owner.stop();
  await until(() => other.owned.length > 0);
  const ms = performance.now() - began;
  await stopped;
  await other.stop();
  return [
    {
      name: `hand-over of a partition with ${count.toLocaleString('en-US')} open attempts`,
      value: ms / 1000,
      unit: 's',
      goal: { below: 5 },
      note: 'from the order to stop to the next owner’s readiness, both in one process',
    },
  ];
}
