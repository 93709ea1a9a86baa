import { describe, expect, it } from 'vitest';
import { Driver } from '../../engine/driver.ts';
import { toInput } from '../../events/cloud-event.ts';
import { sha256 } from '../../log/chain.ts';
import { cloudEvent, declared, VM } from '../support/builders.ts';
import { MemoryLedger } from '../support/memory-ledger.ts';

/** Plays events about VM, which is declared as running on host-a; returns its record. */
async function recordAfter(...events: unknown[]) {
  const ledger = new MemoryLedger();
  const driver = new Driver(await ledger.claim(), ledger);
  for (const event of events) driver.partition.take(toInput(event, sha256), null, 1_000_000, 'wall');
  await driver.flush();
  return ledger.record(VM);
}

const onItself = cloudEvent('migration.started', { migration: 'm-1', source: 'host-a', destination: 'host-a' });
const fails = cloudEvent('migration.returned', {
  migration: 'm-1',
  ok: false,
  error: { kind: 'caller-timeout', message: '' },
});
const declaredAs = (power: string) => cloudEvent('vm.declared', { name: 'web', host: 'host-a', power });

describe('a migration with equal source and destination', () => {
  it.each(['running', 'stopped', 'paused'])('does not change the record of a guest that is %s', async (power) => {
    const before = await recordAfter(declaredAs(power));
    for (const events of [[onItself], [onItself, fails]]) {
      const { host, certainty, power: after, owner } = (await recordAfter(declaredAs(power), ...events)) ?? {};
      expect({ host, certainty, power: after, owner }).toEqual({
        host: before?.host,
        certainty: 'proven',
        power,
        owner: before?.owner,
      });
    }
  });

  it('does not change an unknown record', async () => {
    expect(await recordAfter(onItself, fails)).toMatchObject({ host: null, certainty: 'unknown' });
  });

  it('allows changes of the guest’s power while it is open', async () => {
    const stops = cloudEvent('host.lifecycle', { host: 'host-a', event: 'Stopped', detail: 'Shutdown' });
    expect(await recordAfter(declared(), onItself, stops)).toMatchObject({ power: 'stopped', certainty: 'proven' });
  });
});
