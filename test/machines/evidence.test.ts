import { describe, expect, it } from 'vitest';
import { defaultConfiguration } from '../../events/configuration.ts';
import { evidenceOf, questionId, sequenceOf } from '../../machines/evidence.ts';
import { applyLifecycle, unknownVm } from '../../machines/vm.ts';
import {
  absent,
  after,
  answers,
  D,
  event,
  expires,
  failed,
  fails,
  fenced,
  given,
  jobs,
  paused,
  running,
  S,
  says,
  shell,
  shutOff,
  stream,
  VM,
  volume,
} from '../support/machine-spec.ts';

/** Tests how answers and events become evidence. */

const ranAfter = (...moves: Parameters<ReturnType<typeof given>['when']>) =>
  evidenceOf(given().when(...moves).play.attempt).ran;
const started = event(D, 'Started', 'Migrated');
const resumed = event(D, 'Resumed', 'Migrated');
const stopped = event(D, 'Stopped', 'Failed');

describe('the evidence that the destination ran', () => {
  it('is yes after a shell of this attempt resumes its CPUs', () => {
    expect(ranAfter(started, resumed, fails())).toBe('yes');
    expect(ranAfter(started, resumed, stopped, fails())).toBe('yes');
  });

  it('is yes after any answer that shows a running destination', () => {
    expect(ranAfter(says(D, running()), fails(), says(D, absent))).toBe('yes');
  });

  it('is no after an unbroken stream reports the shell’s start and end', () => {
    expect(ranAfter(started, stopped, fails())).toBe('no');
  });

  it('is no while the destination reports an incoming shell', () => {
    expect(ranAfter(says(D, shell), fails())).toBe('no');
  });

  it('is maybe if no event about a shell arrived', () => {
    expect(ranAfter(fails())).toBe('maybe');
    expect(ranAfter(says(D, absent), fails())).toBe('maybe');
  });

  it('is maybe after a Resumed event without a Started event', () => {
    expect(ranAfter(resumed, stopped, fails())).toBe('maybe');
  });

  it('stays maybe after a stream gap, even if the stream reconnects', () => {
    expect(ranAfter(started, stream(D, 'lost'), stream(D, 'connected'), stopped, fails())).toBe('maybe');
  });

  it('is maybe after the destination reboots', () => {
    expect(ranAfter(says(D, shell), fails(), says(D, { ...absent, boot: 'beta-boot-2' }), stopped)).toBe('maybe');
  });

  it('ignores a Stopped event from before the start of the shell', () => {
    expect(ranAfter(stopped, started, says(D, absent), fails())).toBe('maybe');
    expect(ranAfter(stopped, says(D, absent), fails())).toBe('maybe');
  });

  it('ignores events of the source', () => {
    expect(ranAfter(started, event(S, 'Resumed', 'Migrated'), stopped, fails())).toBe('no');
  });
});

describe('the evidence of a hand-over', () => {
  it.each([
    ['a Stopped Migrated event', event(S, 'Stopped', 'Migrated')],
    ['an answer shut off (migrated)', says(S, shutOff('migrated'))],
  ])('is given by %s, and later events keep it', (_name, move) => {
    const { play } = given({ says: { [S]: running() } }).when(
      says(S, running()),
      move,
      event(S, 'Suspended', 'Migrated'),
      says(S, absent),
      fails(),
    );
    expect(evidenceOf(play.attempt).source.presence).toBe('handed-over');
  });

  it('is not given by `shut off (migrated)` before an earlier answer', () => {
    const { play } = given({ says: { [S]: shutOff('migrated') } }).when(fails());
    expect(evidenceOf(play.attempt).source.presence).toBe('off');
  });

  it.each([
    ['a source that was shut off', says(S, shutOff('shutdown'))],
    ['a Stopped for another reason', event(S, 'Stopped', 'Destroyed')],
    ['a Stopped Migrated of the destination', event(D, 'Stopped', 'Migrated')],
    ['a shut off (migrated) from another boot', says(S, { ...shutOff('migrated'), boot: 'alpha-boot-2' })],
  ])('is not given by %s', (_name, move) => {
    const { play } = given().when(move, says(S, absent), fails());
    expect(evidenceOf(play.attempt).source.presence).toBe('absent');
  });
});

describe('the evidence of an outgoing job', () => {
  it('includes a job that was reported before the call returned', () => {
    expect(evidenceOf(given().when(says(S, running(jobs.out)), fails()).play.attempt).outgoingSeen).toBe(true);
  });

  it('excludes a job that the destination reports', () => {
    expect(evidenceOf(given().when(says(D, running(jobs.out)), fails()).play.attempt).outgoingSeen).toBe(false);
  });

  it('excludes a job that another boot of the source reports', () => {
    const { play } = given().when(says(S, { ...running(jobs.out), boot: 'alpha-boot-2' }), fails());
    expect(evidenceOf(play.attempt).outgoingSeen).toBe(false);
  });
});

describe('the evidence of two unchanged rounds', () => {
  const slow = { ...defaultConfiguration, recheckIntervalSeconds: 100 };
  const quiet = { says: { [S]: running(), [D]: absent }, volumes: [volume('vol-1')] };

  it('requires two rounds of questions', () => {
    given({ ...quiet, configuration: slow })
      .when(fails('connection'), after(40), expires('vol-1'))
      .thenIs({ state: 'Rechecking.watching', verdicts: 0 })
      .when(after(60))
      .thenIs({ row: 'stayed' });
  });

  it('begins again after a round that reports a change', () => {
    given(quiet)
      .when(fails('connection'), says(D, shell), after(10), says(D, absent), after(40))
      .thenIs({ verdicts: 0 })
      .when(after(10))
      .thenIs({ row: 'stayed' });
  });

  it('remains valid after a round without answers', () => {
    given(quiet)
      .when(fails('connection'), says(D, failed), after(30), says(D, absent), after(10))
      .thenIs({ row: 'stayed' });
  });
});

describe('a round of questions', () => {
  it('is not evaluated while a question is open, even after fencing', () => {
    const spec = given({ says: { [S]: paused('migrating', jobs.out), [D]: absent } }).when(
      fails(),
      after(300),
      fenced(),
    );
    spec.thenIs({ state: 'RolledBack.contested', row: 'ran-and-died' });
    // The destination answers only the first of two questions, so its answer is older than the open question.
    spec.when(says(S, 'silent'), says(D, running()), event(D, 'Resumed', 'Migrated')).thenIs({ verdicts: 1 });
    spec.when(says(D, 'silent'), event(D, 'Resumed', 'Migrated'), says(S, absent)).thenIs({ verdicts: 1 });
  });

  it('closes when its questions reach their limit', () => {
    given({ says: { [S]: absent } })
      .when(fails(), after(4.999))
      .thenIs({ state: 'ApiFailed' })
      .when(after(0.001))
      .thenIs({ state: 'Rechecking.watching' });
  });

  it('keeps the limit of its oldest open question despite new events', () => {
    const { play } = given().when(fails(), after(4), event(D, 'Suspended', 'Paused'), after(1));
    expect(play.at).toBe('Rechecking.watching');
  });

  it('gives each question its full limit, also at the deadline', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(fails(), after(296), says(S, 'silent'), event(S, 'Suspended', 'Migrated'), after(4))
      .thenIs({ state: 'Rechecking.finalRound' })
      .when(after(2), says(D, running()), event(D, 'Resumed', 'Migrated'), says(S, absent))
      .thenIs({ verdicts: 1, contested: false });
  });

  it('asks the destination again if the destination answered before the source', () => {
    const { play } = given({ says: { [S]: running(), [D]: absent } }).when(fails('libvirt'));
    expect(play.questions.slice(2).map(({ host }) => host)).toEqual([S, D, D]);
    expect(evidenceOf(play.attempt).destinationAskedLast).toBe(true);
  });
});

describe('a host or event named like an object property', () => {
  it.each(['__proto__', 'constructor', 'toString'])('has no stored question if the host name is %s', (host) => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(fails())
      .when(answers(host, 3, absent), answers(host, 4, running()), stream(host, 'connected'), stream(host, 'lost'))
      .thenNothingHappened();
  });

  it.each(['constructor', 'toString'])('can be the destination of a migration if named %s', (host) => {
    given({ destination: host, says: { [S]: absent } })
      .when(says(host, running()), fails())
      .thenIs({ row: 'landed', host });
  });

  it.each([
    ['Defined', 'Added'],
    ['Undefined', 'Removed'],
    ['Shutdown', 'Finished'],
  ] as const)('does not change the power of a guest: %s %s', (name, detail) => {
    const record = { ...unknownVm(VM), host: S, power: 'running' as const };
    expect(applyLifecycle(record, { host: S, event: name, detail }, () => undefined)).toEqual(record);
  });
});

describe('the id of a question', () => {
  it('contains its sequence', () => {
    expect(sequenceOf(questionId('m1', 12), 'm1')).toBe(12);
    expect(sequenceOf('m1/q12', 'm')).toBeNull();
    expect(sequenceOf('m1/q', 'm1')).toBeNull();
    expect(sequenceOf('m1/q0', 'm1')).toBeNull();
    expect(sequenceOf('m1/q1x', 'm1')).toBeNull();
    expect(sequenceOf('m2/q1', 'm1')).toBeNull();
    expect(sequenceOf('m1/q1/q2', 'm1/q1')).toBe(2);
  });

  it('contains the time at which its answer becomes unknown', () => {
    const { play } = given().when(fails(), after(4), event(D, 'Suspended', 'Paused'));
    for (const question of play.questions.filter(({ askedAt }) => askedAt === play.now)) {
      expect(question.dueAt).toBe(play.attempt.asked[question.host]?.dueAt);
    }
  });
});
