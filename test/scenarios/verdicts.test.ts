import { describe, expect, it } from 'vitest';
import { defaultConfiguration } from '../../events/configuration.ts';
import {
  absent,
  acksAll,
  after,
  answers,
  crashed,
  D,
  event,
  failed,
  fails,
  fenced,
  given,
  jobs,
  type Move,
  paused,
  running,
  S,
  says,
  shell,
  shutOff,
  stream,
  succeeds,
  T,
  U,
  volume,
} from '../support/machine-spec.ts';

/** Acceptance scenarios for verdicts, with their numbers. S is alpha, D is beta; third hosts are gamma and delta. */

const vol = [volume('vol-1')];
const COMPLETED = {
  state: 'Completed.settling',
  outcome: 'completed',
  contested: false,
  certainty: 'proven',
  host: D,
} as const;
const ROLLED_BACK = {
  state: 'RolledBack.settling',
  outcome: 'rolled-back',
  contested: false,
  certainty: 'proven',
  host: S,
} as const;
const CONTESTED = { state: 'RolledBack.contested', outcome: 'rolled-back', contested: true, host: S } as const;
const EXPLICIT = /^API failed while VM may still be migrating: /;
const toDeadline: Move = after(300);
/** The destination's shell started and stopped on an unbroken event stream, so its CPUs never ran. */
const shellCameAndWent: Move = (play) => {
  event(D, 'Started', 'Migrated')(play);
  event(D, 'Stopped', 'Failed')(play);
};

describe('a guest on one host', () => {
  it('completes if the source is empty and the destination runs (scenario 1)', () => {
    given({ volumes: vol })
      .when(says(S, absent), says(D, running(jobs.none, 'migrated')), fails())
      .thenIs({ ...COMPLETED, row: 'landed', error: null, commands: ['post-migrate', `release-lock ${S} vol-1`] })
      .when(acksAll)
      .thenIs({ state: 'Completed.settled', commands: ['after-migrate', `acquire-lock ${D} vol-1`] });
  });

  it('rolls back after a libvirt error with an empty destination (scenario 2)', () => {
    given({ volumes: vol })
      .when(event(D, 'Started', 'Migrated'), event(D, 'Stopped', 'Failed'))
      .when(says(S, running()), says(D, absent), fails('libvirt', 'operation aborted'))
      .thenIs({ ...ROLLED_BACK, row: 'stayed', error: /^operation aborted$/, commands: ['failed-to-migrate'] })
      .when(acksAll)
      .thenIs({
        state: 'RolledBack.settled',
        commands: [`release-lock ${D} vol-1`, 'fail-call', `acquire-lock ${S} vol-1`],
      });
  });

  it('rolls back after the source’s outgoing job ended (scenario 2)', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(fails('connection'))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'moving', host: S } })
      .when(says(S, running()), says(D, absent), after(10))
      .thenIs({ ...ROLLED_BACK, row: 'stayed' });
  });

  it('rolls back after two quiet rounds 35 s apart (scenario 2)', () => {
    given({ says: { [S]: running(), [D]: absent } })
      .when(fails('connection'), after(30))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'moving', host: S } })
      .when(after(10))
      .thenIs({ ...ROLLED_BACK, row: 'stayed' });
  });

  it('completes with a user-paused guest that stays paused (scenario 5)', () => {
    given({ origin: 'paused' })
      .when(says(S, absent), says(D, paused('user')), fails())
      .thenIs({ ...COMPLETED, row: 'landed', commands: ['post-migrate'], alarms: [] })
      .when(acksAll)
      .thenIs({ state: 'Completed.settled', commands: ['after-migrate'] });
  });

  it('completes with an alarm for a guest with an I/O error (scenario 6)', () => {
    given()
      .when(says(S, absent), says(D, paused('I/O error')), fails())
      .thenIs({ ...COMPLETED, row: 'landed', alarms: ['guest-broken'] });
  });

  it('rolls back a guest that crashed during the migration (scenario 22)', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(shellCameAndWent, says(S, crashed()), says(D, absent), fails())
      .thenIs({ ...ROLLED_BACK, row: 'nowhere', alarms: ['guest-stopped'] });
  });

  it('is contested after a crash with copied storage (scenario 22)', () => {
    given({ storageCopied: true })
      .when(says(S, crashed()), says(D, absent), fails(), toDeadline)
      .thenIs({ ...CONTESTED, row: 'nowhere', error: EXPLICIT });
  });

  it('completes although the call returned an error (scenario 25)', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(event(D, 'Resumed', 'Migrated'), event(S, 'Stopped', 'Migrated'))
      .when(says(S, absent), says(D, running()), fails('libvirt', 'lost the reply of finish'))
      .thenIs({ ...COMPLETED, row: 'landed' });
  });

  it('decides a reported success with an empty destination by the table (scenario 26)', () => {
    given({ says: { [S]: running(), [D]: absent } })
      .when(succeeds)
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'moving', host: S } })
      .when(after(40))
      .thenIs({ ...ROLLED_BACK, row: 'stayed', error: /reported success, but the guest is on alpha/ });
  });

  it('completes at once if the hosts confirm a success', () => {
    given()
      .when(says(S, absent), says(D, running()), succeeds)
      .thenIs({ ...COMPLETED, row: 'landed' });
  });
});

describe('a guest that is still moving', () => {
  it('waits for a moving guest and is contested at the deadline (scenario 3)', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(fails(), after(299))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'moving', host: S }, commands: [] })
      .when(after(1))
      .thenIs({
        ...CONTESTED,
        row: 'moving',
        final: true,
        certainty: 'provisional',
        error: EXPLICIT,
        commands: ['failed-to-migrate'],
      });
  });

  it('never completes with an incomplete guest after a source crash (scenario 4)', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell }, volumes: vol })
      .when(says(S, crashed()), fails())
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'half-arrived', host: S } })
      .when(toDeadline, acksAll)
      .thenIs({
        ...CONTESTED,
        row: 'half-arrived',
        alarms: ['guest-lost'],
        commands: ['failed-to-migrate', 'fail-call'],
        error: EXPLICIT,
      });
  });

  it('completes after a switch-over when the source’s job ends (scenario 7)', () => {
    given({ volumes: vol })
      .when(says(S, paused('migrating', jobs.out)), says(D, running(jobs.none, 'migrated')), fails())
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'switched', host: S } })
      .when(says(S, paused('migrating')), after(10))
      .thenIs({ ...COMPLETED, row: 'switched', commands: ['post-migrate', `destroy-leftover ${S}`] })
      .when(acksAll)
      .thenIs({
        state: 'Completed.settled',
        commands: ['after-migrate', `release-lock ${S} vol-1`, `acquire-lock ${D} vol-1`],
      });
  });

  it('completes after a switch-over at the deadline (scenario 7)', () => {
    given({ says: { [S]: paused('migrating', jobs.out), [D]: running() } })
      .when(fails(), toDeadline)
      .thenIs({ ...COMPLETED, row: 'switched', final: true });
  });

  it('resumes a stalled source only behind its lock (scenario 8)', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell }, volumes: vol })
      .when(shellCameAndWent, says(S, paused('migrating')), says(D, absent), fails())
      .thenIs({ ...ROLLED_BACK, row: 'stalled', commands: ['failed-to-migrate'] })
      .when(acksAll)
      .thenIs({
        state: 'RolledBack.settled',
        commands: [`release-lock ${D} vol-1`, 'fail-call', `acquire-lock ${S} vol-1`, `resume-guest ${S}`],
      });
  });

  it('is contested if the destination may have run (scenario 8)', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(event(D, 'Started', 'Migrated'), event(D, 'Resumed', 'Migrated'), event(D, 'Stopped', 'Failed'))
      .when(says(S, paused('migrating')), says(D, absent), fails(), toDeadline, acksAll)
      .thenIs({ ...CONTESTED, row: 'ran-and-died', error: EXPLICIT, commands: ['failed-to-migrate', 'fail-call'] });
  });

  it('offers to destroy the shell and rolls back after its end (scenario 8)', () => {
    given({ says: { [S]: paused('migrating'), [D]: shell } })
      .when(fails(), toDeadline)
      .thenIs({ ...CONTESTED, row: 'stalled-shell', offers: ['destroy the shell on the destination'] })
      .when(says(D, absent), event(D, 'Stopped', 'Destroyed'))
      .thenIs({ ...ROLLED_BACK, row: 'stalled', verdicts: 2 });
  });

  it('decides by the final round exactly at the deadline (scenario 12)', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(fails(), after(299.999), says(S, absent), says(D, running()), after(0.001))
      .thenIs({ ...COMPLETED, row: 'landed' });
  });

  it('waits for a post-copy migration and completes after it (scenario 43)', () => {
    given({ says: { [S]: paused('post-copy', jobs.out), [D]: running(jobs.incoming, 'post-copy') } })
      .when(fails(), after(100))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'postcopy', host: S }, commands: [] })
      .when(says(S, absent), says(D, running()), after(10))
      .thenIs({ ...COMPLETED, row: 'landed' });
  });

  it('is contested if post-copy lasts beyond the deadline (scenario 43)', () => {
    given({ says: { [S]: paused('post-copy', jobs.out), [D]: running(jobs.incoming, 'post-copy') } })
      .when(fails(), toDeadline, acksAll)
      .thenIs({ ...CONTESTED, row: 'postcopy', commands: ['failed-to-migrate', 'fail-call'] });
  });

  it('is contested after a failed post-copy and offers recovery (scenario 44)', () => {
    given({ says: { [S]: paused('post-copy failed'), [D]: paused('post-copy failed') } })
      .when(fails(), toDeadline, acksAll)
      .thenIs({
        ...CONTESTED,
        row: 'torn',
        alarms: ['guest-torn'],
        offers: ['recover the post-copy migration'],
        commands: ['failed-to-migrate', 'fail-call'],
      });
  });
});

describe('a failed post-copy with one remaining host', () => {
  it('offers no recovery of the lost guest (scenario 44)', () => {
    given({ says: { [S]: paused('post-copy failed'), [D]: absent } })
      .when(fails(), toDeadline)
      .thenIs({ ...CONTESTED, row: 'torn', offers: [] });
  });
});

describe('a stream gap after a verdict', () => {
  it('keeps a contested attempt from resuming the source (scenario 8)', () => {
    given({ says: { [S]: paused('migrating', jobs.out), [D]: shell }, volumes: [volume('v')] })
      .when(event(D, 'Started', 'Migrated'), fails(), toDeadline, acksAll)
      .thenIs({ ...CONTESTED })
      // The destination ran and died, and only the last of its events arrived.
      .when(
        stream(D, 'lost'),
        says(S, paused('migrating')),
        says(D, absent),
        event(D, 'Stopped', 'Crashed'),
        after(600),
      )
      .thenIs({ state: 'RolledBack.contested', commands: [], verdicts: 1 });
  });
});

describe('a call from the source of an unsettled attempt', () => {
  it('does not count a guest on the destination as its own', () => {
    const spec = given({
      sharesSource: true,
      leftover: true,
      twoCopies: true,
      says: { [S]: running(), [D]: running() },
    });
    spec.when(fails(), says(D, absent), after(10)).thenIs({ state: 'Rechecking.watching', verdicts: 0 });
  });
});

describe('a contested or provisional attempt', () => {
  const quiet = [says(S, running()), says(D, absent)] as const;

  it('is settled by quiet rounds 35 s apart with the source running', () => {
    given({ says: { [S]: running(), [D]: failed } })
      .when(fails('caller-timeout'), toDeadline)
      .thenIs({ ...CONTESTED, row: 'silent-destination' })
      .when(...quiet, after(301))
      .thenIs({ state: 'RolledBack.contested', verdicts: 1 })
      .when(after(301))
      .thenIs({ ...ROLLED_BACK, row: 'stayed' });
  });

  it('is settled by quiet rounds after a provisional completion', () => {
    given({ says: { [S]: failed, [D]: running() } })
      .when(fails('caller-timeout'), toDeadline)
      .thenIs({ state: 'Completed.provisional', row: 'silent-source' })
      .when(...quiet, after(301), after(301))
      .thenIs({ state: 'RolledBack.settling', row: 'ran-and-resumed' });
  });
});

describe('a guest on both hosts', () => {
  const both = { says: { [S]: running(), [D]: running() }, volumes: vol };

  it('completes if the source disappears after 40 s (scenario 10)', () => {
    given(both)
      .when(fails(), after(40))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'both-alive', host: S }, commands: [] })
      .when(says(S, absent), after(10))
      .thenIs({ ...COMPLETED, row: 'landed' });
  });

  describe('that may exist twice (scenario 10)', () => {
    const two = { ...both, known: [S, D, T, U] };

    it('completes if no other known host has the guest', () => {
      const { play } = given({ ...two, says: { ...two.says, [T]: absent, [U]: absent } })
        .when(fails(), after(40), says(S, absent), after(10))
        .thenIs({ ...COMPLETED, row: 'landed', certainty: 'proven' });
      expect(play.questions.filter(({ host }) => host === T)).not.toEqual([]);
    });

    it('is contested if another known host has the guest', () => {
      given({ ...two, says: { ...two.says, [T]: running(), [U]: absent } })
        .when(fails(), after(40), says(S, shutOff('migrated')), after(10))
        .thenIs({ state: 'Rechecking.watching', waiting: { row: 'third-host', host: S } })
        .when(toDeadline)
        .thenIs({ ...CONTESTED, row: 'third-host', error: EXPLICIT });
    });

    it('is provisional if another known host is silent', () => {
      given({ ...two, says: { ...two.says, [T]: absent, [U]: failed } })
        .when(fails(), after(40), says(S, shutOff('migrated')), toDeadline)
        .thenIs({ state: 'Completed.provisional', row: 'landed', certainty: 'provisional', commands: [] })
        .when(says(U, absent), after(300))
        .thenIs({ ...COMPLETED, row: 'landed', certainty: 'proven' });
    });

    it('is not settled by a paused last copy', () => {
      given({ ...two, says: { ...two.says, [T]: absent, [U]: absent } })
        .when(fails(), after(40), says(D, paused('user')), says(S, absent), toDeadline)
        .thenIs({ state: 'Completed.provisional', row: 'landed', certainty: 'provisional' });
    });

    it('is not settled if the source has a paused copy', () => {
      given(two)
        .when(fails(), after(40), says(S, paused('migrating')), toDeadline)
        .thenIs({ ...CONTESTED, row: 'switched' });
    });

    it('is not proven by fencing the source', () => {
      given(two)
        .when(fails(), after(40), says(S, failed), fenced(), toDeadline)
        .thenIs({ state: 'Completed.provisional', row: 'landed', certainty: 'provisional' });
    });

    it('asks no other host if the source had stopped to hand over', () => {
      const { play } = given({ says: { [S]: paused('migrating'), [D]: running() }, known: [S, D, T] })
        .when(fails(), says(S, shutOff('migrated')), after(10))
        .thenIs({ ...COMPLETED, certainty: 'proven' });
      expect(play.questions.filter(({ host }) => host === T)).toEqual([]);
    });
  });

  it('is contested without lock or guest commands at 300 s (scenario 11)', () => {
    given(both)
      .when(fails(), toDeadline, acksAll)
      .thenIs({
        ...CONTESTED,
        row: 'both-alive',
        certainty: 'provisional',
        error: EXPLICIT,
        alarms: ['split-brain'],
        commands: ['failed-to-migrate', 'fail-call'],
        offers: ['suspend the guest on the source'],
      });
  });

  it('raises the alarm at once if neither host has a job (scenario 11)', () => {
    given(both)
      .when(fails(), after(11))
      .thenIs({ state: 'Rechecking.watching', alarms: ['split-brain'] });
  });

  it('raises no alarm while the source has a job (scenario 11)', () => {
    given({ says: { [S]: running(jobs.out), [D]: running() } })
      .when(fails(), after(290))
      .thenIs({ state: 'Rechecking.watching', alarms: [] });
  });

  it('rolls back with an alarm after both hosts ran the guest', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(event(D, 'Started', 'Migrated'), event(D, 'Resumed', 'Migrated'))
      .when(says(S, running()), says(D, absent), fails())
      .thenIs({ ...ROLLED_BACK, row: 'ran-and-resumed', alarms: ['both-hosts-wrote'] });
  });

  it('counts the destination’s shell as proof of a begun migration', () => {
    given({})
      .when(event(D, 'Started', 'Migrated'), event(D, 'Resumed', 'Migrated'))
      .when(says(S, running()), says(D, absent), fails('caller-lost'))
      .thenIs({ ...ROLLED_BACK, row: 'ran-and-resumed', alarms: ['both-hosts-wrote'] });
  });

  it('waits for a queued migration although the destination ran the guest', () => {
    given({ says: { [S]: running(), [D]: running() } })
      .when(after(1), says(S, running()), says(D, absent), fails('caller-lost'))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'moving', host: S }, commands: [] })
      .when(after(41))
      .thenIs({ ...ROLLED_BACK, row: 'ran-and-resumed', alarms: ['both-hosts-wrote'] });
  });
});

describe('a silent host', () => {
  it('completes provisionally if only the source is silent (scenario 13)', () => {
    given({ volumes: vol })
      .when(says(S, failed), says(D, running()), fails())
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'silent-source', host: D }, commands: [] })
      .when(toDeadline)
      .thenIs({ state: 'Completed.provisional', row: 'silent-source', certainty: 'provisional', host: D, commands: [] })
      .when(fenced())
      .thenIs({ ...COMPLETED, row: 'landed', verdicts: 2, commands: ['post-migrate', `acquire-lock ${D} vol-1`] });
  });

  it('proves a provisional completion by an empty source (scenario 13)', () => {
    given({ volumes: vol, says: { [S]: failed, [D]: running() } })
      .when(fails(), toDeadline, says(S, absent), event(D, 'Resumed', 'Migrated'))
      .thenIs({ ...COMPLETED, row: 'landed', verdicts: 2, commands: ['post-migrate', `release-lock ${S} vol-1`] });
  });

  it('completes provisionally after a hand-over to a silent destination (scenario 13)', () => {
    given({ volumes: vol })
      .when(event(S, 'Stopped', 'Migrated'), says(S, absent), fails(), toDeadline, after(5))
      .thenIs({
        state: 'Completed.provisional',
        row: 'handed-over-silent',
        certainty: 'provisional',
        host: D,
        commands: [],
      });
  });

  it('is contested if only the destination is silent (scenario 14)', () => {
    given({ volumes: vol })
      .when(says(S, running()), says(D, failed), fails())
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'silent-destination', host: S } })
      .when(toDeadline, acksAll)
      .thenIs({
        ...CONTESTED,
        row: 'silent-destination',
        commands: ['failed-to-migrate', 'fail-call'],
        error: EXPLICIT,
      });
  });

  it('keeps the owner if both hosts are silent (scenario 15)', () => {
    given({ volumes: vol, says: { [S]: failed, [D]: failed } })
      .when(fails(), toDeadline, acksAll)
      .thenIs({ ...CONTESTED, row: 'silence', certainty: 'unknown', commands: ['failed-to-migrate', 'fail-call'] });
  });

  it('only fails the call for an empty source and silent destination', () => {
    given({ volumes: vol, says: { [S]: absent } })
      .when(fails(), toDeadline, after(5), acksAll)
      .thenIs({ ...CONTESTED, row: 'silent-destination-gone', commands: ['fail-call'] });
  });

  it.each([
    ['an error', failed],
    ['an empty answer', { ok: false, domain: null } as const],
    ['no answer', 'silent'],
    ['a listing contradicted by a stray process', { ok: true, domain: null, strayProcess: true } as const],
  ] as const)('reads %s as unknown, never as absent (scenario 28)', (_name, saying) => {
    given({ says: { [S]: saying, [D]: saying } })
      .when(fails(), after(5), after(1))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'silence', host: S } });
  });

  it('counts a late answer (scenario 28)', () => {
    given({ says: { [D]: running() } })
      .when(fails(), after(6))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'silent-source', host: D } })
      .when(says(S, absent))
      .thenIs({ ...COMPLETED, row: 'landed' });
  });
});

describe('a third host', () => {
  const nowhere = { says: { [S]: absent, [D]: absent, [T]: absent, [U]: absent }, known: [S, D, T, U] };

  it('is recorded if only that host has the guest (scenario 17)', () => {
    given({ ...nowhere, says: { ...nowhere.says, [T]: running() } })
      .when(fails())
      .thenIs({ ...COMPLETED, row: 'elsewhere', host: T, alarms: ['landed-elsewhere'] });
  });

  it('is recorded even after a hand-over to the destination (scenario 17)', () => {
    given({ ...nowhere, says: { ...nowhere.says, [T]: running() } })
      .when(event(S, 'Stopped', 'Migrated'), fails())
      .thenIs({ ...COMPLETED, row: 'elsewhere', host: T });
  });

  it('is not recorded while another host has not answered (scenario 17)', () => {
    given({ ...nowhere, says: { ...nowhere.says, [T]: running(), [U]: failed } })
      .when(fails(), toDeadline)
      .thenIs({ ...CONTESTED, row: 'nowhere' });
  });

  it('makes the attempt contested if two of them have the guest (scenario 19)', () => {
    given({ ...nowhere, says: { ...nowhere.says, [T]: running(), [U]: running() } })
      .when(fails())
      .thenIs({ ...CONTESTED, row: 'elsewhere', error: EXPLICIT, alarms: ['landed-elsewhere'] });
  });

  it('is not recorded for a paused copy after the destination ran (scenario 17)', () => {
    given({ ...nowhere, says: { ...nowhere.says, [T]: paused('user') } })
      .when(event(D, 'Started', 'Migrated'), event(D, 'Resumed', 'Migrated'), event(S, 'Stopped', 'Migrated'), fails())
      .thenIs({ ...CONTESTED, row: 'elsewhere', error: EXPLICIT });
  });

  it('is found by the second round if the guest moves meanwhile', () => {
    const { play } = given({ ...nowhere, says: { ...nowhere.says, [T]: 'silent' } }).when(
      event(S, 'Stopped', 'Migrated'),
      fails(),
    );
    // The guest moved from the third host, before that host answered, to the source, which had already answered.
    play.says(S, 'silent');
    play.says(T, absent);
    play.says(S, running());
    expect(play.verdicts).toEqual([]);
    expect(play.attempt.waiting?.row).toBe('moving');
  });

  it('restarts the search if it does not answer', () => {
    const { play } = given(nowhere).when(fails(), after(5));
    expect(play.attempt.emptySequence).toBeTypeOf('number');
    play.says(T, 'silent');
    play.wait(20);
    expect(play.attempt.emptySequence).toBeUndefined();
  });

  it('must answer before a guest counts as stopped on the source', () => {
    given(nowhere)
      .when(fails(), after(299))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'nowhere', host: S } })
      .when(after(1))
      .thenIs({ ...ROLLED_BACK, row: 'nowhere' });
  });
});

describe('an answer that is no evidence', () => {
  it('includes a domain with another UUID and the same name (scenario 20)', () => {
    given({ says: { [S]: running(jobs.out), [D]: absent } })
      .when(fails(), says(S, running()), after(10))
      .thenIs({ ...ROLLED_BACK, row: 'stayed' });
  });

  it('includes an answer to a question before the return (scenario 29)', () => {
    given()
      .when(fails(), answers(S, 1, absent), answers(D, 2, running()))
      .thenIs({ state: 'ApiFailed', verdicts: 0 });
  });

  it('includes all answers from before the return (scenario 29)', () => {
    given({ says: { [S]: absent, [D]: running() } })
      .when(says(S, 'silent'), says(D, 'silent'), fails(), after(60))
      .thenIs({ verdicts: 0, waiting: { row: 'silence', host: S } });
  });

  it('includes an answer from another boot of the source (scenario 29)', () => {
    given({ says: { [S]: { ...running(), boot: 'alpha-boot-2' }, [D]: running() } })
      .when(fails(), toDeadline)
      .thenIs({ state: 'Completed.provisional', row: 'silent-source' });
    given({ says: { [S]: { ...absent, boot: 'alpha-boot-2' }, [D]: running() } })
      .when(fails())
      .thenIs({ ...COMPLETED, row: 'landed' });
  });

  it('includes an answer to an older attempt’s question (scenario 32)', () => {
    const old = running();
    given()
      .when(fails())
      .when(answers(S, 3, absent, 'm0'), answers(D, 4, old, 'm0'))
      .thenNothingHappened();
  });

  it('includes an answer to a question that was never asked (scenario 32)', () => {
    given()
      .when(fails())
      .when(answers(S, 999, absent), answers(T, 3, absent))
      .thenNothingHappened();
  });
});

describe('late evidence', () => {
  const rolledBack = () =>
    given({ says: { [S]: running(), [D]: absent }, volumes: vol }).when(fails('libvirt'), acksAll);

  it('adds a verdict if the guest arrives after the rollback (scenario 27)', () => {
    rolledBack()
      .thenIs({ state: 'RolledBack.settled', row: 'stayed' })
      .when(says(S, absent), says(D, running()), event(D, 'Resumed', 'Migrated'))
      .thenIs({ ...COMPLETED, row: 'landed', verdicts: 2, alarms: ['verdict-contradicted'] });
  });

  it('reopens a rollback with a new deadline if both hosts run (scenario 27)', () => {
    rolledBack()
      .when(says(D, running()), event(D, 'Resumed', 'Migrated'))
      .thenIs({ state: 'Rechecking.watching', verdicts: 1 })
      .when(toDeadline)
      .thenIs({ ...CONTESTED, row: 'both-alive', verdicts: 2 });
  });

  it('keeps a verdict that the answers confirm despite an event (scenario 27)', () => {
    rolledBack()
      .when(event(D, 'Resumed', 'Migrated'))
      .thenIs({ state: 'RolledBack.settled', verdicts: 1, commands: [], alarms: [] });
  });

  it('examines a rollback again after a late success report (scenario 27)', () => {
    rolledBack()
      .when(says(S, absent), says(D, running()), succeeds)
      .thenIs({ ...COMPLETED, row: 'landed', verdicts: 2 });
  });

  it('settles a contested attempt (scenario 27)', () => {
    given({ says: { [S]: running(), [D]: running() }, volumes: vol })
      .when(fails(), toDeadline, acksAll)
      .thenIs({ ...CONTESTED, row: 'both-alive' })
      .when(says(S, shutOff('migrated')), event(S, 'Stopped', 'Migrated'))
      .thenIs({ ...COMPLETED, row: 'landed', verdicts: 2 });
  });

  it('is requested periodically for a contested attempt (scenario 27)', () => {
    given({ says: { [S]: running(), [D]: running() } })
      .when(fails(), toDeadline, says(S, absent), after(300))
      .thenIs({ ...COMPLETED, row: 'landed', verdicts: 2 });
  });
});

describe('the recheck settings', () => {
  it('ask a final round if interval and timeout are equal (scenario 47)', () => {
    given({
      configuration: { ...defaultConfiguration, recheckIntervalSeconds: 300 },
      says: { [S]: running(jobs.out), [D]: shell },
    })
      .when(fails(), says(S, absent), says(D, running()), after(300))
      .thenIs({ ...COMPLETED, row: 'landed' });
  });

  it('use the timeout configured when the call returned', () => {
    given({
      configuration: { ...defaultConfiguration, recheckTimeoutSeconds: 20 },
      says: { [S]: running(jobs.out), [D]: shell },
    })
      .when(fails(), after(19))
      .thenIs({ state: 'Rechecking.watching' })
      .when(after(1))
      .thenIs({ ...CONTESTED, row: 'moving' });
  });
});
