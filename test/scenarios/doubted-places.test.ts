import { describe, expect, it } from 'vitest';
import {
  absent,
  acksAll,
  after,
  D,
  event,
  failed,
  fails,
  type Given,
  given,
  jobs,
  paused,
  running,
  S,
  says,
  shell,
  shutOff,
  stream,
  succeeds,
  T,
  volume,
} from '../support/machine-spec.ts';

/** Kinds of failures from public reports in which a guest is in more than one place, or stands still. */

const vol = [volume('vol-1')];
const arrived: Given = { volumes: vol, known: [T], says: { [S]: absent, [D]: running(), [T]: absent } };
const starts = event(T, 'Started', 'Booted');

describe('a start of the guest on a third host', () => {
  it('reopens a settled attempt and makes the attempt contested', () => {
    given(arrived)
      .when(fails(), acksAll)
      .thenIs({ state: 'Completed.settled', host: D })
      .when(says(T, running()), starts)
      .thenIs({ state: 'Rechecking.watching', alarms: ['verdict-contradicted', 'split-brain'] })
      .when(after(301))
      .thenIs({ contested: true, row: 'third-host', host: D, certainty: 'unknown' });
  });

  it.each([
    ['running', running()],
    ['paused by an I/O error', paused('I/O error')],
    ['stopped for the hand-over', paused('migrating')],
  ])('makes the attempt contested if the source is %s', (_name, saying) => {
    given({ volumes: vol, says: { [S]: saying, [D]: absent, [T]: running() } })
      .when(event(D, 'Started', 'Migrated'), event(D, 'Stopped', 'Failed'), starts, fails('libvirt'), after(301))
      .thenIs({ contested: true, row: 'third-host', alarms: ['split-brain'] });
  });

  it('moves the record there if no other host has the guest', () => {
    given({ ...arrived, says: { ...arrived.says, [D]: absent, [T]: running() } })
      .when(starts, fails())
      .thenIs({ row: 'elsewhere', host: T });
  });

  it('prevents a verdict until the third host answers', () => {
    given(arrived)
      .when(fails(), acksAll, says(T, 'silent'), starts, after(60))
      .thenIs({ state: 'Completed.reexamining', verdicts: 1 });
  });

  it('makes Landfall ask the third host in the last round', () => {
    given({ says: { [S]: failed, [D]: failed, [T]: absent } })
      .when(fails(), says(S, 'silent'), says(D, 'silent'), after(304), starts, after(20))
      .thenIs({ contested: true, row: 'silence' });
  });

  it('does not affect the verdict if only a migration shell starts there', () => {
    given(arrived)
      .when(fails(), acksAll, event(T, 'Started', 'Migrated'))
      .thenIs({ state: 'Completed.settled', verdicts: 1 });
  });

  it('raises no split-brain alarm if every copy of the guest is paused', () => {
    given({ says: { [S]: paused('user'), [D]: absent, [T]: paused('user') } })
      .when(starts, fails('libvirt'), after(301))
      .thenIs({ contested: true, row: 'third-host', alarms: [] });
  });
});

describe('answers after the deadline', () => {
  const silent = { says: { [S]: failed, [D]: failed } } as const;

  it('settle the attempt if no host has the guest', () => {
    given(silent)
      .when(fails(), after(301))
      .thenIs({ contested: true, row: 'silence' })
      .when(says(S, absent), says(D, absent), after(301))
      .thenIs({ contested: false, row: 'nowhere', host: S, alarms: ['guest-stopped'] });
  });

  it('give a provisional completion if only the destination answers', () => {
    given(silent)
      .when(fails(), after(301), says(D, running()), after(301))
      .thenIs({ state: 'Completed.provisional', host: D, certainty: 'provisional' })
      .when(says(S, absent), after(301))
      .thenIs({ state: 'Completed.settling', row: 'landed', certainty: 'proven' });
  });

  it('leave the attempt contested while one host is silent', () => {
    given(silent).when(fails(), after(301), says(S, absent), after(900)).thenIs({ contested: true, verdicts: 1 });
  });
});

describe('a split brain', () => {
  const both = { volumes: vol, says: { [S]: running(), [D]: running() } } as const;

  it.each([true, false])('stays contested after both copies end (storage copied: %s)', (storageCopied) => {
    given({ ...both, storageCopied })
      .when(event(D, 'Started', 'Migrated'), event(D, 'Resumed', 'Migrated'), fails(), after(301))
      .thenIs({ contested: true, row: 'both-alive', alarms: ['split-brain'] })
      .when(says(S, shutOff()), says(D, absent), after(900))
      .thenIs({ contested: true, row: 'both-alive', alarms: ['split-brain'] });
  });

  it.each([
    ['source', absent, running()],
    ['destination', running(), absent],
  ] as const)('stays contested after the %s ends if storage was copied', (_name, source, destination) => {
    given({ ...both, storageCopied: true })
      .when(event(D, 'Started', 'Migrated'), event(D, 'Resumed', 'Migrated'), fails(), after(301))
      .when(says(S, source), says(D, destination), after(900))
      .thenIs({ contested: true, row: 'both-alive' });
  });

  it('requires two hosts that execute the guest', () => {
    given({ says: { [S]: paused('user'), [D]: paused('user') } })
      .when(fails(), after(301))
      .thenIs({ contested: true, row: 'both-alive', alarms: [], offers: [] });
  });

  it('offers the operator to suspend the source while the source executes', () => {
    given(both)
      .when(fails(), after(301))
      .thenIs({ contested: true, offers: ['suspend the guest on the source'] });
  });
});

describe('a proven arrival on the destination', () => {
  it('stays recorded after the guest is started on the source again', () => {
    const { play } = given(arrived)
      .when(fails(), acksAll, says(S, running()), event(S, 'Resumed', 'Unpaused'), after(301))
      .thenIs({ contested: true, row: 'both-alive', host: D, certainty: 'unknown' });
    expect(play.commands.map(({ kind }) => kind)).not.toContain('failed-to-migrate');
  });

  it('is never followed by the command failed-to-migrate, even after a rollback', () => {
    const { play } = given(arrived)
      .when(fails(), says(S, running(jobs.none)), says(D, absent), event(S, 'Resumed', 'Migrated'), acksAll)
      .when(says(D, running()), event(D, 'Resumed', 'Migrated'), after(301), acksAll);
    expect(play.commands.map(({ kind }) => kind)).not.toContain('failed-to-migrate');
  });
});

describe('a guest whose post-copy migration failed on both hosts', () => {
  const torn = paused('post-copy failed');

  it('causes an immediate alarm and no offer to recover an executing source', () => {
    given({ says: { [S]: running(jobs.none, 'migration canceled'), [D]: torn } })
      .when(fails('libvirt'))
      .thenIs({ verdicts: 0, alarms: ['guest-torn'] })
      .when(after(301))
      .thenIs({ contested: true, row: 'torn', offers: [] });
  });

  it('can be recovered while both hosts report the failed post-copy migration', () => {
    given({ says: { [S]: torn, [D]: torn } })
      .when(fails('libvirt'), after(301))
      .thenIs({ contested: true, row: 'torn', offers: ['recover the post-copy migration'] });
  });
});

describe('the notice about a changed power state', () => {
  const notices = (spec: ReturnType<typeof given>) => spec.play.verdict?.notices ?? [];

  it('reports a running guest that was paused before the migration', () => {
    const spec = given({ origin: 'paused', says: { [S]: running(), [D]: absent } }).when(fails('libvirt'), acksAll);
    expect(notices(spec)).toMatchObject([{ code: 'power-changed', before: 'paused', now: 'running' }]);
    expect(spec.play.commands.find(({ kind }) => kind === 'fail-call')?.notices).toHaveLength(1);
  });

  it('reports a guest that an operator suspended during the migration', () => {
    const spec = given({ says: { [S]: absent, [D]: paused('user') } }).when(fails());
    expect(notices(spec)).toMatchObject([{ before: 'running', now: 'paused' }]);
    expect(notices(spec)[0]?.text).toContain('stands still');
  });

  it('is omitted if the call leaves the guest paused', () => {
    expect(notices(given({ leavePaused: true, says: { [S]: absent, [D]: paused('user') } }).when(fails()))).toEqual([]);
  });

  it('is omitted if the power state did not change', () => {
    expect(notices(given({ origin: 'paused', says: { [S]: absent, [D]: paused('user') } }).when(fails()))).toEqual([]);
  });
});

describe('a guest that was paused during the whole migration', () => {
  const still = paused('migrating');

  it('gets the verdict landed if the source reported the hand-over', () => {
    given({ says: { [S]: absent, [D]: still } })
      .when(event(D, 'Started', 'Migrated'), event(S, 'Stopped', 'Migrated'), succeeds)
      .thenIs({ outcome: 'completed', row: 'landed', certainty: 'proven' });
  });

  it('gets the verdict landed after a second answer without a reported hand-over', () => {
    given({ says: { [S]: absent, [D]: shell } })
      .when(stream(S, 'lost'), fails(), says(D, still), after(40))
      .thenIs({ outcome: 'completed', row: 'landed' });
  });

  it('does not get the verdict landed while the source has the guest', () => {
    given({ says: { [S]: paused('migrating'), [D]: still } })
      .when(event(D, 'Started', 'Migrated'), fails(), after(301))
      .thenIs({ contested: true, row: 'silent-destination' });
  });
});
