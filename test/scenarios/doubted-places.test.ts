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

describe('a third host that starts the guest', () => {
  it('opens a settled attempt again and contests it', () => {
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
  ])('contests an attempt whose source is %s', (_name, saying) => {
    given({ volumes: vol, says: { [S]: saying, [D]: absent, [T]: running() } })
      .when(event(D, 'Started', 'Migrated'), event(D, 'Stopped', 'Failed'), starts, fails('libvirt'), after(301))
      .thenIs({ contested: true, row: 'third-host', alarms: ['split-brain'] });
  });

  it('has the guest alone and gets the record', () => {
    given({ ...arrived, says: { ...arrived.says, [D]: absent, [T]: running() } })
      .when(starts, fails())
      .thenIs({ row: 'elsewhere', host: T });
  });

  it('leaves the verdict open while it does not answer', () => {
    given(arrived)
      .when(fails(), acksAll, says(T, 'silent'), starts, after(60))
      .thenIs({ state: 'Completed.reexamining', verdicts: 1 });
  });

  it('is asked in the last round, so that the attempt ends', () => {
    given({ says: { [S]: failed, [D]: failed, [T]: absent } })
      .when(fails(), says(S, 'silent'), says(D, 'silent'), after(304), starts, after(20))
      .thenIs({ contested: true, row: 'silence' });
  });

  it('is no doubt if only a shell of a migration starts there', () => {
    given(arrived)
      .when(fails(), acksAll, event(T, 'Started', 'Migrated'))
      .thenIs({ state: 'Completed.settled', verdicts: 1 });
  });

  it('raises no split brain if every copy is paused', () => {
    given({ says: { [S]: paused('user'), [D]: absent, [T]: paused('user') } })
      .when(starts, fails('libvirt'), after(301))
      .thenIs({ contested: true, row: 'third-host', alarms: [] });
  });
});

describe('answers after the deadline', () => {
  const silent = { says: { [S]: failed, [D]: failed } } as const;

  it('settle a guest that is on no host', () => {
    given(silent)
      .when(fails(), after(301))
      .thenIs({ contested: true, row: 'silence' })
      .when(says(S, absent), says(D, absent), after(301))
      .thenIs({ contested: false, row: 'nowhere', host: S, alarms: ['guest-stopped'] });
  });

  it('complete provisionally if only the destination answers', () => {
    given(silent)
      .when(fails(), after(301), says(D, running()), after(301))
      .thenIs({ state: 'Completed.provisional', host: D, certainty: 'provisional' })
      .when(says(S, absent), after(301))
      .thenIs({ state: 'Completed.settling', row: 'landed', certainty: 'proven' });
  });

  it('keep an attempt contested while a host is silent', () => {
    given(silent).when(fails(), after(301), says(S, absent), after(900)).thenIs({ contested: true, verdicts: 1 });
  });
});

describe('a split brain', () => {
  const both = { volumes: vol, says: { [S]: running(), [D]: running() } } as const;

  it.each([true, false])('stays contested if both copies end (storage copied: %s)', (storageCopied) => {
    given({ ...both, storageCopied })
      .when(event(D, 'Started', 'Migrated'), event(D, 'Resumed', 'Migrated'), fails(), after(301))
      .thenIs({ contested: true, row: 'both-alive', alarms: ['split-brain'] })
      .when(says(S, shutOff()), says(D, absent), after(900))
      .thenIs({ contested: true, row: 'both-alive', alarms: ['split-brain'] });
  });

  it.each([
    ['source', absent, running()],
    ['destination', running(), absent],
  ] as const)('with copied storage stays contested if the %s ends', (_name, source, destination) => {
    given({ ...both, storageCopied: true })
      .when(event(D, 'Started', 'Migrated'), event(D, 'Resumed', 'Migrated'), fails(), after(301))
      .when(says(S, source), says(D, destination), after(900))
      .thenIs({ contested: true, row: 'both-alive' });
  });

  it('needs two executing copies', () => {
    given({ says: { [S]: paused('user'), [D]: paused('user') } })
      .when(fails(), after(301))
      .thenIs({ contested: true, row: 'both-alive', alarms: [], offers: [] });
  });

  it('offers to suspend a source that executes', () => {
    given(both)
      .when(fails(), after(301))
      .thenIs({ contested: true, offers: ['suspend the guest on the source'] });
  });
});

describe('a proven arrival', () => {
  it('stays on record when the source is started again', () => {
    const { play } = given(arrived)
      .when(fails(), acksAll, says(S, running()), event(S, 'Resumed', 'Unpaused'), after(301))
      .thenIs({ contested: true, row: 'both-alive', host: D, certainty: 'unknown' });
    expect(play.commands.map(({ kind }) => kind)).not.toContain('failed-to-migrate');
  });

  it('is never followed by failed-to-migrate, even after a rollback', () => {
    const { play } = given(arrived)
      .when(fails(), says(S, running(jobs.none)), says(D, absent), event(S, 'Resumed', 'Migrated'), acksAll)
      .when(says(D, running()), event(D, 'Resumed', 'Migrated'), after(301), acksAll);
    expect(play.commands.map(({ kind }) => kind)).not.toContain('failed-to-migrate');
  });
});

describe('a torn guest', () => {
  const torn = paused('post-copy failed');

  it('alarms at once and offers no recovery of an executing source', () => {
    given({ says: { [S]: running(jobs.none, 'migration canceled'), [D]: torn } })
      .when(fails('libvirt'))
      .thenIs({ verdicts: 0, alarms: ['guest-torn'] })
      .when(after(301))
      .thenIs({ contested: true, row: 'torn', offers: [] });
  });

  it('can be recovered while both hosts report the failure', () => {
    given({ says: { [S]: torn, [D]: torn } })
      .when(fails('libvirt'), after(301))
      .thenIs({ contested: true, row: 'torn', offers: ['recover the post-copy migration'] });
  });
});

describe('the notice of a changed power', () => {
  const notices = (spec: ReturnType<typeof given>) => spec.play.verdict?.notices ?? [];

  it('tells operator and orchestrator that a paused guest runs now', () => {
    const spec = given({ origin: 'paused', says: { [S]: running(), [D]: absent } }).when(fails('libvirt'), acksAll);
    expect(notices(spec)).toMatchObject([{ code: 'power-changed', before: 'paused', now: 'running' }]);
    expect(spec.play.commands.find(({ kind }) => kind === 'fail-call')?.notices).toHaveLength(1);
  });

  it('tells that a guest suspended during the move stands still', () => {
    const spec = given({ says: { [S]: absent, [D]: paused('user') } }).when(fails());
    expect(notices(spec)).toMatchObject([{ before: 'running', now: 'paused' }]);
    expect(notices(spec)[0]?.text).toContain('stands still');
  });

  it('is not given if the call leaves the guest paused', () => {
    expect(notices(given({ leavePaused: true, says: { [S]: absent, [D]: paused('user') } }).when(fails()))).toEqual([]);
  });

  it('is not given if nothing changed', () => {
    expect(notices(given({ origin: 'paused', says: { [S]: absent, [D]: paused('user') } }).when(fails()))).toEqual([]);
  });
});

describe('a guest that was never unpaused', () => {
  const still = paused('migrating');

  it('landed if the source handed over', () => {
    given({ says: { [S]: absent, [D]: still } })
      .when(event(D, 'Started', 'Migrated'), event(S, 'Stopped', 'Migrated'), succeeds)
      .thenIs({ outcome: 'completed', row: 'landed', certainty: 'proven' });
  });

  it('landed after a second answer if no hand-over was seen', () => {
    given({ says: { [S]: absent, [D]: shell } })
      .when(stream(S, 'lost'), fails(), says(D, still), after(40))
      .thenIs({ outcome: 'completed', row: 'landed' });
  });

  it('has not landed while the source has the guest', () => {
    given({ says: { [S]: paused('migrating'), [D]: still } })
      .when(event(D, 'Started', 'Migrated'), fails(), after(301))
      .thenIs({ contested: true, row: 'silent-destination' });
  });
});
