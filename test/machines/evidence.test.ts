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

/** How answers and events become evidence: what counts, what is remembered, and what is only waited for. */

const ranAfter = (...moves: Parameters<ReturnType<typeof given>['when']>) =>
  evidenceOf(given().when(...moves).play.attempt).ran;
const started = event(D, 'Started', 'Migrated');
const resumed = event(D, 'Resumed', 'Migrated');
const stopped = event(D, 'Stopped', 'Failed');

describe('ran', () => {
  it('is yes after the destination resumed what it had started in this attempt', () => {
    expect(ranAfter(started, resumed, fails())).toBe('yes');
    expect(ranAfter(started, resumed, stopped, fails())).toBe('yes');
  });

  it('is yes after an answer of a running destination, even one from before the call returned', () => {
    expect(ranAfter(says(D, running()), fails(), says(D, absent))).toBe('yes');
  });

  it('is no after the shell came and went on an unbroken stream', () => {
    expect(ranAfter(started, stopped, fails())).toBe('no');
  });

  it('is no while the shell is there and answers', () => {
    expect(ranAfter(says(D, shell), fails())).toBe('no');
  });

  it('is maybe where nothing was seen of it', () => {
    expect(ranAfter(fails())).toBe('maybe');
    expect(ranAfter(says(D, absent), fails())).toBe('maybe');
  });

  it('is maybe after a Resumed that no Started announced', () => {
    expect(ranAfter(resumed, stopped, fails())).toBe('maybe');
  });

  it('is maybe once the stream was cut, though it is connected again', () => {
    expect(ranAfter(started, stream(D, 'lost'), stream(D, 'connected'), stopped, fails())).toBe('maybe');
  });

  it('is maybe once the host booted anew', () => {
    expect(ranAfter(says(D, shell), fails(), says(D, { ...absent, boot: 'beta-boot-2' }), stopped)).toBe('maybe');
  });

  it('is not told by a Stopped from before the shell started: that one ended something else', () => {
    expect(ranAfter(stopped, started, says(D, absent), fails())).toBe('maybe');
    expect(ranAfter(stopped, says(D, absent), fails())).toBe('maybe');
  });

  it('is not told by events of the source: a cancelled migration resumes there', () => {
    expect(ranAfter(started, event(S, 'Resumed', 'Migrated'), stopped, fails())).toBe('no');
  });
});

describe('the hand-over', () => {
  it.each([
    ['a Stopped Migrated event', event(S, 'Stopped', 'Migrated')],
    ['an answer shut off (migrated)', says(S, shutOff('migrated'))],
  ])('is told by %s, and sticks', (_name, move) => {
    const { play } = given({ says: { [S]: running() } }).when(
      says(S, running()),
      move,
      event(S, 'Suspended', 'Migrated'),
      says(S, absent),
      fails(),
    );
    expect(evidenceOf(play.attempt).source.presence).toBe('handed-over');
  });

  it('is not told by words that were there before the attempt had seen the guest', () => {
    const { play } = given({ says: { [S]: shutOff('migrated') } }).when(fails());
    expect(evidenceOf(play.attempt).source.presence).toBe('off');
  });

  it.each([
    ['a source that was shut off', says(S, shutOff('shutdown'))],
    ['a Stopped for another reason', event(S, 'Stopped', 'Destroyed')],
    ['a Stopped Migrated of the destination', event(D, 'Stopped', 'Migrated')],
    ['a shut off (migrated) from another boot', says(S, { ...shutOff('migrated'), boot: 'alpha-boot-2' })],
  ])('is not told by %s', (_name, move) => {
    const { play } = given().when(move, says(S, absent), fails());
    expect(evidenceOf(play.attempt).source.presence).toBe('absent');
  });
});

describe('the outgoing job', () => {
  it('is remembered from before the call returned', () => {
    expect(evidenceOf(given().when(says(S, running(jobs.out)), fails()).play.attempt).outgoingSeen).toBe(true);
  });

  it('of the destination does not count', () => {
    expect(evidenceOf(given().when(says(D, running(jobs.out)), fails()).play.attempt).outgoingSeen).toBe(false);
  });

  it('of another boot does not count', () => {
    const { play } = given().when(says(S, { ...running(jobs.out), boot: 'alpha-boot-2' }), fails());
    expect(evidenceOf(play.attempt).outgoingSeen).toBe(false);
  });
});

describe('quiet rounds', () => {
  const slow = { ...defaultConfiguration, recheckIntervalSeconds: 100 };
  const quiet = { says: { [S]: running(), [D]: absent }, volumes: [volume('vol-1')] };

  it('are two that were asked, not one that was looked at twice', () => {
    given({ ...quiet, configuration: slow })
      .when(fails('connection'), after(40), expires('vol-1'))
      .thenIs({ state: 'Rechecking.watching', verdicts: 0 })
      .when(after(60))
      .thenIs({ row: 'stayed' });
  });

  it('count anew after one that was not quiet', () => {
    given(quiet)
      .when(fails('connection'), says(D, shell), after(10), says(D, absent), after(40))
      .thenIs({ verdicts: 0 })
      .when(after(10))
      .thenIs({ row: 'stayed' });
  });

  it('are not undone by silence', () => {
    given(quiet)
      .when(fails('connection'), says(D, failed), after(30), says(D, absent), after(10))
      .thenIs({ row: 'stayed' });
  });
});

describe('a round', () => {
  it('is not judged while a question is open, though the source was fenced', () => {
    const spec = given({ says: { [S]: paused('migrating', jobs.out), [D]: absent } }).when(
      fails(),
      after(300),
      fenced(),
    );
    spec.thenIs({ state: 'RolledBack.contested', row: 'ran-and-died' });
    // The destination is asked twice and answers only the first time: what it said is older than the question it still owes.
    spec.when(says(S, 'silent'), says(D, running()), event(D, 'Resumed', 'Migrated')).thenIs({ verdicts: 1 });
    spec.when(says(D, 'silent'), event(D, 'Resumed', 'Migrated'), says(S, absent)).thenIs({ verdicts: 1 });
  });

  it('closes by itself once its questions ran out', () => {
    given({ says: { [S]: absent } })
      .when(fails(), after(4.999))
      .thenIs({ state: 'ApiFailed' })
      .when(after(0.001))
      .thenIs({ state: 'Rechecking.watching' });
  });

  it('is not stretched by events: the oldest open question keeps its limit', () => {
    const { play } = given().when(fails(), after(4), event(D, 'Suspended', 'Paused'), after(1));
    expect(play.at).toBe('Rechecking.watching');
  });

  it('at the deadline gives every question its full limit', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(fails(), after(296), says(S, 'silent'), event(S, 'Suspended', 'Migrated'), after(4))
      .thenIs({ state: 'Rechecking.finalRound' })
      .when(after(2), says(D, running()), event(D, 'Resumed', 'Migrated'), says(S, absent))
      .thenIs({ verdicts: 1, contested: false });
  });

  it('asks the destination once more where it was asked before the source had answered', () => {
    const { play } = given({ says: { [S]: running(), [D]: absent } }).when(fails('libvirt'));
    expect(play.questions.slice(2).map(({ host }) => host)).toEqual([S, D, D]);
    expect(evidenceOf(play.attempt).destinationAskedLast).toBe(true);
  });
});

describe('names that JavaScript objects have by themselves', () => {
  it.each(['__proto__', 'constructor', 'toString'])('the host %s was never asked', (host) => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(fails())
      .when(answers(host, 3, absent), answers(host, 4, running()), stream(host, 'connected'), stream(host, 'lost'))
      .thenNothingHappened();
  });

  it.each(['constructor', 'toString'])('the host %s can be a destination like any other', (host) => {
    given({ destination: host, says: { [S]: absent } })
      .when(says(host, running()), fails())
      .thenIs({ row: 'landed', host });
  });

  it.each(['__proto__', 'constructor', 'toString'])('the event %s changes no power', (name) => {
    const record = { ...unknownVm(VM), host: S, power: 'running' as const };
    expect(applyLifecycle(record, { host: S, event: name, detail: '' }, undefined)).toEqual(record);
  });
});

describe('a question’s id', () => {
  it('carries its sequence', () => {
    expect(sequenceOf(questionId('m1', 12), 'm1')).toBe(12);
    expect(sequenceOf('m1/q12', 'm')).toBeNull();
    expect(sequenceOf('m1/q', 'm1')).toBeNull();
    expect(sequenceOf('m1/q0', 'm1')).toBeNull();
    expect(sequenceOf('m1/q1x', 'm1')).toBeNull();
    expect(sequenceOf('m2/q1', 'm1')).toBeNull();
    expect(sequenceOf('m1/q1/q2', 'm1/q1')).toBe(2);
  });

  it('goes out with the time at which its answer becomes unknown', () => {
    const { play } = given().when(fails(), after(4), event(D, 'Suspended', 'Paused'));
    for (const question of play.questions.filter(({ askedAt }) => askedAt === play.now)) {
      expect(question.dueAt).toBe(play.attempt.asked[question.host]?.dueAt);
    }
  });
});
