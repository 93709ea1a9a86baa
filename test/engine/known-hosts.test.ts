import { describe, expect, it } from 'vitest';
import { Driver } from '../../engine/driver.ts';
import type { CacheLimits } from '../../engine/partition/workspace.ts';
import { toInput } from '../../events/cloud-event.ts';
import { sha256 } from '../../log/chain.ts';
import { cloudEvent, declared, returned, started, vmOf } from '../support/builders.ts';
import { MemoryLedger } from '../support/memory-ledger.ts';

async function openPartition(limits?: CacheLimits) {
  const ledger = new MemoryLedger();
  const driver = new Driver(await ledger.claim(), ledger, limits);
  const take = (event: unknown) => driver.partition.take(toInput(event, sha256), null, 1_000_000, 'wall');
  return { ledger, driver, take };
}

const facts = (host: string, cluster: string | null) =>
  cloudEvent('host.facts', { host, zone: 'zone-1', ...(cluster === null ? {} : { cluster }), stream: 'connected' });

const knownHosts = async (...sites: unknown[]) => {
  const { driver, take } = await openPartition();
  for (const event of [...sites, started('m-1'), returned('m-1')]) take(event);
  return [...driver.partition.openAttempts()].map((state) => state.attempt.knownHosts.toSorted());
};

describe('the search for a guest on other hosts', () => {
  it('includes only hosts of the same or an unknown cluster', async () => {
    const cluster1 = ['host-a', 'host-b', 'host-c'].map((host) => facts(host, 'cluster-1'));
    const found = await knownHosts(...cluster1, facts('host-d', 'cluster-2'), facts('host-e', null));
    expect(found).toEqual([['host-c', 'host-e']]);
  });

  it('includes every host if the cluster of the source is unknown', async () => {
    expect(await knownHosts(facts('host-a', null), facts('host-d', 'cluster-2'))).toEqual([['host-d']]);
  });

  it('includes no host of another recording', async () => {
    const { driver, take } = await openPartition();
    driver.partition.take(toInput(facts('host-x', null), sha256), null, 1000, 'recording-1');
    for (const event of [facts('host-a', null), started('m-1'), returned('m-1')]) take(event);
    expect([...driver.partition.openAttempts()].map((state) => state.attempt.knownHosts)).toEqual([[]]);
  });

  it('gives the same decisions if the caches hold only two entries', async () => {
    const run = async (limits?: CacheLimits) => {
      const { ledger, driver, take } = await openPartition(limits);
      for (const step of [declared, (vm: string) => started(`m-${vm}`, vm), (vm: string) => returned(`m-${vm}`, vm)])
        for (let vm = 1; vm <= 8; vm += 1) {
          take({
            ...step(vmOf(vm)),
            id: `${step.length}-${vm}-${driver.partition.pendingCount}-${ledger.entries.length}`,
          });
          await driver.flush();
        }
      for (let now = 1_000_000; now < 2_000_000; now += 5000) {
        driver.partition.fire(now, 'wall');
        await driver.flush();
      }
      return ledger.entries;
    };
    expect(await run({ attempts: 2, records: 2 })).toEqual(await run());
  });
});
