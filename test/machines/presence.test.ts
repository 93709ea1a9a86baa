import { describe, expect, it, test } from 'vitest';
import type { Answer } from '../../events/attempt.ts';
import { type DomainJob, type DomainReason, type DomainState, reasonsOf, stateWords } from '../../events/libvirt.ts';
import type { Presence } from '../../events/vocabulary.ts';
import { provesRan, type Role, ranOf, readAnswer } from '../../machines/presence.ts';

const answer = (
  state: DomainState,
  reason: DomainReason,
  job: DomainJob = 'none',
  over: Partial<Answer> = {},
): Answer => ({
  asked: 3,
  arrived: 4,
  ok: true,
  domain: { name: 'web-1', state, reason, job },
  boot: 'boot-1',
  ...over,
});
const listing = (over: Partial<Answer> = {}): Answer => ({
  asked: 3,
  arrived: 4,
  ok: true,
  domain: null,
  boot: 'boot-1',
  ...over,
});

type Context = Parameters<typeof readAnswer>[1];
const as = (role: Role, over: Partial<Context> = {}): Context => ({
  role,
  handedOver: false,
  ran: false,
  sourceBoot: 'boot-1',
  ...over,
});
const seen = (given: Answer, context: Context): Presence => readAnswer(given, context).presence;

describe('the migration job of an answer', () => {
  test.each(['none', 'outgoing', 'incoming', 'unknown'] as const)('is %s if libvirt reports that job', (job) => {
    expect(readAnswer(answer('running', 'booted', job), as('source')).job).toBe(job);
  });

  it('is none while another job runs', () => {
    expect(readAnswer(answer('running', 'booted', 'other'), as('source')).job).toBe('none');
  });
});

/**
 * The expected presences of a domain without a job: state, reason, and presence on the source, the destination and a
 * third host.
 */
const quiet: readonly (readonly [DomainState, DomainReason, Presence, Presence, Presence])[] = [
  ['running', 'unknown', 'executing', 'executing', 'executing'],
  ['running', 'booted', 'executing', 'executing', 'executing'],
  ['running', 'migrated', 'executing', 'executing', 'executing'],
  ['running', 'restored', 'executing', 'executing', 'executing'],
  ['running', 'from snapshot', 'executing', 'executing', 'executing'],
  ['running', 'unpaused', 'executing', 'executing', 'executing'],
  ['running', 'migration canceled', 'executing', 'executing', 'executing'],
  ['running', 'save canceled', 'executing', 'executing', 'executing'],
  ['running', 'event wakeup', 'executing', 'executing', 'executing'],
  ['running', 'crashed', 'executing', 'executing', 'executing'],
  ['running', 'post-copy', 'postcopy', 'postcopy', 'postcopy'],
  ['running', 'post-copy failed', 'postcopy-failed', 'postcopy-failed', 'postcopy-failed'],
  ['paused', 'user', 'suspended', 'suspended', 'suspended'],
  ['paused', 'saving', 'suspended', 'suspended', 'suspended'],
  ['paused', 'dumping', 'suspended', 'suspended', 'suspended'],
  ['paused', 'creating snapshot', 'suspended', 'suspended', 'suspended'],
  ['paused', 'from snapshot', 'suspended', 'suspended', 'suspended'],
  ['paused', 'watchdog', 'suspended', 'suspended', 'suspended'],
  ['paused', 'shutting down', 'suspended', 'suspended', 'suspended'],
  ['paused', 'I/O error', 'broken', 'broken', 'broken'],
  ['paused', 'crashed', 'broken', 'broken', 'broken'],
  ['paused', 'migrating', 'switching', 'unknown', 'unknown'],
  ['paused', 'unknown', 'switching', 'unknown', 'unknown'],
  ['paused', 'api error', 'switching', 'unknown', 'unknown'],
  ['paused', 'post-copy', 'postcopy', 'postcopy', 'postcopy'],
  ['paused', 'post-copy failed', 'postcopy-failed', 'postcopy-failed', 'postcopy-failed'],
  ['paused', 'starting up', 'unknown', 'unknown', 'unknown'],
  ['in shutdown', 'unknown', 'suspended', 'suspended', 'suspended'],
  ['in shutdown', 'user', 'suspended', 'suspended', 'suspended'],
  ['pmsuspended', 'unknown', 'suspended', 'suspended', 'suspended'],
  ['idle', 'unknown', 'suspended', 'suspended', 'suspended'],
  ['shut off', 'unknown', 'off', 'off', 'off'],
  ['shut off', 'shutdown', 'off', 'off', 'off'],
  ['shut off', 'destroyed', 'off', 'off', 'off'],
  ['shut off', 'crashed', 'off', 'off', 'off'],
  ['shut off', 'migrated', 'off', 'off', 'off'],
  ['shut off', 'saved', 'off', 'off', 'off'],
  ['shut off', 'failed', 'off', 'off', 'off'],
  ['shut off', 'from snapshot', 'off', 'off', 'off'],
  ['shut off', 'daemon', 'off', 'off', 'off'],
  ['crashed', 'unknown', 'off', 'off', 'off'],
  ['crashed', 'panicked', 'broken', 'broken', 'broken'],
  ['no state', 'unknown', 'unknown', 'unknown', 'unknown'],
];

describe('the table of presences', () => {
  test('contains every state with every reason', () => {
    const all = stateWords.flatMap((state) => reasonsOf(state).map((reason) => `${state} (${reason})`));
    expect(quiet.map(([state, reason]) => `${state} (${reason})`).sort()).toEqual(all.sort());
  });
});

describe.each(quiet)(
  'the presence of a domain that is %s (%s) without a job',
  (state, reason, source, destination, other) => {
    it(`is ${source} on the source, ${destination} on the destination, ${other} elsewhere`, () => {
      expect(seen(answer(state, reason), as('source'))).toBe(source);
      expect(seen(answer(state, reason), as('destination'))).toBe(destination);
      expect(seen(answer(state, reason), as('other'))).toBe(other);
    });
  },
);

describe('the presence of a domain with a migration job', () => {
  const known = quiet.filter(([state, reason]) => state === 'paused' && !reason.startsWith('post-copy'));

  test.each(known)('is incoming for %s (%s) with an incoming job on the destination', (state, reason) => {
    expect(seen(answer(state, reason, 'incoming'), as('destination'))).toBe('incoming');
  });

  test.each(known)('is postcopy for %s (%s) with an incoming job after a run', (state, reason) => {
    expect(seen(answer(state, reason, 'incoming'), as('destination', { ran: true }))).toBe('postcopy');
  });

  test.each(['user', 'I/O error'] as const)(
    'is unknown for paused (%s) with an unknown job on the destination',
    (reason) => {
      expect(seen(answer('paused', reason, 'unknown'), as('destination'))).toBe('unknown');
    },
  );

  test.each(['outgoing', 'none', 'unknown'] as const)(
    'is suspended for paused (user) with job %s on the source',
    (job) => {
      expect(seen(answer('paused', 'user', job), as('source'))).toBe('suspended');
    },
  );

  test.each(['outgoing', 'none', 'unknown'] as const)(
    'is switching for paused (migrating) with job %s on the source',
    (job) => {
      expect(seen(answer('paused', 'migrating', job), as('source'))).toBe('switching');
    },
  );

  test.each(['outgoing', 'incoming', 'none', 'unknown'] as const)(
    'is executing for a running domain with job %s',
    (job) => {
      for (const role of ['source', 'destination', 'other'] as const)
        expect(seen(answer('running', 'migrated', job), as(role))).toBe('executing');
    },
  );

  test.each(['outgoing', 'incoming', 'none', 'unknown'] as const)(
    'is postcopy or postcopy-failed for a post-copy domain with job %s',
    (job) => {
      expect(seen(answer('paused', 'post-copy', job), as('source'))).toBe('postcopy');
      expect(seen(answer('running', 'post-copy', job), as('destination'))).toBe('postcopy');
      expect(seen(answer('paused', 'post-copy failed', job), as('source'))).toBe('postcopy-failed');
    },
  );

  it('is returned together with the job', () => {
    expect(readAnswer(answer('running', 'booted', 'outgoing'), as('source')).job).toBe('outgoing');
    expect(readAnswer(answer('running', 'booted', 'unknown'), as('source')).job).toBe('unknown');
  });

  it('is returned with the job none if the domain is off', () => {
    expect(readAnswer(answer('shut off', 'destroyed', 'unknown'), as('source')).job).toBe('none');
    expect(readAnswer(listing(), as('destination')).job).toBe('none');
  });
});

describe('the presence absent', () => {
  it('follows from a complete listing without the guest', () => {
    for (const role of ['source', 'destination', 'other'] as const) expect(seen(listing(), as(role))).toBe('absent');
  });

  test.each(['error: failed to get domain', 'Connection refused', 'timeout', ''])(
    'does not follow from the failed answer %j',
    (error) => {
      const reading = readAnswer(listing({ ok: false, error }), as('source'));
      expect(reading).toEqual({ presence: 'unknown', job: 'unknown', words: error });
    },
  );

  it('does not follow from a domain state outside the vocabulary', () => {
    const reading = readAnswer(listing({ ok: false, unknownWords: 'paused (frozen)' }), as('destination'));
    expect(reading).toEqual({ presence: 'unknown', job: 'unknown', words: 'paused (frozen)' });
  });

  it('does not follow from an empty error, silence or a missing question', () => {
    expect(seen(listing({ ok: false }), as('destination'))).toBe('unknown');
    expect(seen(listing({ ok: false, timedOut: true }), as('destination'))).toBe('unknown');
    expect(readAnswer(null, as('destination')).presence).toBe('unknown');
  });

  it('does not follow from a failed answer that contains a domain', () => {
    expect(seen(answer('running', 'booted', 'none', { ok: false }), as('source'))).toBe('unknown');
  });

  it('does not follow from a listing if a QEMU process remains', () => {
    for (const given of [
      listing({ strayProcess: true }),
      answer('shut off', 'failed', 'none', { strayProcess: true }),
    ]) {
      expect(readAnswer(given, as('source', { handedOver: true }))).toMatchObject({
        presence: 'unknown',
        notice: 'stray-process',
      });
      expect(readAnswer(given, as('destination'))).toMatchObject({ presence: 'unknown', notice: 'stray-process' });
    }
  });

  it('follows from a listing if no QEMU process has the UUID', () => {
    expect(readAnswer(listing({ strayProcess: false }), as('source'))).toEqual({
      presence: 'absent',
      job: 'none',
      words: 'not in the complete listing',
    });
  });

  it('is not affected by the QEMU process of a running guest', () => {
    expect(seen(answer('running', 'booted', 'none', { strayProcess: true }), as('source'))).toBe('executing');
  });
});

describe('an earlier hand-over of the source', () => {
  it.each([listing(), answer('shut off', 'migrated'), answer('shut off', 'unknown'), answer('crashed', 'unknown')])(
    'changes the presences off and absent to handed-over (%#)',
    (given) => {
      expect(seen(given, as('source', { handedOver: true }))).toBe('handed-over');
    },
  );

  it('does not change the presence of a guest still on the source', () => {
    expect(seen(answer('paused', 'migrating'), as('source', { handedOver: true }))).toBe('switching');
    expect(seen(answer('running', 'booted'), as('source', { handedOver: true }))).toBe('executing');
  });

  it('does not change the presence on other hosts', () => {
    expect(seen(listing(), as('destination', { handedOver: true }))).toBe('absent');
    expect(seen(listing(), as('other', { handedOver: true }))).toBe('absent');
  });
});

describe('an answer from another boot of the source', () => {
  const booted = { boot: 'boot-2' };

  it('has the presence unknown unless the guest is absent', () => {
    expect(seen(listing(booted), as('source'))).toBe('absent');
    for (const [state, reason, presence] of quiet) {
      const expected = presence === 'off' ? 'off' : 'unknown';
      expect(seen(answer(state, reason, 'none', booted), as('source'))).toBe(expected);
    }
  });

  it('is recognised only if both boot ids are known', () => {
    expect(seen(answer('running', 'booted', 'none', booted), as('source', { sourceBoot: null }))).toBe('executing');
    const { boot: _boot, ...unnamed } = answer('running', 'booted');
    expect(seen(unnamed, as('source'))).toBe('executing');
  });

  it('is not treated differently on other hosts', () => {
    expect(seen(answer('running', 'migrated', 'none', booted), as('destination'))).toBe('executing');
    expect(seen(answer('running', 'booted', 'none', booted), as('other'))).toBe('executing');
  });
});

describe('the presence of a guest that is starting up', () => {
  it('is incoming if the host reports an incoming job', () => {
    const reading = readAnswer(answer('paused', 'starting up', 'incoming'), as('destination'));
    expect(reading.presence).toBe('incoming');
    expect(reading.notice).toBeUndefined();
  });

  it('is unknown, with a notice, if the host reports no job', () => {
    for (const role of ['source', 'destination', 'other'] as const) {
      expect(readAnswer(answer('paused', 'starting up'), as(role))).toMatchObject({
        presence: 'unknown',
        notice: 'starting-up',
      });
    }
  });

  it('is unknown, without a notice, if the job is unknown', () => {
    const reading = readAnswer(answer('paused', 'starting up', 'unknown'), as('destination'));
    expect(reading.presence).toBe('unknown');
    expect(reading.notice).toBeUndefined();
  });
});

describe('the text of a host’s answer', () => {
  it('is copied into the result', () => {
    expect(readAnswer(answer('paused', 'I/O error'), as('source')).words).toBe('paused (I/O error)');
    expect(readAnswer(listing({ ok: false, error: 'refused' }), as('source')).words).toBe('refused');
    expect(readAnswer(listing({ ok: false, timedOut: true }), as('source')).words).toBe('no answer in time');
  });
});

describe('the evidence that the destination ran', () => {
  const history = { ran: false, unbroken: true, resumed: false, stopped: false, arrived: false };

  test.each([
    ['yes', { ran: true }, 'absent'],
    ['yes', { ran: true, unbroken: false }, 'unknown'],
    ['no', { stopped: true }, 'absent'],
    ['no', { stopped: true }, 'unknown'],
    ['no', {}, 'incoming'],
    ['maybe', {}, 'absent'],
    ['maybe', {}, 'unknown'],
    ['no', {}, 'suspended'],
    ['maybe', { unbroken: false }, 'suspended'],
    ['maybe', { resumed: true }, 'suspended'],
    ['maybe', { unbroken: false, stopped: true }, 'absent'],
    ['maybe', { unbroken: false }, 'incoming'],
    ['maybe', { resumed: true, stopped: true }, 'absent'],
    ['maybe', { resumed: true }, 'incoming'],
    ['maybe', { arrived: true, stopped: true }, 'absent'],
  ] as const)('is %s after the events %j and the presence %s', (ran, over, presence) => {
    expect(ranOf({ ...history, ...over }, presence)).toBe(ran);
  });

  test.each([
    ['executing', 'unknown', true],
    ['executing', 'paused', true],
    ['postcopy', 'running', true],
    ['postcopy', 'paused', true],
    ['suspended', 'running', true],
    ['broken', 'running', true],
    ['suspended', 'paused', false],
    ['suspended', 'unknown', false],
    ['broken', 'stopped', false],
    ['broken', 'paused', false],
    ['incoming', 'running', false],
    ['postcopy-failed', 'running', false],
    ['absent', 'running', false],
    ['off', 'running', false],
    ['unknown', 'running', false],
  ] as const)('depends on presence %s and the power before the migration %s: %s', (presence, origin, proof) => {
    expect(provesRan(presence, origin, false)).toBe(proof);
  });

  it('is not given by a suspended guest on an unbroken stream', () => {
    expect(provesRan('suspended', 'running', true)).toBe(false);
    expect(provesRan('broken', 'running', true)).toBe(true);
  });
});
