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

describe('an attempt whose guest is on one host', () => {
  it('completes if the source is empty and the destination runs (scenario 1)', () => {
    given({ volumes: vol })
      .when(says(S, absent), says(D, running(jobs.none, 'migrated')), fails())
      .thenIs({ ...COMPLETED, row: 'landed', error: null, commands: ['post-migrate', `release-lock ${S} vol-1`] })
      .when(acksAll)
      .thenIs({ state: 'Completed.settled', commands: ['after-migrate', `acquire-lock ${D} vol-1`] });
  });

  it('rolls back after a libvirt error if the destination is empty (scenario 2)', () => {
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

  it('rolls back after the migration job of the source ended (scenario 2)', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(fails('connection'))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'moving', host: S } })
      .when(says(S, running()), says(D, absent), after(10))
      .thenIs({ ...ROLLED_BACK, row: 'stayed' });
  });

  it('rolls back after two rounds without changes, 35 s apart (scenario 2)', () => {
    given({ says: { [S]: running(), [D]: absent } })
      .when(fails('connection'), after(30))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'moving', host: S } })
      .when(after(10))
      .thenIs({ ...ROLLED_BACK, row: 'stayed' });
  });

  it('completes for a guest that a user paused before (scenario 5)', () => {
    given({ origin: 'paused' })
      .when(says(S, absent), says(D, paused('user')), fails())
      .thenIs({ ...COMPLETED, row: 'landed', commands: ['post-migrate'], alarms: [] })
      .when(acksAll)
      .thenIs({ state: 'Completed.settled', commands: ['after-migrate'] });
  });

  it('completes and raises an alarm for a guest with I/O errors (scenario 6)', () => {
    given()
      .when(says(S, absent), says(D, paused('I/O error')), fails())
      .thenIs({ ...COMPLETED, row: 'landed', alarms: ['guest-broken'] });
  });

  it('rolls back if the guest crashed during the migration (scenario 22)', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(shellCameAndWent, says(S, crashed()), says(D, absent), fails())
      .thenIs({ ...ROLLED_BACK, row: 'nowhere', alarms: ['guest-stopped'] });
  });

  it('is contested after a crash if storage was copied (scenario 22)', () => {
    given({ storageCopied: true })
      .when(says(S, crashed()), says(D, absent), fails(), toDeadline)
      .thenIs({ ...CONTESTED, row: 'nowhere', error: EXPLICIT });
  });

  it('completes although the migration call returned an error (scenario 25)', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(event(D, 'Resumed', 'Migrated'), event(S, 'Stopped', 'Migrated'))
      .when(says(S, absent), says(D, running()), fails('libvirt', 'lost the reply of finish'))
      .thenIs({ ...COMPLETED, row: 'landed' });
  });

  it('ignores a reported success if the destination is empty (scenario 26)', () => {
    given({ says: { [S]: running(), [D]: absent } })
      .when(succeeds)
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'moving', host: S } })
      .when(after(40))
      .thenIs({ ...ROLLED_BACK, row: 'stayed', error: /reported success, but the guest is on alpha/ });
  });

  it('completes at once if both hosts confirm a successful call', () => {
    given()
      .when(says(S, absent), says(D, running()), succeeds)
      .thenIs({ ...COMPLETED, row: 'landed' });
  });
});

describe('an attempt whose guest is still moving', () => {
  it('stays open until the deadline and then becomes contested (scenario 3)', () => {
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

  it('never completes with an incomplete guest after the source crashed (scenario 4)', () => {
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

  it('completes after the switch-over when the source’s job ends (scenario 7)', () => {
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

  it('completes at the deadline if the switch-over has happened (scenario 7)', () => {
    given({ says: { [S]: paused('migrating', jobs.out), [D]: running() } })
      .when(fails(), toDeadline)
      .thenIs({ ...COMPLETED, row: 'switched', final: true });
  });

  it('resumes a stalled source only after its lock is acquired (scenario 8)', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell }, volumes: vol })
      .when(shellCameAndWent, says(S, paused('migrating')), says(D, absent), fails())
      .thenIs({ ...ROLLED_BACK, row: 'stalled', commands: ['failed-to-migrate'] })
      .when(acksAll)
      .thenIs({
        state: 'RolledBack.settled',
        commands: [`release-lock ${D} vol-1`, 'fail-call', `acquire-lock ${S} vol-1`, `resume-guest ${S}`],
      });
  });

  it('is contested if the destination may have run the guest (scenario 8)', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(event(D, 'Started', 'Migrated'), event(D, 'Resumed', 'Migrated'), event(D, 'Stopped', 'Failed'))
      .when(says(S, paused('migrating')), says(D, absent), fails(), toDeadline, acksAll)
      .thenIs({ ...CONTESTED, row: 'ran-and-died', error: EXPLICIT, commands: ['failed-to-migrate', 'fail-call'] });
  });

  it('offers to destroy the shell and rolls back after that (scenario 8)', () => {
    given({ says: { [S]: paused('migrating'), [D]: shell } })
      .when(fails(), toDeadline)
      .thenIs({ ...CONTESTED, row: 'stalled-shell', offers: ['destroy the shell on the destination'] })
      .when(says(D, absent), event(D, 'Stopped', 'Destroyed'))
      .thenIs({ ...ROLLED_BACK, row: 'stalled', verdicts: 2 });
  });

  it('uses the answers of the final round at the deadline (scenario 12)', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(fails(), after(299.999), says(S, absent), says(D, running()), after(0.001))
      .thenIs({ ...COMPLETED, row: 'landed' });
  });

  it('stays open during a post-copy migration and completes after it (scenario 43)', () => {
    given({ says: { [S]: paused('post-copy', jobs.out), [D]: running(jobs.incoming, 'post-copy') } })
      .when(fails(), after(100))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'postcopy', host: S }, commands: [] })
      .when(says(S, absent), says(D, running()), after(10))
      .thenIs({ ...COMPLETED, row: 'landed' });
  });

  it('is contested if a post-copy migration lasts beyond the deadline (scenario 43)', () => {
    given({ says: { [S]: paused('post-copy', jobs.out), [D]: running(jobs.incoming, 'post-copy') } })
      .when(fails(), toDeadline, acksAll)
      .thenIs({ ...CONTESTED, row: 'postcopy', commands: ['failed-to-migrate', 'fail-call'] });
  });

  it('is contested after a failed post-copy migration and offers recovery (scenario 44)', () => {
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

describe('a failed post-copy migration with one remaining host', () => {
  it('offers no recovery of the lost guest (scenario 44)', () => {
    given({ says: { [S]: paused('post-copy failed'), [D]: absent } })
      .when(fails(), toDeadline)
      .thenIs({ ...CONTESTED, row: 'torn', offers: [] });
  });
});

describe('a stream gap after a verdict', () => {
  it('prevents a contested attempt from resuming the source (scenario 8)', () => {
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

describe('a second migration call from the source of an unsettled attempt', () => {
  it('does not treat the guest on the destination as its own result', () => {
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

  it('is settled by two unchanged rounds if the source runs', () => {
    given({ says: { [S]: running(), [D]: failed } })
      .when(fails('caller-timeout'), toDeadline)
      .thenIs({ ...CONTESTED, row: 'silent-destination' })
      .when(...quiet, after(301))
      .thenIs({ state: 'RolledBack.contested', verdicts: 1 })
      .when(after(301))
      .thenIs({ ...ROLLED_BACK, row: 'stayed' });
  });

  it('is settled by two unchanged rounds after a provisional completion', () => {
    given({ says: { [S]: failed, [D]: running() } })
      .when(fails('caller-timeout'), toDeadline)
      .thenIs({ state: 'Completed.provisional', row: 'silent-source' })
      .when(...quiet, after(301), after(301))
      .thenIs({ state: 'RolledBack.settling', row: 'ran-and-resumed' });
  });
});

describe('an attempt whose guest is on both hosts', () => {
  const both = { says: { [S]: running(), [D]: running() }, volumes: vol };

  it('completes if the guest disappears from the source after 40 s (scenario 10)', () => {
    given(both)
      .when(fails(), after(40))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'both-alive', host: S }, commands: [] })
      .when(says(S, absent), after(10))
      .thenIs({ ...COMPLETED, row: 'landed' });
  });

  describe('with a possible second copy (scenario 10)', () => {
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

    it('does not settle if the last copy is paused', () => {
      given({ ...two, says: { ...two.says, [T]: absent, [U]: absent } })
        .when(fails(), after(40), says(D, paused('user')), says(S, absent), toDeadline)
        .thenIs({ state: 'Completed.provisional', row: 'landed', certainty: 'provisional' });
    });

    it('does not settle if the source has a paused copy', () => {
      given(two)
        .when(fails(), after(40), says(S, paused('migrating')), toDeadline)
        .thenIs({ ...CONTESTED, row: 'switched' });
    });

    it('is not proven after the source was fenced', () => {
      given(two)
        .when(fails(), after(40), says(S, failed), fenced(), toDeadline)
        .thenIs({ state: 'Completed.provisional', row: 'landed', certainty: 'provisional' });
    });

    it('asks no other host if the source stopped for the hand-over', () => {
      const { play } = given({ says: { [S]: paused('migrating'), [D]: running() }, known: [S, D, T] })
        .when(fails(), says(S, shutOff('migrated')), after(10))
        .thenIs({ ...COMPLETED, certainty: 'proven' });
      expect(play.questions.filter(({ host }) => host === T)).toEqual([]);
    });
  });

  it('is contested at 300 s and sends no commands (scenario 11)', () => {
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

  it('raises the alarm at once if neither host reports a job (scenario 11)', () => {
    given(both)
      .when(fails(), after(11))
      .thenIs({ state: 'Rechecking.watching', alarms: ['split-brain'] });
  });

  it('raises no alarm while the source reports a job (scenario 11)', () => {
    given({ says: { [S]: running(jobs.out), [D]: running() } })
      .when(fails(), after(290))
      .thenIs({ state: 'Rechecking.watching', alarms: [] });
  });

  it('rolls back and raises an alarm after both hosts ran the guest', () => {
    given({ says: { [S]: running(jobs.out), [D]: shell } })
      .when(event(D, 'Started', 'Migrated'), event(D, 'Resumed', 'Migrated'))
      .when(says(S, running()), says(D, absent), fails())
      .thenIs({ ...ROLLED_BACK, row: 'ran-and-resumed', alarms: ['both-hosts-wrote'] });
  });

  it('treats a shell on the destination as proof of a begun migration', () => {
    given({})
      .when(event(D, 'Started', 'Migrated'), event(D, 'Resumed', 'Migrated'))
      .when(says(S, running()), says(D, absent), fails('caller-lost'))
      .thenIs({ ...ROLLED_BACK, row: 'ran-and-resumed', alarms: ['both-hosts-wrote'] });
  });

  it('stays open for a queued migration although the destination ran the guest', () => {
    given({ says: { [S]: running(), [D]: running() } })
      .when(after(1), says(S, running()), says(D, absent), fails('caller-lost'))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'moving', host: S }, commands: [] })
      .when(after(41))
      .thenIs({ ...ROLLED_BACK, row: 'ran-and-resumed', alarms: ['both-hosts-wrote'] });
  });
});

describe('an attempt with a silent host', () => {
  it('completes provisionally if only the source is silent (scenario 13)', () => {
    given({ volumes: vol })
      .when(says(S, failed), says(D, running()), fails())
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'silent-source', host: D }, commands: [] })
      .when(toDeadline)
      .thenIs({ state: 'Completed.provisional', row: 'silent-source', certainty: 'provisional', host: D, commands: [] })
      .when(fenced())
      .thenIs({ ...COMPLETED, row: 'landed', verdicts: 2, commands: ['post-migrate', `acquire-lock ${D} vol-1`] });
  });

  it('becomes proven after the source reports no guest (scenario 13)', () => {
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

  it('keeps the recorded owner if both hosts are silent (scenario 15)', () => {
    given({ volumes: vol, says: { [S]: failed, [D]: failed } })
      .when(fails(), toDeadline, acksAll)
      .thenIs({ ...CONTESTED, row: 'silence', certainty: 'unknown', commands: ['failed-to-migrate', 'fail-call'] });
  });

  it('sends only fail-call if the source is empty, the destination silent', () => {
    given({ volumes: vol, says: { [S]: absent } })
      .when(fails(), toDeadline, after(5), acksAll)
      .thenIs({ ...CONTESTED, row: 'silent-destination-gone', commands: ['fail-call'] });
  });

  it.each([
    ['an error', failed],
    ['an empty answer', { ok: false, domain: null } as const],
    ['no answer', 'silent'],
    ['a listing contradicted by a stray process', { ok: true, domain: null, strayProcess: true } as const],
  ] as const)('treats the answer "%s" as unknown, never as absent (scenario 28)', (_name, saying) => {
    given({ says: { [S]: saying, [D]: saying } })
      .when(fails(), after(5), after(1))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'silence', host: S } });
  });

  it('uses an answer that arrives late (scenario 28)', () => {
    given({ says: { [D]: running() } })
      .when(fails(), after(6))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'silent-source', host: D } })
      .when(says(S, absent))
      .thenIs({ ...COMPLETED, row: 'landed' });
  });
});

describe('a third host', () => {
  const nowhere = { says: { [S]: absent, [D]: absent, [T]: absent, [U]: absent }, known: [S, D, T, U] };

  it('is recorded if no other host has the guest (scenario 17)', () => {
    given({ ...nowhere, says: { ...nowhere.says, [T]: running() } })
      .when(fails())
      .thenIs({ ...COMPLETED, row: 'elsewhere', host: T, alarms: ['landed-elsewhere'] });
  });

  it('is recorded even after a hand-over to the destination (scenario 17)', () => {
    given({ ...nowhere, says: { ...nowhere.says, [T]: running() } })
      .when(event(S, 'Stopped', 'Migrated'), fails())
      .thenIs({ ...COMPLETED, row: 'elsewhere', host: T });
  });

  it('is not recorded while another host is silent (scenario 17)', () => {
    given({ ...nowhere, says: { ...nowhere.says, [T]: running(), [U]: failed } })
      .when(fails(), toDeadline)
      .thenIs({ ...CONTESTED, row: 'nowhere' });
  });

  it('makes the attempt contested if another third host has the guest (scenario 19)', () => {
    given({ ...nowhere, says: { ...nowhere.says, [T]: running(), [U]: running() } })
      .when(fails())
      .thenIs({ ...CONTESTED, row: 'elsewhere', error: EXPLICIT, alarms: ['landed-elsewhere'] });
  });

  it('is not recorded for a paused copy after the destination ran (scenario 17)', () => {
    given({ ...nowhere, says: { ...nowhere.says, [T]: paused('user') } })
      .when(event(D, 'Started', 'Migrated'), event(D, 'Resumed', 'Migrated'), event(S, 'Stopped', 'Migrated'), fails())
      .thenIs({ ...CONTESTED, row: 'elsewhere', error: EXPLICIT });
  });

  it('is found in the second round if the guest moves meanwhile', () => {
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

  it('causes a new search for the guest if it does not answer', () => {
    const { play } = given(nowhere).when(fails(), after(5));
    expect(play.attempt.emptySequence).toBeTypeOf('number');
    play.says(T, 'silent');
    play.wait(20);
    expect(play.attempt.emptySequence).toBeUndefined();
  });

  it('must answer before the guest is recorded as stopped on the source', () => {
    given(nowhere)
      .when(fails(), after(299))
      .thenIs({ state: 'Rechecking.watching', waiting: { row: 'nowhere', host: S } })
      .when(after(1))
      .thenIs({ ...ROLLED_BACK, row: 'nowhere' });
  });
});

describe('the evidence of an attempt', () => {
  it('excludes an answer about a domain with another UUID (scenario 20)', () => {
    given({ says: { [S]: running(jobs.out), [D]: absent } })
      .when(fails(), says(S, running()), after(10))
      .thenIs({ ...ROLLED_BACK, row: 'stayed' });
  });

  it('excludes an answer to a question from before the return (scenario 29)', () => {
    given()
      .when(fails(), answers(S, 1, absent), answers(D, 2, running()))
      .thenIs({ state: 'ApiFailed', verdicts: 0 });
  });

  it('excludes every answer from before the return of the call (scenario 29)', () => {
    given({ says: { [S]: absent, [D]: running() } })
      .when(says(S, 'silent'), says(D, 'silent'), fails(), after(60))
      .thenIs({ verdicts: 0, waiting: { row: 'silence', host: S } });
  });

  it('excludes an answer from another boot of the source (scenario 29)', () => {
    given({ says: { [S]: { ...running(), boot: 'alpha-boot-2' }, [D]: running() } })
      .when(fails(), toDeadline)
      .thenIs({ state: 'Completed.provisional', row: 'silent-source' });
    given({ says: { [S]: { ...absent, boot: 'alpha-boot-2' }, [D]: running() } })
      .when(fails())
      .thenIs({ ...COMPLETED, row: 'landed' });
  });

  it('excludes an answer to a question of an older attempt (scenario 32)', () => {
    const old = running();
    given()
      .when(fails())
      .when(answers(S, 3, absent, 'm0'), answers(D, 4, old, 'm0'))
      .thenNothingHappened();
  });

  it('excludes an answer to a question that was never asked (scenario 32)', () => {
    given()
      .when(fails())
      .when(answers(S, 999, absent), answers(T, 3, absent))
      .thenNothingHappened();
  });
});

describe('evidence after a verdict', () => {
  const rolledBack = () =>
    given({ says: { [S]: running(), [D]: absent }, volumes: vol }).when(fails('libvirt'), acksAll);

  it('causes a new verdict if the guest arrives after the rollback (scenario 27)', () => {
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

  it('does not change a verdict that the answers confirm (scenario 27)', () => {
    rolledBack()
      .when(event(D, 'Resumed', 'Migrated'))
      .thenIs({ state: 'RolledBack.settled', verdicts: 1, commands: [], alarms: [] });
  });

  it('causes a new round after a late report of success (scenario 27)', () => {
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

describe('the settings recheck interval and timeout', () => {
  it('start a final round if both have the same value (scenario 47)', () => {
    given({
      configuration: { ...defaultConfiguration, recheckIntervalSeconds: 300 },
      says: { [S]: running(jobs.out), [D]: shell },
    })
      .when(fails(), says(S, absent), says(D, running()), after(300))
      .thenIs({ ...COMPLETED, row: 'landed' });
  });

  it('apply as configured at the return of the call', () => {
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
