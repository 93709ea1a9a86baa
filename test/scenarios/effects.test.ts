import { describe, expect, it } from 'vitest';
import { defaultConfiguration } from '../../events/configuration.ts';
import {
  absent,
  acks,
  acksAll,
  after,
  D,
  event,
  expires,
  failed,
  fails,
  fenced,
  given,
  jobs,
  paused,
  resolves,
  running,
  S,
  says,
  shell,
  spoken,
  stream,
  supersedes,
  T,
  volume,
} from '../support/machine-spec.ts';

/** The acceptance scenarios by their numbers: what follows from a verdict. */

const vol = [volume('vol-1')];
const landed = { says: { [S]: absent, [D]: running() }, volumes: vol };
const stayed = { says: { [S]: running(), [D]: absent }, volumes: vol };

describe('locks', () => {
  it('24: refused before anything started: rolled back, and the destination’s lock is not touched', () => {
    given(stayed)
      .when(fails('libvirt', 'unsupported configuration'), acksAll)
      .thenIs({
        state: 'RolledBack.settled',
        row: 'stayed',
        commands: ['failed-to-migrate', 'fail-call'],
        error: /^unsupported configuration$/,
      });
  });

  it('24: is not presumed where the destination’s events could not be seen', () => {
    const { play } = given({
      ...stayed,
      shell: {
        unbroken: false,
        boot: null,
        started: false,
        resumed: false,
        stopped: false,
        arrived: false,
        ran: false,
      },
    })
      .when(fails('libvirt'), acksAll)
      .thenIs({ state: 'RolledBack.settled', row: 'stayed' });
    expect(play.commands.map(spoken)).toContain(`release-lock ${D} vol-1`);
  });

  it('24: refused, but an earlier attempt may have left a lock elsewhere: that one is fetched', () => {
    given({ ...stayed, formerOwners: [T] })
      .when(fails('libvirt', 'unsupported configuration'), acksAll)
      .thenIs({
        state: 'RolledBack.settled',
        row: 'stayed',
        commands: [
          'failed-to-migrate',
          `release-lock ${D} vol-1`,
          `release-lock ${T} vol-1`,
          'fail-call',
          `acquire-lock ${S} vol-1`,
        ],
      });
  });

  it('a third host that told of the guest while the attempt was open may hold its lock: it is released there too', () => {
    const { play } = given({ ...stayed, outgoingSeen: true })
      .when(event(T, 'Started', 'Booted'), event(T, 'Stopped', 'Migrated'), fails(), acksAll)
      .thenIs({ state: 'RolledBack.settled', row: 'stayed' });
    expect(play.commands.map(spoken)).toEqual([
      'failed-to-migrate',
      `release-lock ${D} vol-1`,
      `release-lock ${T} vol-1`,
      'fail-call',
      `acquire-lock ${S} vol-1`,
    ]);
  });

  it('36: a release that fails after a completion: the host moved, the lock is pending, and it is tried again', () => {
    given(landed)
      .when(fails(), acks('post-migrate'), acks('after-migrate'), acks('release-lock', false))
      .thenIs({
        state: 'Completed.settling',
        host: D,
        outcome: 'completed',
        commands: ['post-migrate', `release-lock ${S} vol-1`, 'after-migrate'],
      })
      .when(after(5))
      .thenIs({ state: 'Completed.settling', commands: [`release-lock ${S} vol-1`] })
      .when(acks('release-lock'))
      .thenIs({ state: 'Completed.settling', commands: [`acquire-lock ${D} vol-1`] })
      .when(acks('acquire-lock'))
      .thenIs({ state: 'Completed.settled', commands: [] });
  });

  it('a third host that is heard late to have had the guest: its release comes before the lock is acquired again', () => {
    given(landed)
      .when(fails(), acks('post-migrate'), acks('after-migrate'), acks('release-lock'), acks('acquire-lock', false))
      .thenIs({
        commands: ['post-migrate', `release-lock ${S} vol-1`, 'after-migrate', `acquire-lock ${D} vol-1`],
      })
      .when(event(T, 'Started', 'Booted'))
      .thenIs({ state: 'Completed.settling', commands: [`release-lock ${T} vol-1`] })
      .when(acks('release-lock', true, 'vol-1'))
      .thenIs({ commands: [`acquire-lock ${D} vol-1`] });
  });

  it.each(['release-lock', 'acquire-lock'] as const)(
    '36: a lock whose %s is refused three times is held and tried on, and somebody is called',
    (kind) => {
      const spec = given(landed).when(fails(), acks('post-migrate'), acks('after-migrate'));
      if (kind === 'acquire-lock') spec.when(acks('release-lock'));
      spec
        .when(acks(kind, false), after(5), acks(kind, false))
        .thenIs({ state: 'Completed.settling', alarms: [] })
        .when(after(10), acks(kind, false))
        .thenIs({ state: 'Completed.settling', alarms: ['lock-stuck'] });
      const host = kind === 'release-lock' ? S : D;
      spec.when(after(20)).thenIs({ state: 'Completed.settling', commands: [`${kind} ${host} vol-1`] });
      spec.when(acksAll).thenIs({ state: 'Completed.settled', alarms: ['lock-stuck'] });
    },
  );

  it('36: the waits between tries double, up to 64 times the first', () => {
    const { play } = given(landed).when(
      fails(),
      acks('post-migrate'),
      acks('after-migrate'),
      after(5 + 10 + 20 + 40 + 80 + 160 + 320),
    );
    expect(play.commands.filter(({ kind }) => kind === 'release-lock').map((command) => command.try)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8,
    ]);
    play.wait(319);
    expect(play.commands.filter(({ kind }) => kind === 'release-lock')).toHaveLength(8);
    play.wait(1);
    expect(play.commands.filter(({ kind }) => kind === 'release-lock')).toHaveLength(9);
  });

  it('38: an acquisition that fails after a rollback stays pending: nobody claims that the source owns it', () => {
    given({ ...stayed, outgoingSeen: true })
      .when(fails(), acks('failed-to-migrate'), acks('fail-call'), acks('release-lock'), acks('acquire-lock', false))
      .thenIs({ state: 'RolledBack.settling', row: 'stayed' })
      .when(after(5), acks('acquire-lock'))
      .thenIs({ state: 'RolledBack.settled', commands: [`acquire-lock ${S} vol-1`] });
  });

  it('39: a release is only sent to be done where no opener is left', () => {
    const { play } = given(landed).when(fails());
    expect(play.commands.find(({ kind }) => kind === 'release-lock')?.onlyIf).toEqual(['no-opener']);
  });

  it('40: a lease of 320 s has not expired at 300 s: provisional until the lock manager itself reports it', () => {
    given({ says: { [S]: failed, [D]: running() }, volumes: vol })
      .when(fails(), after(300))
      .thenIs({ state: 'Completed.provisional', certainty: 'provisional', commands: [] })
      .when(after(19))
      .thenNothingHappened()
      .when(after(1), expires('vol-1'))
      .thenIs({
        state: 'Completed.settling',
        certainty: 'proven',
        host: D,
        commands: ['post-migrate', `release-lock ${S} vol-1`],
      });
  });

  it('40: every exclusive lease must have expired', () => {
    given({
      says: { [S]: failed, [D]: running() },
      volumes: [...vol, volume('vol-2'), volume('shared', { shareable: true })],
    })
      .when(fails(), after(300), expires('vol-1'))
      .thenIs({ state: 'Completed.provisional', commands: [] })
      .when(expires('vol-2', D))
      .thenIs({ state: 'Completed.provisional', commands: [] })
      .when(expires('vol-2'))
      .thenIs({ state: 'Completed.settling', certainty: 'proven' });
  });

  it('41: shareable volumes, and those whose lease the hypervisor moves, are left alone', () => {
    given({ ...landed, volumes: [volume('shared', { shareable: true }), volume('leased', { lockedBy: 'hypervisor' })] })
      .when(fails(), acksAll)
      .thenIs({ state: 'Completed.settled', commands: ['post-migrate', 'after-migrate'] });
  });

  it('several volumes settle one by one', () => {
    given({ ...landed, volumes: [volume('a'), volume('b')] })
      .when(fails(), acks('post-migrate'), acks('after-migrate'), acks('release-lock', true, 'b'))
      .thenIs({
        state: 'Completed.settling',
        commands: [
          'post-migrate',
          `release-lock ${S} a`,
          `release-lock ${S} b`,
          'after-migrate',
          `acquire-lock ${D} b`,
        ],
      })
      .when(acks('acquire-lock', true, 'b'), acks('release-lock', false, 'a'))
      .thenIs({ state: 'Completed.settling', commands: [] })
      .when(acks('release-lock', true, 'a'), acks('acquire-lock', true, 'a'))
      .thenIs({ state: 'Completed.settled', commands: [`acquire-lock ${D} a`] });
  });

  it('every lock command carries the verdict’s token, and a later verdict’s is higher', () => {
    const { play } = given({ ...stayed, outgoingSeen: true })
      .when(fails(), acksAll, says(S, absent), says(D, running()), event(D, 'Resumed', 'Migrated'), acksAll)
      .thenIs({ state: 'Completed.settled', verdicts: 2 });
    const tokens = play.commands.filter(({ volume: of }) => of !== null).map(({ token }) => token);
    expect(tokens).toEqual([1, 1, 2, 2]);
  });
});

describe('hooks', () => {
  it('after-migrate follows only a post-migrate that succeeded', () => {
    given({ says: landed.says })
      .when(fails(), acks('post-migrate', false))
      .thenIs({ state: 'Completed.settling', commands: ['post-migrate'] })
      .when(after(5), acks('post-migrate'))
      .thenIs({ commands: ['post-migrate', 'after-migrate'] });
  });

  it('failed-to-migrate comes first in a rollback', () => {
    given({ ...stayed, outgoingSeen: true })
      .when(fails())
      .thenIs({ row: 'stayed', commands: ['failed-to-migrate'] })
      .when(acks('failed-to-migrate', false))
      .thenIs({ commands: [] })
      .when(after(5), acks('failed-to-migrate'))
      .thenIs({ commands: ['failed-to-migrate', `release-lock ${D} vol-1`, 'fail-call'] });
  });

  it('the listeners of a contested rollback are told that it is contested', () => {
    const { play } = given({ says: { [S]: failed, [D]: failed }, volumes: vol }).when(fails(), after(300), acksAll);
    expect(play.commands.map(({ kind, contested }) => [kind, contested])).toEqual([
      ['failed-to-migrate', true],
      ['fail-call', true],
    ]);
  });

  it('the source’s leftover is destroyed only where it is paused on the same boot', () => {
    const { play } = given({ says: { [S]: paused('migrating'), [D]: running() } }).when(fails());
    expect(play.commands.find(({ kind }) => kind === 'destroy-leftover')).toMatchObject({
      host: S,
      onlyIf: ['paused', 'same-boot'],
    });
  });

  it('a leftover that is gone by itself counts as destroyed', () => {
    given({ says: { [S]: paused('migrating'), [D]: running() }, volumes: vol })
      .when(fails(), acks('post-migrate'), acks('after-migrate'))
      .thenIs({ state: 'Completed.settling', row: 'switched' })
      .when(says(S, absent), event(S, 'Resumed', 'Migrated'))
      .thenIs({ commands: [`release-lock ${S} vol-1`] });
  });

  it('a paused origin is not resumed after a stall', () => {
    const { play } = given({ says: { [S]: paused('migrating'), [D]: shell }, origin: 'paused' })
      .when(event(D, 'Started', 'Migrated'), event(D, 'Stopped', 'Failed'), says(D, absent), fails(), acksAll)
      .thenIs({ state: 'RolledBack.settled', row: 'stalled' });
    expect(play.commands.map(({ kind }) => kind)).not.toContain('resume-guest');
  });

  it('for a configured error code the origin is asked once more, and what it says is kept', () => {
    const configuration = { ...defaultConfiguration, askOriginErrorCodes: ['VIR_ERR_38'] };
    const { play } = given({ ...stayed, configuration }).when(
      fails('libvirt', 'broken pipe', 'VIR_ERR_38'),
      says(S, paused('user')),
      acksAll,
    );
    expect(play.attempt.originPower).toBe('paused');
    expect(play.at).toBe('RolledBack.settled');
  });

  it('an origin that does not answer when asked once more holds nothing up', () => {
    const configuration = { ...defaultConfiguration, askOriginErrorCodes: ['VIR_ERR_38'] };
    const { play } = given({ ...stayed, configuration }).when(
      fails('libvirt', 'broken pipe', 'VIR_ERR_38'),
      says(S, 'silent'),
      acksAll,
      after(5),
    );
    expect(play.attempt.originPower).toBe('unknown');
    expect(play.at).toBe('RolledBack.settled');
  });

  it('another error code asks nobody', () => {
    const configuration = { ...defaultConfiguration, askOriginErrorCodes: ['VIR_ERR_38'] };
    const { play } = given({ ...stayed, configuration }).when(fails('libvirt', 'broken pipe', 'VIR_ERR_1'), acksAll);
    expect(play.attempt.originPower).toBeNull();
  });

  it('an attempt that only observes sends nothing and is settled', () => {
    given({ ...landed, effects: 'observe' })
      .when(fails())
      .thenIs({ state: 'Completed.settled', row: 'landed', commands: [] });
    given({ ...stayed, effects: 'observe' })
      .when(fails('libvirt'))
      .thenIs({ state: 'RolledBack.settled', row: 'stayed', commands: [] });
  });

  it('source and destination on one host: rolled back at once, without a lock command', () => {
    given({ destination: S, volumes: vol })
      .when(fails('libvirt'), acksAll)
      .thenIs({
        state: 'RolledBack.settled',
        row: 'same-host',
        commands: ['failed-to-migrate', 'fail-call'],
        error: /same host \(alpha\)/,
      });
  });
});

describe('an operator', () => {
  const contested = { says: { [S]: failed, [D]: failed }, volumes: vol };

  it('48: settles a contested attempt on the destination', () => {
    given(contested)
      .when(fails(), after(300), acksAll)
      .when(resolves(D), acksAll)
      .thenIs({
        state: 'Completed.settled',
        row: 'operator',
        host: D,
        contested: false,
        verdicts: 2,
        commands: ['post-migrate', `release-lock ${S} vol-1`, 'after-migrate', `acquire-lock ${D} vol-1`],
      });
  });

  it('48: or on the source', () => {
    given(contested)
      .when(fails(), after(300), acksAll, resolves(S))
      .thenIs({
        state: 'RolledBack.settling',
        row: 'operator',
        host: S,
        contested: false,
        error: /rolled back by ops: checked by hand/,
      });
  });

  it('48: or on a third host', () => {
    given(contested).when(fails(), after(300), acksAll, resolves(T)).thenIs({ state: 'Completed.settling', host: T });
  });

  it('48: and a provisional one either way', () => {
    const provisional = { says: { [S]: failed, [D]: running() } };
    given(provisional)
      .when(fails(), after(300), resolves(D))
      .thenIs({ state: 'Completed.settling', row: 'operator', certainty: 'proven' });
    given(provisional).when(fails(), after(300), resolves(S)).thenIs({ state: 'RolledBack.settling', row: 'operator' });
  });

  it('48: has nothing to settle elsewhere', () => {
    given(landed).when(fails(), acksAll).when(resolves(S)).thenNothingHappened();
    given().when(resolves(S)).thenNothingHappened();
  });
});

describe('another migration is reported', () => {
  it('45: the open attempt settles first where the answers allow', () => {
    given(landed)
      .when(supersedes)
      .thenIs({ state: 'Completed.settling', row: 'landed', alarms: ['superseded'] });
  });

  it('45: where they do not, it is contested, superseded, and sends nothing', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell }, volumes: vol })
      .when(supersedes)
      .thenIs({ state: 'RolledBack.superseded', contested: true, row: 'moving', alarms: ['superseded'], commands: [] });
  });

  it('45: an attempt whose call has not returned is decided though its hosts are silent', () => {
    given({ volumes: vol })
      .when(supersedes, after(60))
      .thenIs({ state: 'RolledBack.superseded', row: 'silence', contested: true, commands: [] });
  });

  it('45: answers to questions from before it was superseded make no verdict while its call was running', () => {
    given({ says: landed.says, volumes: vol })
      .when(
        event(D, 'Started', 'Migrated'),
        says(S, 'silent'),
        event(D, 'Resumed', 'Migrated'),
        supersedes,
        says(S, absent),
      )
      .thenIs({ state: 'Completed.settling', row: 'landed' });
  });

  it('45: one that completes destroys no leftover: it may be the guest itself, come back with the other', () => {
    given({ says: { [S]: paused('migrating'), [D]: running() }, volumes: vol })
      .when(supersedes, acksAll)
      .thenIs({ state: 'Completed.settled', row: 'switched', commands: ['post-migrate', 'after-migrate'] });
  });

  it('45: one that stalled resumes nothing: the other may have taken the guest along', () => {
    const spec = given({ says: { [S]: paused('migrating'), [D]: absent }, volumes: vol });
    spec.play.state = {
      ...spec.play.state,
      attempt: { ...spec.play.attempt, shell: { ...spec.play.attempt.shell, started: true, stopped: true } },
    };
    spec
      .when(supersedes, acksAll)
      .thenIs({ state: 'RolledBack.settled', row: 'stalled', commands: ['failed-to-migrate', 'fail-call'] });
  });

  it('45: a contested one is handed over', () => {
    given({ says: { [S]: failed, [D]: failed } })
      .when(fails(), after(300), supersedes)
      .thenIs({ state: 'RolledBack.superseded', verdicts: 1 });
  });

  it('45: a settling one drops what it still had to do', () => {
    const { play } = given(landed).when(fails(), supersedes).thenIs({ state: 'Completed.settled' });
    expect(play.attempt.steps.map(({ status }) => status)).not.toContain('sent');
    expect(play.timers).toEqual({});
  });
});

describe('doubt', () => {
  it('raised while effects settle is not lost when they have settled', () => {
    const spec = given({ ...stayed, outgoingSeen: true }).when(
      fails(),
      acks('failed-to-migrate'),
      acks('fail-call'),
      acks('release-lock'),
    );
    spec
      .when(says(S, 'silent'), says(D, 'silent'), event(D, 'Resumed', 'Migrated'), acks('acquire-lock'))
      .when(says(S, absent), says(D, running()))
      .thenIs({ state: 'Completed.settling', row: 'landed', verdicts: 2 });
  });

  it('after settling waits for its answers for a full limit, whatever was left unanswered before', () => {
    const spec = given({ ...stayed, outgoingSeen: true }).when(
      fails(),
      acks('failed-to-migrate'),
      acks('fail-call'),
      acks('release-lock'),
    );
    spec.when(says(S, 'silent'), says(D, 'silent'), event(D, 'Resumed', 'Migrated'), acks('acquire-lock'), after(3600));
    spec
      .when(event(D, 'Resumed', 'Migrated'), after(1), says(S, absent), says(D, running()))
      .thenIs({ state: 'Completed.settling', row: 'landed', verdicts: 2 });
  });

  it('about a completion: the source runs again', () => {
    given(landed)
      .when(fails(), acksAll, says(S, running()), event(S, 'Resumed', 'Unpaused'))
      .thenIs({ state: 'Rechecking.watching', alarms: ['verdict-contradicted', 'split-brain'] });
  });

  it.each([
    ['running', running(), 'executing'],
    ['paused', paused('user'), 'suspended'],
    ['started anew on another boot', { ...running(), boot: 'alpha-boot-2' }, 'executing'],
  ])(
    'about a completion: the source has the guest again (%s), and the destination has not: it moved on',
    (_how, words) => {
      const { play } = given(landed).when(
        fails(),
        acks('post-migrate'),
        acks('after-migrate'),
        says(S, words),
        says(D, absent),
        acks('release-lock', false),
      );
      expect(play.attempt.movedTo).toBe(S);
      expect(play.at).toBe('Completed.settled');
      expect(play.attempt.alarms.map(({ code }) => code)).toContain('moved-unreported');
    },
  );

  it('about a fenced source is not raised by what it said before', () => {
    given(landed).when(fails(), acksAll).when(fenced(), stream(S, 'connected')).thenNothingHappened();
  });
});
