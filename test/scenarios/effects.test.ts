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

/** Acceptance scenarios for the effects of a verdict, with their numbers. */

const vol = [volume('vol-1')];
const landed = { says: { [S]: absent, [D]: running() }, volumes: vol };
const stayed = { says: { [S]: running(), [D]: absent }, volumes: vol };

describe('an attempt with locked volumes', () => {
  it('keeps the destination’s lock after a refused call (scenario 24)', () => {
    given(stayed)
      .when(fails('libvirt', 'unsupported configuration'), acksAll)
      .thenIs({
        state: 'RolledBack.settled',
        row: 'stayed',
        commands: ['failed-to-migrate', 'fail-call'],
        error: /^unsupported configuration$/,
      });
  });

  it('releases the destination’s lock if the events of the destination were lost (scenario 24)', () => {
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

  it('releases a lock of an earlier attempt after a refused call (scenario 24)', () => {
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

  it('releases the lock of a third host that reported the guest', () => {
    const { play } = given({ ...stayed, outgoingSeen: true })
      .when(says(T, absent), event(T, 'Started', 'Booted'), event(T, 'Stopped', 'Migrated'), fails(), acksAll)
      .thenIs({ state: 'RolledBack.settled', row: 'stayed' });
    expect(play.commands.map(spoken)).toEqual([
      'failed-to-migrate',
      `release-lock ${D} vol-1`,
      `release-lock ${T} vol-1`,
      'fail-call',
      `acquire-lock ${S} vol-1`,
    ]);
  });

  it('retries a refused release after a completion (scenario 36)', () => {
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

  it('releases the lock of a late third host before the acquire command', () => {
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
    'raises an alarm after three refusals of the command %s (scenario 36)',
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

  it('doubles the delay between retries up to 64 times (scenario 36)', () => {
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

  it('continues to retry a refused acquire command after a rollback (scenario 38)', () => {
    given({ ...stayed, outgoingSeen: true })
      .when(fails(), acks('failed-to-migrate'), acks('fail-call'), acks('release-lock'), acks('acquire-lock', false))
      .thenIs({ state: 'RolledBack.settling', row: 'stayed' })
      .when(after(5), acks('acquire-lock'))
      .thenIs({ state: 'RolledBack.settled', commands: [`acquire-lock ${S} vol-1`] });
  });

  it('sends the release command with the condition no-opener (scenario 39)', () => {
    const { play } = given(landed).when(fails());
    expect(play.commands.find(({ kind }) => kind === 'release-lock')?.onlyIf).toEqual(['no-opener']);
  });

  it('stays provisional until the lock manager reports an expired lease (scenario 40)', () => {
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

  it('requires that every exclusive lease has expired (scenario 40)', () => {
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

  it('sends no lock command for shareable or hypervisor-locked volumes (scenario 41)', () => {
    given({ ...landed, volumes: [volume('shared', { shareable: true }), volume('leased', { lockedBy: 'hypervisor' })] })
      .when(fails(), acksAll)
      .thenIs({ state: 'Completed.settled', commands: ['post-migrate', 'after-migrate'] });
  });

  it('settles each of its volumes independently', () => {
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

  it('puts the verdict’s increasing token into every lock command', () => {
    const { play } = given({ ...stayed, outgoingSeen: true })
      .when(fails(), acksAll, says(S, absent), says(D, running()), event(D, 'Resumed', 'Migrated'), acksAll)
      .thenIs({ state: 'Completed.settled', verdicts: 2 });
    const tokens = play.commands.filter(({ volume: of }) => of !== null).map(({ token }) => token);
    expect(tokens).toEqual([1, 1, 2, 2]);
  });
});

describe('an attempt that sends commands', () => {
  it('sends after-migrate only after the orchestrator confirmed post-migrate', () => {
    given({ says: landed.says })
      .when(fails(), acks('post-migrate', false))
      .thenIs({ state: 'Completed.settling', commands: ['post-migrate'] })
      .when(after(5), acks('post-migrate'))
      .thenIs({ commands: ['post-migrate', 'after-migrate'] });
  });

  it('sends failed-to-migrate as the first command of a rollback', () => {
    given({ ...stayed, outgoingSeen: true })
      .when(fails())
      .thenIs({ row: 'stayed', commands: ['failed-to-migrate'] })
      .when(acks('failed-to-migrate', false))
      .thenIs({ commands: [] })
      .when(after(5), acks('failed-to-migrate'))
      .thenIs({ commands: ['failed-to-migrate', `release-lock ${D} vol-1`, 'fail-call'] });
  });

  it('marks the commands of a contested verdict as contested', () => {
    const { play } = given({ says: { [S]: failed, [D]: failed }, volumes: vol }).when(fails(), after(300), acksAll);
    expect(play.commands.map(({ kind, contested }) => [kind, contested])).toEqual([
      ['failed-to-migrate', true],
      ['fail-call', true],
    ]);
  });

  it('destroys the source’s copy only if paused on the same boot', () => {
    const { play } = given({ says: { [S]: paused('migrating'), [D]: running() } }).when(fails());
    expect(play.commands.find(({ kind }) => kind === 'destroy-leftover')).toMatchObject({
      host: S,
      onlyIf: ['paused', 'same-boot'],
    });
  });

  it('treats a source copy that disappeared as destroyed', () => {
    given({ says: { [S]: paused('migrating'), [D]: running() }, volumes: vol })
      .when(fails(), acks('post-migrate'), acks('after-migrate'))
      .thenIs({ state: 'Completed.settling', row: 'switched' })
      .when(says(S, absent), event(S, 'Resumed', 'Migrated'))
      .thenIs({ commands: [`release-lock ${S} vol-1`] });
  });

  it('does not resume a guest that was paused before the migration', () => {
    const { play } = given({ says: { [S]: paused('migrating'), [D]: shell }, origin: 'paused' })
      .when(event(D, 'Started', 'Migrated'), event(D, 'Stopped', 'Failed'), says(D, absent), fails(), acksAll)
      .thenIs({ state: 'RolledBack.settled', row: 'stalled' });
    expect(play.commands.map(({ kind }) => kind)).not.toContain('resume-guest');
  });

  it('asks the source a second time after a configured error code', () => {
    const configuration = { ...defaultConfiguration, askOriginErrorCodes: ['VIR_ERR_38'] };
    const { play } = given({ ...stayed, configuration }).when(
      fails('libvirt', 'broken pipe', 'VIR_ERR_38'),
      says(S, paused('user')),
      acksAll,
    );
    expect(play.attempt.originPower).toBe('paused');
    expect(play.at).toBe('RolledBack.settled');
  });

  it('completes the rollback if the source does not answer the second question', () => {
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

  it('asks the source no second question after other error codes', () => {
    const configuration = { ...defaultConfiguration, askOriginErrorCodes: ['VIR_ERR_38'] };
    const { play } = given({ ...stayed, configuration }).when(fails('libvirt', 'broken pipe', 'VIR_ERR_1'), acksAll);
    expect(play.attempt.originPower).toBeNull();
  });

  it('sends no command if its effects are set to observe', () => {
    given({ ...landed, effects: 'observe' })
      .when(fails())
      .thenIs({ state: 'Completed.settled', row: 'landed', commands: [] });
    given({ ...stayed, effects: 'observe' })
      .when(fails('libvirt'))
      .thenIs({ state: 'RolledBack.settled', row: 'stayed', commands: [] });
  });

  it('rolls back at once if source and destination are the same host', () => {
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

  it('settles a contested attempt on the destination (scenario 48)', () => {
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

  it('settles a contested attempt on the source (scenario 48)', () => {
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

  it('settles a contested attempt on a third host (scenario 48)', () => {
    given(contested).when(fails(), after(300), acksAll, resolves(T)).thenIs({ state: 'Completed.settling', host: T });
  });

  it('settles a provisional attempt on either host (scenario 48)', () => {
    const provisional = { says: { [S]: failed, [D]: running() } };
    given(provisional)
      .when(fails(), after(300), resolves(D))
      .thenIs({ state: 'Completed.settling', row: 'operator', certainty: 'proven' });
    given(provisional).when(fails(), after(300), resolves(S)).thenIs({ state: 'RolledBack.settling', row: 'operator' });
  });

  it('is refused for an attempt in any other state (scenario 48)', () => {
    given(landed).when(fails(), acksAll).when(resolves(S)).thenNothingHappened();
    given().when(resolves(S)).thenNothingHappened();
  });
});

describe('an attempt superseded by another migration', () => {
  it('gets a verdict first if its answers allow one (scenario 45)', () => {
    given(landed)
      .when(supersedes)
      .thenIs({ state: 'Completed.settling', row: 'landed', alarms: ['superseded'] });
  });

  it('becomes contested without commands if its answers prove nothing (scenario 45)', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell }, volumes: vol })
      .when(supersedes)
      .thenIs({ state: 'RolledBack.superseded', contested: true, row: 'moving', alarms: ['superseded'], commands: [] });
  });

  it('gets a verdict despite silent hosts and a running call (scenario 45)', () => {
    given({ volumes: vol })
      .when(supersedes, after(60))
      .thenIs({ state: 'RolledBack.superseded', row: 'silence', contested: true, commands: [] });
  });

  it('ignores answers from before another migration replaced its running call (scenario 45)', () => {
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

  it('does not destroy the source’s copy when it completes (scenario 45)', () => {
    given({ says: { [S]: paused('migrating'), [D]: running() }, volumes: vol })
      .when(supersedes, acksAll)
      .thenIs({ state: 'Completed.settled', row: 'switched', commands: ['post-migrate', 'after-migrate'] });
  });

  it('does not resume the guest after a stalled migration (scenario 45)', () => {
    const spec = given({ says: { [S]: paused('migrating'), [D]: absent }, volumes: vol });
    spec.play.state = {
      ...spec.play.state,
      attempt: { ...spec.play.attempt, shell: { ...spec.play.attempt.shell, started: true, stopped: true } },
    };
    spec
      .when(supersedes, acksAll)
      .thenIs({ state: 'RolledBack.settled', row: 'stalled', commands: ['failed-to-migrate', 'fail-call'] });
  });

  it('is closed as superseded if it is contested (scenario 45)', () => {
    given({ says: { [S]: failed, [D]: failed } })
      .when(fails(), after(300), supersedes)
      .thenIs({ state: 'RolledBack.superseded', verdicts: 1 });
  });

  it('cancels its pending commands if superseded before they are acknowledged (scenario 45)', () => {
    const { play } = given(landed).when(fails(), supersedes).thenIs({ state: 'Completed.settled' });
    expect(play.attempt.steps.map(({ status }) => status)).not.toContain('sent');
    expect(play.timers).toEqual({});
  });
});

describe('an event that contradicts a verdict', () => {
  it('is kept until the commands of the verdict are acknowledged', () => {
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

  it('starts a new question round that lasts the full question limit', () => {
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

  it('reopens a completed attempt if the source runs the guest again', () => {
    given(landed)
      .when(fails(), acksAll, says(S, running()), event(S, 'Resumed', 'Unpaused'))
      .thenIs({ state: 'Rechecking.watching', alarms: ['verdict-contradicted', 'split-brain'] });
  });

  it.each([
    ['running', running(), 'executing'],
    ['paused', paused('user'), 'suspended'],
    ['started on another boot', { ...running(), boot: 'alpha-boot-2' }, 'executing'],
  ])('moves the record to a source that is %s', (_how, words) => {
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
  });

  it('is not created by earlier answers of a fenced source', () => {
    given(landed).when(fails(), acksAll).when(fenced(), stream(S, 'connected')).thenNothingHappened();
  });
});
