import { describe, expect, it, test } from 'vitest';
import type { Answer } from '../../events/attempt.ts';
import type { Job, Presence } from '../../events/vocabulary.ts';
import { jobOf, provesRan, type Role, ranOf, readAnswer } from '../../machines/presence.ts';

const REFUSED = 'error: Requested operation is not valid: migration statistics are available only on the source host';
const words: Record<Job, string> = {
  outgoing: '5',
  incoming: REFUSED,
  none: 'none',
  unknown: 'error: Timed out during operation',
};

const answer = (state: string, reason: string, job: Job = 'none', over: Partial<Answer> = {}): Answer => ({
  asked: 3,
  arrived: 4,
  ok: true,
  domain: { name: 'web-1', state, reason, job: words[job] },
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

describe('the job', () => {
  test.each([
    ['none', 'none'],
    ['5', 'outgoing'],
    ['4', 'incoming'],
    [REFUSED, 'incoming'],
    ['error: Requested operation is not valid: domain is not running', 'none'],
    // Other operations: start, save, restore, snapshot, snapshot revert, dump, backup, snapshot delete.
    ['1', 'none'],
    ['2', 'none'],
    ['3', 'none'],
    ['6', 'none'],
    ['7', 'none'],
    ['8', 'none'],
    ['9', 'none'],
    ['10', 'none'],
    ['', 'unknown'],
    ['None', 'unknown'],
    ['error: Timed out during operation: cannot acquire state change lock', 'unknown'],
    ['error: Failed to connect socket: Connection refused', 'unknown'],
    ['outgoing', 'unknown'],
    ['55x', 'unknown'],
    ['-5', 'unknown'],
  ] as const)('%j is %s', (given, job) => {
    expect(jobOf(given)).toBe(job);
  });
});

/** [state, reason, on the source, on the destination, on a third host], without any job. */
const quiet: readonly (readonly [string, string, Presence, Presence, Presence])[] = [
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
  ['paused', 'API error', 'switching', 'unknown', 'unknown'],
  ['paused', 'post-copy', 'postcopy', 'postcopy', 'postcopy'],
  ['paused', 'post-copy failed', 'postcopy-failed', 'postcopy-failed', 'postcopy-failed'],
  ['paused', 'starting up', 'unknown', 'unknown', 'unknown'],
  ['paused', 'some reason of tomorrow', 'unknown', 'unknown', 'unknown'],
  ['paused', '', 'unknown', 'unknown', 'unknown'],
  ['paused', 'constructor', 'unknown', 'unknown', 'unknown'],
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
  ['', '', 'unknown', 'unknown', 'unknown'],
  ['en pause', 'migration', 'unknown', 'unknown', 'unknown'],
];

describe.each(quiet)('%s (%s) without a job', (state, reason, source, destination, other) => {
  it(`is ${source} on the source, ${destination} on the destination, ${other} on a third host`, () => {
    expect(seen(answer(state, reason), as('source'))).toBe(source);
    expect(seen(answer(state, reason), as('destination'))).toBe(destination);
    expect(seen(answer(state, reason), as('other'))).toBe(other);
  });
});

describe('a job beside the state', () => {
  const pausedReasons = quiet.filter(([state, reason]) => state === 'paused' && !reason.startsWith('post-copy'));
  const known = pausedReasons.filter(([, reason]) => !['', 'constructor', 'some reason of tomorrow'].includes(reason));

  test.each(known)('%s (%s) with an incoming job is a shell on the destination', (state, reason) => {
    expect(seen(answer(state, reason, 'incoming'), as('destination'))).toBe('incoming');
  });

  test.each(known)('%s (%s) with an incoming job is post-copy on a destination that ran', (state, reason) => {
    expect(seen(answer(state, reason, 'incoming'), as('destination', { ran: true }))).toBe('postcopy');
  });

  test.each(['user', 'I/O error'])(
    'paused (%s) with a job nobody could tell is unknown on the destination',
    (reason) => {
      expect(seen(answer('paused', reason, 'unknown'), as('destination'))).toBe('unknown');
    },
  );

  test.each(['outgoing', 'none', 'unknown'] as const)(
    'a source that is paused (user) with job %s is suspended',
    (job) => {
      expect(seen(answer('paused', 'user', job), as('source'))).toBe('suspended');
    },
  );

  test.each(['outgoing', 'none', 'unknown'] as const)(
    'a source that is paused (migrating) with job %s is switching',
    (job) => {
      expect(seen(answer('paused', 'migrating', job), as('source'))).toBe('switching');
    },
  );

  test.each(['outgoing', 'incoming', 'none', 'unknown'] as const)(
    'running executes whatever the job, here %s',
    (job) => {
      for (const role of ['source', 'destination', 'other'] as const)
        expect(seen(answer('running', 'migrated', job), as(role))).toBe('executing');
    },
  );

  test.each(['outgoing', 'incoming', 'none', 'unknown'] as const)(
    'post-copy is post-copy whatever the job, here %s',
    (job) => {
      expect(seen(answer('paused', 'post-copy', job), as('source'))).toBe('postcopy');
      expect(seen(answer('running', 'post-copy', job), as('destination'))).toBe('postcopy');
      expect(seen(answer('paused', 'post-copy failed', job), as('source'))).toBe('postcopy-failed');
    },
  );

  it('is reported beside the presence', () => {
    expect(readAnswer(answer('running', 'booted', 'outgoing'), as('source')).job).toBe('outgoing');
    expect(readAnswer(answer('running', 'booted', 'unknown'), as('source')).job).toBe('unknown');
  });

  it('is none where the guest does not run', () => {
    expect(readAnswer(answer('shut off', 'destroyed', 'unknown'), as('source')).job).toBe('none');
    expect(readAnswer(listing(), as('destination')).job).toBe('none');
  });
});

describe('absence', () => {
  it('is a complete listing that lacks the guest', () => {
    for (const role of ['source', 'destination', 'other'] as const) expect(seen(listing(), as(role))).toBe('absent');
  });

  test.each(['error: failed to get domain', 'Connection refused', 'timeout', ''])(
    'is not proven by a failure: %j',
    (error) => {
      const reading = readAnswer(listing({ ok: false, error }), as('source'));
      expect(reading).toEqual({ presence: 'unknown', job: 'unknown', words: error });
    },
  );

  it('is not proven by a failure that names nothing, by silence, or by not asking', () => {
    expect(seen(listing({ ok: false }), as('destination'))).toBe('unknown');
    expect(seen(listing({ ok: false, timedOut: true }), as('destination'))).toBe('unknown');
    expect(readAnswer(null, as('destination')).presence).toBe('unknown');
  });

  it('is not proven by a failed answer, though it carries a domain', () => {
    expect(seen(answer('running', 'booted', 'none', { ok: false }), as('source'))).toBe('unknown');
  });

  it('is doubted where a QEMU process carries the UUID', () => {
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

  it('is as told where the agent sees no such process', () => {
    expect(readAnswer(listing({ strayProcess: false }), as('source'))).toEqual({
      presence: 'absent',
      job: 'none',
      words: 'not in the complete listing',
    });
  });

  it('ignores the process of a guest that is listed as running', () => {
    expect(seen(answer('running', 'booted', 'none', { strayProcess: true }), as('source'))).toBe('executing');
  });
});

describe('a hand-over', () => {
  it.each([listing(), answer('shut off', 'migrated'), answer('shut off', 'unknown'), answer('crashed', 'unknown')])(
    'turns off and absent on the source into handed-over (%#)',
    (given) => {
      expect(seen(given, as('source', { handedOver: true }))).toBe('handed-over');
    },
  );

  it('says nothing of a guest that is still there', () => {
    expect(seen(answer('paused', 'migrating'), as('source', { handedOver: true }))).toBe('switching');
    expect(seen(answer('running', 'booted'), as('source', { handedOver: true }))).toBe('executing');
  });

  it('is a matter of the source alone', () => {
    expect(seen(listing(), as('destination', { handedOver: true }))).toBe('absent');
    expect(seen(listing(), as('other', { handedOver: true }))).toBe('absent');
  });
});

describe('another boot of the source', () => {
  const booted = { boot: 'boot-2' };

  it('proves only absence', () => {
    expect(seen(listing(booted), as('source'))).toBe('absent');
    for (const [state, reason, presence] of quiet) {
      const expected = presence === 'off' ? 'off' : 'unknown';
      expect(seen(answer(state, reason, 'none', booted), as('source'))).toBe(expected);
    }
  });

  it('is told only where both boots are known', () => {
    expect(seen(answer('running', 'booted', 'none', booted), as('source', { sourceBoot: null }))).toBe('executing');
    const { boot: _boot, ...unnamed } = answer('running', 'booted');
    expect(seen(unnamed, as('source'))).toBe('executing');
  });

  it('does not matter on the other hosts', () => {
    expect(seen(answer('running', 'migrated', 'none', booted), as('destination'))).toBe('executing');
    expect(seen(answer('running', 'booted', 'none', booted), as('other'))).toBe('executing');
  });
});

describe('a guest that is starting up', () => {
  it('is a shell where an incoming job says so', () => {
    const reading = readAnswer(answer('paused', 'starting up', 'incoming'), as('destination'));
    expect(reading.presence).toBe('incoming');
    expect(reading.notice).toBeUndefined();
  });

  it('is noticed where nothing is coming in: somebody boots it anew', () => {
    for (const role of ['source', 'destination', 'other'] as const) {
      expect(readAnswer(answer('paused', 'starting up'), as(role))).toMatchObject({
        presence: 'unknown',
        notice: 'starting-up',
      });
    }
  });

  it('is not noticed where the job could not be asked: it may be the shell', () => {
    const reading = readAnswer(answer('paused', 'starting up', 'unknown'), as('destination'));
    expect(reading.presence).toBe('unknown');
    expect(reading.notice).toBeUndefined();
  });
});

describe('the host’s own words', () => {
  it('are kept', () => {
    expect(readAnswer(answer('paused', 'I/O error'), as('source')).words).toBe('paused (I/O error)');
    expect(readAnswer(listing({ ok: false, error: 'refused' }), as('source')).words).toBe('refused');
    expect(readAnswer(listing({ ok: false, timedOut: true }), as('source')).words).toBe('no answer in time');
  });
});

describe('ran', () => {
  const history = { ran: false, unbroken: true, resumed: false, stopped: false, arrived: false };

  test.each([
    ['yes', { ran: true }, 'absent'],
    ['yes', { ran: true, unbroken: false }, 'unknown'],
    ['no', { stopped: true }, 'absent'],
    ['no', { stopped: true }, 'unknown'],
    ['no', {}, 'incoming'],
    ['maybe', {}, 'absent'],
    ['maybe', {}, 'unknown'],
    ['maybe', {}, 'suspended'],
    ['maybe', { unbroken: false, stopped: true }, 'absent'],
    ['maybe', { unbroken: false }, 'incoming'],
    ['maybe', { resumed: true, stopped: true }, 'absent'],
    ['maybe', { resumed: true }, 'incoming'],
    ['maybe', { arrived: true, stopped: true }, 'absent'],
  ] as const)('is %s of %j with the destination %s', (ran, over, presence) => {
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
  ] as const)('is proven by %s where the guest was %s before: %s', (presence, origin, proof) => {
    expect(provesRan(presence, origin)).toBe(proof);
  });
});
