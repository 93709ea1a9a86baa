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
  stream,
  volume,
} from '../support/machine-spec.ts';

/** Kinds of failures from public reports, each with its variants. */

const vol = [volume('vol-1')];
const STAYED = { outcome: 'rolled-back', contested: false, certainty: 'proven', host: S, row: 'stayed' } as const;

describe('a call that was never started', () => {
  it.each([
    ['is silent', 'silent'],
    ['fails to answer', failed],
    ['lacks the guest', absent],
  ] as const)('stays on the source if the destination %s', (_name, saying) => {
    const { play } = given({ volumes: vol, says: { [S]: running() } })
      .when(says(D, saying), fails('not-started', 'host-b is down'), after(6))
      .thenIs({ ...STAYED, error: /^host-b is down$/, alarms: [] });
    expect(play.attempt.steps.map(({ kind }) => kind)).toEqual(['failed-to-migrate', 'fail-call']);
  });

  it('stays for a guest that was paused before', () => {
    given({ origin: 'paused', says: { [S]: paused('user') } })
      .when(fails('not-started'), after(6))
      .thenIs(STAYED);
  });

  it('waits if the source reports an outgoing job', () => {
    given({ says: { [S]: running(jobs.out) } })
      .when(fails('not-started'), after(6))
      .thenIs({ state: 'Rechecking.watching', verdicts: 0 });
  });

  it('waits for the destination if a shell contradicts the report', () => {
    given({ says: { [S]: running() } })
      .when(event(D, 'Started', 'Migrated'), fails('not-started'), after(6))
      .thenIs({ state: 'Rechecking.watching', verdicts: 0 });
  });

  it('is contested if the source does not answer', () => {
    given().when(fails('not-started'), after(310)).thenIs({ contested: true, row: 'silence' });
  });

  it('is contested if the destination runs the guest too', () => {
    given({ says: { [S]: running(), [D]: running() } })
      .when(fails('not-started'), after(310))
      .thenIs({ contested: true, row: 'both-alive' });
  });
});

describe('a guest that arrives suspended', () => {
  const arrives = [event(D, 'Started', 'Migrated'), event(D, 'Suspended', 'Paused'), says(S, absent)] as const;
  const ran = (...moves: Parameters<ReturnType<typeof given>['when']>) =>
    evidenceOf(given({ says: { [S]: running() } }).when(...moves).play.attempt).ran;

  it('never ran on the destination if an unbroken stream shows no Resumed', () => {
    expect(ran(...arrives, says(D, paused('user')), fails())).toBe('no');
  });

  it('ran if the destination’s stream had a gap', () => {
    expect(ran(...arrives, stream(D, 'lost'), stream(D, 'connected'), says(D, paused('user')), fails())).toBe('yes');
  });

  it('ran if the stream delivered a Resumed before', () => {
    const resumed = event(D, 'Resumed', 'Migrated');
    expect(ran(event(D, 'Started', 'Migrated'), resumed, says(S, absent), says(D, paused('user')), fails())).toBe(
      'yes',
    );
  });

  it('completes although the CPUs of the destination never ran', () => {
    given({ says: { [S]: running(), [D]: shell } })
      .when(...arrives, says(D, paused('user')), fails())
      .thenIs({ outcome: 'completed', row: 'landed', host: D, certainty: 'proven' });
  });
});
