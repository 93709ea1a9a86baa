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

/** The acceptance scenarios by their numbers: what the evidence comes to. S is alpha, D beta; third hosts gamma and delta. */

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
/** The destination's shell came and went, and its event stream saw all of it: its CPUs never ran. */
const shellCameAndWent: Move = (play) => {
  event(D, 'Started', 'Migrated')(play);
  event(D, 'Stopped', 'Failed')(play);
};

describe('the guest is on one side', () => {
  it('1: source absent, destination running: complete', () => {
    given({ volumes: vol })
      .when(says(S, absent), says(D, running(jobs.none, 'migrated')), fails())
      .thenIs({ ...COMPLETED, row: 'landed', error: null, commands: ['post-migrate', `release-lock ${S} vol-1`] })
      .when(acksAll)
      .thenIs({ state: 'Completed.settled', commands: ['after-migrate', `acquire-lock ${D} vol-1`] });
  });

  it('2: source running without a job, destination absent, libvirt returned the error: roll back', () => {
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

  it('2: or the source had shown its outgoing job, and no longer does', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(fails('connection'))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'moving', host: S } })
      .when(says(S, running()), says(D, absent), after(10))
      .thenIs({ ...ROLLED_BACK, row: 'stayed' });
  });

  it('2: or two rounds at least 35 s apart say so', () => {
    given({ says: { [S]: running(), [D]: absent } })
      .when(fails('connection'), after(30))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'moving', host: S } })
      .when(after(10))
      .thenIs({ ...ROLLED_BACK, row: 'stayed' });
  });

  it('5: source absent, destination paused by its user: complete, stays paused', () => {
    given({ origin: 'paused' })
      .when(says(S, absent), says(D, paused('user')), fails())
      .thenIs({ ...COMPLETED, row: 'landed', commands: ['post-migrate'], alarms: [] })
      .when(acksAll)
      .thenIs({ state: 'Completed.settled', commands: ['after-migrate'] });
  });

  it('6: source absent, destination paused by an I/O error: complete, with an alarm', () => {
    given()
      .when(says(S, absent), says(D, paused('I/O error')), fails())
      .thenIs({ ...COMPLETED, row: 'landed', alarms: ['guest-broken'] });
  });

  it('22: source crashed in Perform, destination absent: stopped on the source, not complete', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(shellCameAndWent, says(S, crashed()), says(D, absent), fails())
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'nowhere', host: S } })
      .when(toDeadline)
      .thenIs({ ...ROLLED_BACK, row: 'nowhere', alarms: ['guest-stopped'] });
  });

  it('22: with copied storage and a destination that may have run, contested', () => {
    given({ storageCopied: true })
      .when(says(S, crashed()), says(D, absent), fails(), toDeadline)
      .thenIs({ ...CONTESTED, row: 'nowhere', error: EXPLICIT });
  });

  it('25: an error after a real success: complete', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(event(D, 'Resumed', 'Migrated'), event(S, 'Stopped', 'Migrated'))
      .when(says(S, absent), says(D, running()), fails('libvirt', 'lost the reply of finish'))
      .thenIs({ ...COMPLETED, row: 'landed' });
  });

  it('26: a success whose destination is absent is arbitrated by the same table', () => {
    given({ says: { [S]: running(), [D]: absent } })
      .when(succeeds)
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'moving', host: S } })
      .when(after(40))
      .thenIs({ ...ROLLED_BACK, row: 'stayed', error: /reported success, but the guest is on alpha/ });
  });

  it('a success that the hosts confirm is complete at once', () => {
    given()
      .when(says(S, absent), says(D, running()), succeeds)
      .thenIs({ ...COMPLETED, row: 'landed' });
  });
});

describe('the guest is on its way', () => {
  it('3: source running, destination a shell: wait; contested at the deadline', () => {
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

  it('4: source crashed, destination a shell: its memory is incomplete; never complete, never resumed', () => {
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

  it('7: source paused (migrating), destination running: complete once the source’s job is over', () => {
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

  it('7: or at the deadline', () => {
    given({ says: { [S]: paused('migrating', jobs.out), [D]: running() } })
      .when(fails(), toDeadline)
      .thenIs({ ...COMPLETED, row: 'switched', final: true });
  });

  it('8: source paused (migrating) without a job, the destination provably never ran: roll back, resume only behind the lock', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell }, volumes: vol })
      .when(shellCameAndWent, says(S, paused('migrating')), says(D, absent), fails())
      .thenIs({ ...ROLLED_BACK, row: 'stalled', commands: ['failed-to-migrate'] })
      .when(acksAll)
      .thenIs({
        state: 'RolledBack.settled',
        commands: [`release-lock ${D} vol-1`, 'fail-call', `acquire-lock ${S} vol-1`, `resume-guest ${S}`],
      });
  });

  it('8: where it may have run, contested', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(event(D, 'Started', 'Migrated'), event(D, 'Resumed', 'Migrated'), event(D, 'Stopped', 'Failed'))
      .when(says(S, paused('migrating')), says(D, absent), fails(), toDeadline, acksAll)
      .thenIs({ ...CONTESTED, row: 'ran-and-died', error: EXPLICIT, commands: ['failed-to-migrate', 'fail-call'] });
  });

  it('8: a shell that is still there is offered for destruction, and its end leads to the rollback', () => {
    given({ says: { [S]: paused('migrating'), [D]: shell } })
      .when(fails(), toDeadline)
      .thenIs({ ...CONTESTED, row: 'stalled-shell', offers: ['destroy the shell on the destination'] })
      .when(says(D, absent), event(D, 'Stopped', 'Destroyed'))
      .thenIs({ ...ROLLED_BACK, row: 'stalled', verdicts: 2 });
  });

  it('12: what resolves exactly at the deadline is decided by the final round', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(fails(), after(299.999), says(S, absent), says(D, running()), after(0.001))
      .thenIs({ ...COMPLETED, row: 'landed' });
  });

  it('43: post-copy on both sides is waited out, never aborted, and complete once it is over', () => {
    given({ says: { [S]: paused('post-copy', jobs.out), [D]: running(jobs.incoming, 'post-copy') } })
      .when(fails(), after(100))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'postcopy', host: S }, commands: [] })
      .when(says(S, absent), says(D, running()), after(10))
      .thenIs({ ...COMPLETED, row: 'landed' });
  });

  it('43: contested where it lasts beyond the deadline', () => {
    given({ says: { [S]: paused('post-copy', jobs.out), [D]: running(jobs.incoming, 'post-copy') } })
      .when(fails(), toDeadline, acksAll)
      .thenIs({ ...CONTESTED, row: 'postcopy', commands: ['failed-to-migrate', 'fail-call'] });
  });

  it('44: a failed post-copy on both sides is contested; recovery is offered, neither is resumed', () => {
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

describe('a post-copy of which one side is left', () => {
  it('44: is lost; there is nothing to recover', () => {
    given({ says: { [S]: paused('post-copy failed'), [D]: absent } })
      .when(fails(), toDeadline)
      .thenIs({ ...CONTESTED, row: 'torn', offers: [] });
  });
});

describe('a stream that breaks once a verdict was made', () => {
  it('8: proves no longer that the destination never ran: a contested attempt resumes nothing', () => {
    given({ says: { [S]: paused('migrating', jobs.out), [D]: shell }, volumes: [volume('v')] })
      .when(event(D, 'Started', 'Migrated'), fails(), toDeadline, acksAll)
      .thenIs({ ...CONTESTED })
      // The destination ran and died; of its events only the last one came.
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

describe('a call that shares its source with an unsettled one', () => {
  it('does not take for its own that the guest ran on the destination: the earlier one may have led there', () => {
    const spec = given({
      sharesSource: true,
      leftover: true,
      twoCopies: true,
      says: { [S]: running(), [D]: running() },
    });
    spec.when(fails(), says(D, absent), after(10)).thenIs({ state: 'Rechecking.watching', verdicts: 0 });
  });
});

describe('an attempt that was contested or provisional', () => {
  const quiet = [says(S, running()), says(D, absent)] as const;

  it('is settled by rounds that agree for 35 s that the guest stayed, though nothing was seen of the migration', () => {
    given({ says: { [S]: running(), [D]: failed } })
      .when(fails('caller-timeout'), toDeadline)
      .thenIs({ ...CONTESTED, row: 'silent-destination' })
      .when(...quiet, after(301))
      .thenIs({ state: 'RolledBack.contested', verdicts: 1 })
      .when(after(301))
      .thenIs({ ...ROLLED_BACK, row: 'stayed' });
  });

  it('is settled so as well where it was completed on the word of the destination alone', () => {
    given({ says: { [S]: failed, [D]: running() } })
      .when(fails('caller-timeout'), toDeadline)
      .thenIs({ state: 'Completed.provisional', row: 'silent-source' })
      .when(...quiet, after(301), after(301))
      .thenIs({ state: 'RolledBack.settling', row: 'ran-and-resumed' });
  });
});

describe('the guest is on both sides', () => {
  const both = { says: { [S]: running(), [D]: running() }, volumes: vol };

  it('10: the source is gone after 40 s: complete', () => {
    given(both)
      .when(fails(), after(40))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'both-alive', host: S }, commands: [] })
      .when(says(S, absent), after(10))
      .thenIs({ ...COMPLETED, row: 'landed' });
  });

  describe('10: but where the source ran on after the destination had landed, its copy may have been moved by hand', () => {
    const two = { ...both, known: [S, D, T, U] };

    it('the other known hosts are heard, and none has it: complete', () => {
      const { play } = given({ ...two, says: { ...two.says, [T]: absent, [U]: absent } })
        .when(fails(), after(40), says(S, absent), after(10))
        .thenIs({ ...COMPLETED, row: 'landed', certainty: 'proven' });
      expect(play.questions.filter(({ host }) => host === T)).not.toEqual([]);
    });

    it('one of them has it: nobody can say which is right, and the attempt is contested', () => {
      given({ ...two, says: { ...two.says, [T]: running(), [U]: absent } })
        .when(fails(), after(40), says(S, shutOff('migrated')), after(10))
        .thenIs({ state: 'Rechecking.watching', waiting: { row: 'landed', host: S } })
        .when(toDeadline)
        .thenIs({ ...CONTESTED, row: 'landed', error: EXPLICIT });
    });

    it('one of them is silent: provisional, and locks wait', () => {
      given({ ...two, says: { ...two.says, [T]: absent, [U]: failed } })
        .when(fails(), after(40), says(S, shutOff('migrated')), toDeadline)
        .thenIs({ state: 'Completed.provisional', row: 'landed', certainty: 'provisional', commands: [] })
        .when(says(U, absent), after(300))
        .thenIs({ ...COMPLETED, row: 'landed', certainty: 'proven' });
    });

    it('the last one left lies paused: it may be the one that was out of date', () => {
      given({ ...two, says: { ...two.says, [T]: absent, [U]: absent } })
        .when(fails(), after(40), says(D, paused('user')), says(S, absent), toDeadline)
        .thenIs({ state: 'Completed.provisional', row: 'landed', certainty: 'provisional' });
    });

    it('the source had stopped again: what is left there may be the guest as well', () => {
      given(two)
        .when(fails(), after(40), says(S, paused('migrating')), toDeadline)
        .thenIs({ ...CONTESTED, row: 'switched' });
    });

    it('fencing the source proves nothing of a copy that may have left it', () => {
      given(two)
        .when(fails(), after(40), says(S, failed), fenced(), toDeadline)
        .thenIs({ state: 'Completed.provisional', row: 'silent-source', certainty: 'provisional' });
    });

    it('a source that had stopped to hand over left nothing: nobody else is asked', () => {
      const { play } = given({ says: { [S]: paused('migrating'), [D]: running() }, known: [S, D, T] })
        .when(fails(), says(S, shutOff('migrated')), after(10))
        .thenIs({ ...COMPLETED, certainty: 'proven' });
      expect(play.questions.filter(({ host }) => host === T)).toEqual([]);
    });
  });

  it('11: still so at 300 s: contested, the source stays on record, no lock and no guest is touched', () => {
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

  it('11: where both jobs are none, the alarm is raised at once', () => {
    given(both)
      .when(fails(), after(11))
      .thenIs({ state: 'Rechecking.watching', alarms: ['split-brain'] });
  });

  it('11: while the source has a job, there is no alarm yet', () => {
    given({ says: { [S]: running(jobs.out), [D]: running() } })
      .when(fails(), after(290))
      .thenIs({ state: 'Rechecking.watching', alarms: [] });
  });

  it('a guest that is back after both hosts ran it is rolled back, with an alarm', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(event(D, 'Started', 'Migrated'), event(D, 'Resumed', 'Migrated'))
      .when(says(S, running()), says(D, absent), fails())
      .thenIs({ ...ROLLED_BACK, row: 'ran-and-resumed', alarms: ['both-hosts-wrote'] });
  });

  it('the destination’s shell alone proves that its migration had begun', () => {
    given({})
      .when(event(D, 'Started', 'Migrated'), event(D, 'Resumed', 'Migrated'))
      .when(says(S, running()), says(D, absent), fails('caller-lost'))
      .thenIs({ ...ROLLED_BACK, row: 'ran-and-resumed', alarms: ['both-hosts-wrote'] });
  });

  it('a guest that somebody started on the destination while its migration was queued: the queue is waited for', () => {
    given({ says: { [S]: running(), [D]: running() } })
      .when(after(1), says(S, running()), says(D, absent), fails('caller-lost'))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'moving', host: S }, commands: [] })
      .when(after(41))
      .thenIs({ ...ROLLED_BACK, row: 'ran-and-resumed', alarms: ['both-hosts-wrote'] });
  });
});

describe('a side is silent', () => {
  it('13: source unreachable, destination running: provisional; hooks and locks move only after proof', () => {
    given({ volumes: vol })
      .when(says(S, failed), says(D, running()), fails())
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'silent-source', host: D }, commands: [] })
      .when(toDeadline)
      .thenIs({ state: 'Completed.provisional', row: 'silent-source', certainty: 'provisional', host: D, commands: [] })
      .when(fenced())
      .thenIs({
        ...COMPLETED,
        row: 'silent-source',
        verdicts: 2,
        commands: ['post-migrate', `release-lock ${S} vol-1`],
      });
  });

  it('13: the source answering gone is proof as well', () => {
    given({ volumes: vol, says: { [S]: failed, [D]: running() } })
      .when(fails(), toDeadline, says(S, absent), event(D, 'Resumed', 'Migrated'))
      .thenIs({ ...COMPLETED, row: 'landed', verdicts: 2, commands: ['post-migrate', `release-lock ${S} vol-1`] });
  });

  it('13: a source that handed over, and a destination that does not answer: provisional', () => {
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

  it('14: source running, destination unreachable: contested; its locks are not released', () => {
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

  it('15: both unreachable: nothing is known, the owner stays', () => {
    given({ volumes: vol, says: { [S]: failed, [D]: failed } })
      .when(fails(), toDeadline, acksAll)
      .thenIs({ ...CONTESTED, row: 'silence', certainty: 'unknown', commands: ['failed-to-migrate', 'fail-call'] });
  });

  it('gone from the source without a hand-over, destination silent: the call fails, nothing else', () => {
    given({ volumes: vol, says: { [S]: absent } })
      .when(fails(), toDeadline, after(5), acksAll)
      .thenIs({ ...CONTESTED, row: 'silent-destination-gone', commands: ['fail-call'] });
  });

  it.each([
    ['an error', failed],
    ['an empty answer', { ok: false, domain: null } as const],
    ['no answer', 'silent'],
    ['a listing that a stray process belies', { ok: true, domain: null, strayProcess: true } as const],
  ] as const)('28: %s is unknown, never absent', (_name, saying) => {
    given({ says: { [S]: saying, [D]: saying } })
      .when(fails(), after(5), after(1))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'silence', host: S } });
  });

  it('28: a late answer still counts', () => {
    given({ says: { [D]: running() } })
      .when(fails(), after(6))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'silent-source', host: D } })
      .when(says(S, absent))
      .thenIs({ ...COMPLETED, row: 'landed' });
  });
});

describe('a third host', () => {
  const nowhere = { says: { [S]: absent, [D]: absent, [T]: absent, [U]: absent }, known: [S, D, T, U] };

  it('17: has the guest, and all others lack it: the record follows', () => {
    given({ ...nowhere, says: { ...nowhere.says, [T]: running() } })
      .when(fails())
      .thenIs({ ...COMPLETED, row: 'elsewhere', host: T, alarms: ['landed-elsewhere'] });
  });

  it('17: has the guest, though the source had handed it over to the destination', () => {
    given({ ...nowhere, says: { ...nowhere.says, [T]: running() } })
      .when(event(S, 'Stopped', 'Migrated'), fails())
      .thenIs({ ...COMPLETED, row: 'elsewhere', host: T });
  });

  it('17: is not adopted while another one owes its answer', () => {
    given({ ...nowhere, says: { ...nowhere.says, [T]: running(), [U]: failed } })
      .when(fails(), toDeadline)
      .thenIs({ ...CONTESTED, row: 'nowhere' });
  });

  it('19: two of them have the guest: contested at once', () => {
    given({ ...nowhere, says: { ...nowhere.says, [T]: running(), [U]: running() } })
      .when(fails())
      .thenIs({ ...CONTESTED, row: 'elsewhere', error: EXPLICIT, alarms: ['landed-elsewhere'] });
  });

  it('17: lies paused there, though its CPUs had run on the destination: it may be the source’s leftover', () => {
    given({ ...nowhere, says: { ...nowhere.says, [T]: paused('user') } })
      .when(event(D, 'Started', 'Migrated'), event(D, 'Resumed', 'Migrated'), event(S, 'Stopped', 'Migrated'), fails())
      .thenIs({ ...CONTESTED, row: 'elsewhere', error: EXPLICIT });
  });

  it('a guest that moves on while they are asked is found by the second round', () => {
    const { play } = given({ ...nowhere, says: { ...nowhere.says, [T]: 'silent' } }).when(
      event(S, 'Stopped', 'Migrated'),
      fails(),
    );
    // It left the third host before that answered, for the source, which had answered.
    play.says(S, 'silent');
    play.says(T, absent);
    play.says(S, running());
    expect(play.verdicts).toEqual([]);
    expect(play.attempt.waiting?.row).toBe('moving');
  });

  it('a round that hears nobody from one of them begins the search anew', () => {
    const { play } = given(nowhere).when(fails(), after(5));
    expect(play.attempt.emptySequence).toBeTypeOf('number');
    play.says(T, 'silent');
    play.wait(20);
    expect(play.attempt.emptySequence).toBeUndefined();
  });

  it('every known host is heard before a guest is called stopped on the source', () => {
    given(nowhere)
      .when(fails(), after(299))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'nowhere', host: S } })
      .when(after(1))
      .thenIs({ ...ROLLED_BACK, row: 'nowhere' });
  });
});

describe('answers that are no evidence', () => {
  it('20: a domain of the same name and another UUID is a listing that lacks the guest', () => {
    given({ says: { [S]: running(jobs.out), [D]: absent } })
      .when(fails(), says(S, running()), after(10))
      .thenIs({ ...ROLLED_BACK, row: 'stayed' });
  });

  it('29: the answer to a question asked before the call returned makes no verdict', () => {
    given()
      .when(fails(), answers(S, 1, absent), answers(D, 2, running()))
      .thenIs({ state: 'ApiFailed', verdicts: 0 });
  });

  it('29: nor does what the hosts said before, however plain', () => {
    given({ says: { [S]: absent, [D]: running() } })
      .when(says(S, 'silent'), says(D, 'silent'), fails(), after(60))
      .thenIs({ verdicts: 0, waiting: { row: 'silence', host: S } });
  });

  it('29: on the source another boot proves only absence', () => {
    given({ says: { [S]: { ...running(), boot: 'alpha-boot-2' }, [D]: running() } })
      .when(fails(), toDeadline)
      .thenIs({ state: 'Completed.provisional', row: 'silent-source' });
    given({ says: { [S]: { ...absent, boot: 'alpha-boot-2' }, [D]: running() } })
      .when(fails())
      .thenIs({ ...COMPLETED, row: 'landed' });
  });

  it('32: the answer to an older attempt’s question is ignored', () => {
    const old = running();
    given()
      .when(fails())
      .when(answers(S, 3, absent, 'm0'), answers(D, 4, old, 'm0'))
      .thenNothingHappened();
  });

  it('32: so is the answer to a question that was never asked', () => {
    given()
      .when(fails())
      .when(answers(S, 999, absent), answers(T, 3, absent))
      .thenNothingHappened();
  });
});

describe('late evidence', () => {
  const rolledBack = () =>
    given({ says: { [S]: running(), [D]: absent }, volumes: vol }).when(fails('libvirt'), acksAll);

  it('27: the guest arrives after the rollback: reopened, alarmed, and a new verdict beside the old one', () => {
    rolledBack()
      .thenIs({ state: 'RolledBack.settled', row: 'stayed' })
      .when(says(S, absent), says(D, running()), event(D, 'Resumed', 'Migrated'))
      .thenIs({ ...COMPLETED, row: 'landed', verdicts: 2, alarms: ['verdict-contradicted'] });
  });

  it('27: the guest runs on both hosts after the rollback: open again, with a deadline of its own', () => {
    rolledBack()
      .when(says(D, running()), event(D, 'Resumed', 'Migrated'))
      .thenIs({ state: 'Rechecking.watching', verdicts: 1 })
      .when(toDeadline)
      .thenIs({ ...CONTESTED, row: 'both-alive', verdicts: 2 });
  });

  it('27: an event that the answers do not bear out leaves the verdict as it is', () => {
    rolledBack()
      .when(event(D, 'Resumed', 'Migrated'))
      .thenIs({ state: 'RolledBack.settled', verdicts: 1, commands: [], alarms: [] });
  });

  it('27: a success that is reported after the rollback is asked about', () => {
    rolledBack()
      .when(says(S, absent), says(D, running()), succeeds)
      .thenIs({ ...COMPLETED, row: 'landed', verdicts: 2 });
  });

  it('27: a contested attempt is settled by what comes late', () => {
    given({ says: { [S]: running(), [D]: running() }, volumes: vol })
      .when(fails(), toDeadline, acksAll)
      .thenIs({ ...CONTESTED, row: 'both-alive' })
      .when(says(S, shutOff('migrated')), event(S, 'Stopped', 'Migrated'))
      .thenIs({ ...COMPLETED, row: 'landed', verdicts: 2 });
  });

  it('27: and keeps asking by itself', () => {
    given({ says: { [S]: running(), [D]: running() } })
      .when(fails(), toDeadline, says(S, absent), after(300))
      .thenIs({ ...COMPLETED, row: 'landed', verdicts: 2 });
  });
});

describe('settings', () => {
  it('47: where the interval equals the timeout there is still a final round', () => {
    given({
      configuration: { ...defaultConfiguration, recheckIntervalSeconds: 300 },
      says: { [S]: running(jobs.out), [D]: shell },
    })
      .when(fails(), says(S, absent), says(D, running()), after(300))
      .thenIs({ ...COMPLETED, row: 'landed' });
  });

  it('the timeout is that of the call’s return', () => {
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
