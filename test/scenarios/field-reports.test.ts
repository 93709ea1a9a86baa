import { describe, expect, it } from 'vitest';
import { evidenceOf } from '../../machines/evidence.ts';
import {
  absent,
  after,
  D,
  event,
  failed,
  fails,
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

/** Kinds of failures from public reports, each with its variants. */

const vol = [volume('vol-1')];
const STAYED = { outcome: 'rolled-back', contested: false, certainty: 'proven', host: S, row: 'stayed' } as const;

describe('a migration that libvirt never started', () => {
  it.each([
    ['is silent', 'silent'],
    ['fails to answer', failed],
    ['lacks the guest', absent],
  ] as const)('leaves the guest on the source if the destination %s', (_name, saying) => {
    const { play } = given({ volumes: vol, says: { [S]: running() } })
      .when(says(D, saying), fails('not-started', 'host-b is down'), after(6))
      .thenIs({ ...STAYED, error: /^host-b is down$/, alarms: [] });
    expect(play.attempt.steps.map(({ kind }) => kind)).toEqual(['failed-to-migrate', 'fail-call']);
  });

  it('leaves a guest that was already paused on the source', () => {
    given({ origin: 'paused', says: { [S]: paused('user') } })
      .when(fails('not-started'), after(6))
      .thenIs(STAYED);
  });

  it('stays undecided while the source reports an outgoing job', () => {
    given({ says: { [S]: running(jobs.out) } })
      .when(fails('not-started'), after(6))
      .thenIs({ state: 'Rechecking.watching', verdicts: 0 });
  });

  it('stays undecided while the destination reports a shell of the migration', () => {
    given({ says: { [S]: running() } })
      .when(event(D, 'Started', 'Migrated'), fails('not-started'), after(6))
      .thenIs({ state: 'Rechecking.watching', verdicts: 0 });
  });

  it('becomes contested if the source does not answer', () => {
    given().when(fails('not-started'), after(310)).thenIs({ contested: true, row: 'silence' });
  });

  it('becomes contested if the destination runs the guest too', () => {
    given({ says: { [S]: running(), [D]: running() } })
      .when(fails('not-started'), after(310))
      .thenIs({ contested: true, row: 'both-alive' });
  });
});

describe('a guest that arrives suspended', () => {
  const arrives = [event(D, 'Started', 'Migrated'), event(D, 'Suspended', 'Paused'), says(S, absent)] as const;
  const ran = (...moves: Parameters<ReturnType<typeof given>['when']>) =>
    evidenceOf(given({ says: { [S]: running() } }).when(...moves).play.attempt).ran;

  it('counts as never run on the destination without a Resumed event', () => {
    expect(ran(...arrives, says(D, paused('user')), fails())).toBe('no');
  });

  it('counts as run on the destination after a stream gap', () => {
    expect(ran(...arrives, stream(D, 'lost'), stream(D, 'connected'), says(D, paused('user')), fails())).toBe('yes');
  });

  it('counts as run on the destination after an earlier Resumed event', () => {
    const resumed = event(D, 'Resumed', 'Migrated');
    expect(ran(event(D, 'Started', 'Migrated'), resumed, says(S, absent), says(D, paused('user')), fails())).toBe(
      'yes',
    );
  });

  it('gets a completed verdict although the destination never ran its CPUs', () => {
    given({ says: { [S]: running(), [D]: shell } })
      .when(...arrives, says(D, paused('user')), fails())
      .thenIs({ outcome: 'completed', row: 'landed', host: D, certainty: 'proven' });
  });
});

describe('the verdict on a guest that was stopped before the call', () => {
  const cold = { origin: 'stopped', volumes: vol, says: { [S]: shutOff(), [D]: absent } } as const;
  const defined = shutOff('unknown');

  it.each([
    ['after a successful call', succeeds],
    ['after a lost caller', fails('caller-lost')],
    ['after an error of libvirt', fails('libvirt')],
  ])('names the destination if only the destination has the guest, %s', (_name, returns) => {
    given(cold)
      .when(says(S, absent), says(D, defined), returns)
      .thenIs({ outcome: 'completed', row: 'landed', certainty: 'proven', host: D, alarms: [] });
  });

  it.each([
    ['after a successful call', succeeds],
    ['after a lost caller', fails('caller-lost')],
    ['after an error of libvirt', fails('libvirt')],
  ])('names the source if only the source has the guest, %s', (_name, returns) => {
    given(cold)
      .when(returns)
      .thenIs({ ...STAYED, alarms: [] });
  });

  it('names the destination after a success if both hosts have it', () => {
    given(cold).when(says(D, defined), succeeds).thenIs({ outcome: 'completed', row: 'landed', host: D });
  });

  it('names the source after a libvirt error if both hosts have it', () => {
    given(cold).when(says(D, defined), fails('libvirt')).thenIs(STAYED);
  });

  it('is not given after a lost caller if both hosts have it', () => {
    given(cold).when(says(D, defined), fails('caller-lost')).thenIs({ verdicts: 0 });
  });

  it('changes if the destination defines the guest later', () => {
    given(cold)
      .when(fails('caller-timeout'))
      .thenIs(STAYED)
      .when(says(S, absent), says(D, defined), event(D, 'Defined', 'Added'))
      .thenIs({ outcome: 'completed', row: 'landed', host: D });
  });

  it('does not follow the rules for stopped guests if the source ran', () => {
    given({ origin: 'stopped', says: { [S]: running(), [D]: absent } })
      .when(says(S, absent), says(D, shutOff('destroyed')), fails('caller-lost'))
      .thenIs({ verdicts: 0 });
  });

  it('names the source if the migration never started', () => {
    given({ ...cold, says: { [S]: shutOff() } })
      .when(fails('not-started'), after(5))
      .thenIs(STAYED);
  });
});

describe('a guest that ends on the source during the migration', () => {
  const moves = event(D, 'Started', 'Migrated');
  const shellEnds = event(D, 'Stopped', 'Failed');
  const persistent = { volumes: vol, says: { [S]: running(jobs.out), [D]: shell } } as const;
  const OFF = { outcome: 'rolled-back', contested: false, certainty: 'proven', host: S } as const;

  it('is recorded as stopped on the source after it shut itself down', () => {
    given(persistent)
      .when(moves, says(S, shutOff()), says(D, absent), event(S, 'Stopped', 'Shutdown'), shellEnds)
      .when(fails('connection'))
      .thenIs({ ...OFF, row: 'nowhere', alarms: ['guest-stopped'] });
  });

  it.each([
    ['a transient guest', absent],
    ['a persistent guest', shutOff()],
  ])('causes an offer to destroy the remaining shell of %s', (_name, saying) => {
    const { play } = given(persistent)
      .when(moves, says(S, saying), event(S, 'Stopped', 'Shutdown'), fails('caller-timeout'))
      .thenIs({
        ...OFF,
        row: 'shell-left',
        alarms: ['guest-stopped'],
        offers: ['destroy the shell on the destination'],
      });
    expect(play.attempt.steps.filter(({ volume: of }) => of !== null)).toEqual([]);
  });

  it('is recorded as stopped from an answer if the event was lost', () => {
    given(persistent)
      .when(moves, says(S, running(jobs.out)), fails('caller-timeout'), says(S, shutOff()), after(10))
      .thenIs({ ...OFF, row: 'shell-left' });
  });

  it.each(['Destroyed', 'Crashed', 'Failed'] as const)(
    'gets no verdict before the shell ends, after the event %s',
    (detail) => {
      given(persistent)
        .when(moves, says(S, absent), event(S, 'Stopped', detail), fails('caller-timeout'))
        .thenIs({ verdicts: 0, alarms: [] })
        .when(says(D, absent), shellEnds)
        .thenIs({ ...OFF, row: 'nowhere', alarms: ['guest-stopped'] });
    },
  );

  it('is recorded as stopped although an older answer arrives later', () => {
    const { play } = given({ says: { [D]: shell } });
    const question = play.openQuestion(S);
    if (question === undefined) throw new Error('the source was not asked');
    event(S, 'Stopped', 'Shutdown')(play);
    play.apply({ type: 'answered', data: play.answerTo(question, running(jobs.out)) });
    says(S, absent)(play);
    fails('caller-timeout')(play);
    expect(play.verdict).toMatchObject({ ...OFF, row: 'shell-left' });
  });

  it('makes the attempt contested if the destination may have run', () => {
    given({ ...persistent, storageCopied: true })
      .when(moves, stream(D, 'lost'), event(S, 'Stopped', 'Destroyed'), says(S, absent), says(D, absent))
      .when(fails('caller-timeout'), after(310))
      .thenIs({ contested: true, row: 'nowhere' });
  });

  it('gets a completed verdict if the destination runs it', () => {
    given(persistent)
      .when(moves, event(S, 'Stopped', 'Destroyed'), says(S, absent), fails('caller-timeout'))
      .when(says(D, running()), event(D, 'Resumed', 'Migrated'))
      .thenIs({ outcome: 'completed', row: 'landed', host: D });
  });

  it('is recorded on a third host that runs it now', () => {
    given({ ...persistent, known: [T] })
      .when(moves, event(S, 'Stopped', 'Shutdown'), shellEnds, says(S, absent), says(D, absent))
      .when(says(T, running()), fails('connection'))
      .thenIs({ row: 'elsewhere', host: T });
  });

  it('is not recorded as stopped after a new start on the source', () => {
    given(persistent)
      .when(moves, event(S, 'Stopped', 'Shutdown'), shellEnds, event(S, 'Started', 'Booted'))
      .when(says(S, running()), says(D, absent), fails('libvirt'))
      .thenIs(STAYED);
  });
});
