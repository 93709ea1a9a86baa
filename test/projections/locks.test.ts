import { describe, expect, it } from 'vitest';
import type { VmRecord } from '../../events/records.ts';
import type { Holder } from '../../events/vocabulary.ts';
import { locksOf } from '../../projections/locks.ts';

const exclusive = (host: string): Holder => ({ host, mode: 'exclusive' });
const shared = (host: string): Holder => ({ host, mode: 'shared' });

type Known = Parameters<typeof locksOf>[0];
const known = (changes: Partial<Known> = {}): Known => ({
  volumes: [{ volume: 'disk', shareable: false, lockedBy: 'landfall' }],
  holders: { disk: [exclusive('h1')] },
  owner: 'h1',
  power: 'running',
  open: [],
  ...changes,
});
const lock = (changes: Partial<Known> = {}) => locksOf(known(changes))[0];
const byHypervisor: VmRecord['volumes'] = [{ volume: 'disk', shareable: false, lockedBy: 'hypervisor' }];

describe('agreement of a lock', () => {
  it.each<[string, Partial<Known>, boolean]>([
    ['one exclusive holder, the desired one', {}, true],
    ['another holder', { holders: { disk: [exclusive('h2')] } }, false],
    ['two holders', { holders: { disk: [exclusive('h1'), exclusive('h2')] } }, false],
    ['the desired one, shared', { holders: { disk: [shared('h1')] } }, false],
    ['a shared holder beside it', { holders: { disk: [exclusive('h1'), shared('h2')] } }, false],
    ['never observed', { holders: {} }, false],
    ['nobody is known to be the owner', { owner: null }, false],
    ['nobody, where Landfall locks', { holders: { disk: [] }, power: 'paused', open: ['m'] }, false],
    ['nobody, where the hypervisor locks and the guest runs', { volumes: byHypervisor, holders: { disk: [] } }, false],
    ['nobody, hypervisor, paused', { volumes: byHypervisor, holders: { disk: [] }, power: 'paused' }, true],
    ['nobody, hypervisor, stopped', { volumes: byHypervisor, holders: { disk: [] }, power: 'stopped' }, true],
    ['nobody, hypervisor, an attempt is open', { volumes: byHypervisor, holders: { disk: [] }, open: ['m'] }, true],
    ['never observed, hypervisor, paused', { volumes: byHypervisor, holders: {}, power: 'paused' }, false],
    [
      'nobody, hypervisor, paused, no owner',
      { volumes: byHypervisor, holders: { disk: [] }, power: 'paused', owner: null },
      false,
    ],
    ['a process that is no host’s', { holders: { disk: [exclusive('other')] } }, false],
  ])('%s', (_, changes, agrees) => {
    expect(lock(changes)?.agrees).toBe(agrees);
  });

  it('is always given for shareable volumes', () => {
    const volumes = [{ volume: 'disk', shareable: true, lockedBy: 'landfall' as const }];
    expect(lock({ volumes, holders: {} })).toEqual({
      volume: 'disk',
      owner: null,
      mode: null,
      desiredOwner: null,
      observed: false,
      agrees: true,
    });
  });
});

describe('the owner of a lock', () => {
  it.each<[string, Holder[], string | null, string | null]>([
    ['one exclusive', [exclusive('h2')], 'h2', 'exclusive'],
    ['two exclusive', [exclusive('h1'), exclusive('h2')], null, 'exclusive'],
    ['shared only', [shared('h1'), shared('h2')], null, 'shared'],
    ['nobody', [], null, null],
    ['a process that is no host’s', [exclusive('other')], null, 'exclusive'],
  ])('%s', (_, holders, owner, mode) => {
    expect(lock({ holders: { disk: holders } })).toMatchObject({ owner, mode });
  });

  it('includes observed volumes that were not declared', () => {
    const locks = locksOf(known({ holders: { disk: [exclusive('h1')], data: [exclusive('h2')] } }));
    expect(locks[1]).toEqual({
      volume: 'data',
      owner: 'h2',
      mode: 'exclusive',
      desiredOwner: 'h1',
      observed: true,
      agrees: false,
    });
  });

  it('handles a volume named like an inherited member', () => {
    const volumes = [{ volume: 'constructor', shareable: false, lockedBy: 'landfall' as const }];
    expect(lock({ volumes, holders: {} })).toMatchObject({ owner: null, mode: null, observed: false, agrees: false });
  });
});
