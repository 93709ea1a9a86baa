import { describe, it } from 'vitest';
import {
  absent,
  acksAll,
  after,
  D,
  event,
  fails,
  fenced,
  given,
  running,
  S,
  says,
  shutOff,
  T,
} from '../support/machine-spec.ts';

/** A third host that showed the guest and then does not answer: the guest may run there. */

const started = event(T, 'Started', 'Booted');
const landed = { says: { [S]: absent, [D]: running() } };
const stayed = { says: { [S]: running(), [D]: absent } };

describe('a third host that showed the guest after the verdict', () => {
  it.each([
    ['landed', landed, D],
    ['stayed', stayed, S],
  ])('makes row %s contested if it stays silent', (row, hosts, host) => {
    given(hosts)
      .when(fails('libvirt'), after(1), acksAll, started, after(290))
      .thenIs({ row, contested: false, host })
      .when(after(20))
      .thenIs({
        state: 'RolledBack.contested',
        row,
        contested: true,
        host,
        error: /gamma showed the guest and does not answer/,
        alarms: ['verdict-contradicted', 'third-host-silent'],
      });
  });

  it('leaves the verdict in force once it answers without the guest', () => {
    given(landed)
      .when(fails(), acksAll, started, after(100), says(T, absent), after(20))
      .thenIs({ state: 'Completed.settled', verdicts: 1, certainty: 'proven' });
  });

  it('is contested at once if it answers with the guest', () => {
    given(landed)
      .when(fails(), acksAll, started, after(100), says(T, running()), after(20))
      .thenIs({ state: 'Rechecking.watching', alarms: ['verdict-contradicted', 'split-brain'] });
  });

  it('settles the contested attempt again when it answers without the guest', () => {
    given(landed)
      .when(fails(), acksAll, started, after(320), says(T, shutOff()), event(D, 'Resumed', 'Migrated'))
      .thenIs({ state: 'Completed.settling', row: 'landed', contested: false, certainty: 'proven', host: D });
  });
});

describe('a third host that showed the guest before the verdict', () => {
  it.each([
    ['landed', landed],
    ['stayed', stayed],
  ])('keeps row %s from settling, and contests it at the deadline', (row, hosts) => {
    given(hosts)
      .when(started, fails('libvirt'), after(290))
      .thenIs({ state: 'Rechecking.watching', verdicts: 0 })
      .when(after(20))
      .thenIs({ state: 'RolledBack.contested', row, alarms: ['third-host-silent'] });
  });

  it('does not delay the verdict if it answers', () => {
    given(stayed)
      .when(says(T, absent), started, fails('libvirt'), after(1))
      .thenIs({ row: 'stayed', contested: false, alarms: [] });
  });

  it('counts as gone if an end is fenced instead', () => {
    given({ says: { [S]: running(), [T]: absent } })
      .when(started, fails(), fenced(D), after(6))
      .thenIs({ row: 'stayed', contested: false });
  });
});
