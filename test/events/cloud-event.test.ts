import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { assert, describe, expect, it, test } from 'vitest';
import { canonical, toInput } from '../../events/cloud-event.ts';
import { Configuration, ConfigurationChange, defaultConfiguration } from '../../events/configuration.ts';
import { Fault } from '../../events/fault.ts';
import { type InputType, inputSchemas, siteInputs, vmInputs } from '../../events/inputs.ts';
import { inputUpcasters, type Upcasters, upcast } from '../../events/upcast.ts';
import { detailsOf, eventWords, jobWords, reasonsOf, stateWords } from '../../events/libvirt.ts';
import { Clock } from '../../events/vocabulary.ts';
import { VM } from '../support/builders.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** Valid example data for each type. */
const examples: Readonly<Record<InputType, object>> = {
  'landfall.vm.declared.v1': { name: 'web-1', host: 'alpha', power: 'running', volumes: [{ volume: 'vol-1' }] },
  'landfall.vm.requested.v1': { action: 'migrate', host: 'beta' },
  'landfall.migration.started.v1': { migration: 'm1', source: 'alpha', destination: 'beta' },
  'landfall.migration.returned.v1': {
    migration: 'm1',
    ok: false,
    error: { kind: 'libvirt', code: '38', message: 'broken pipe' },
  },
  'landfall.migration.resolved.v1': {
    migration: 'm1',
    host: 'beta',
    reason: 'seen there',
    attest: true,
    operator: 'ops',
  },
  'landfall.operator.acted.v1': { action: 'destroy the shell', ok: true },
  'landfall.host.answered.v1': {
    question: 'm1/q1',
    host: 'alpha',
    ok: true,
    domain: { name: 'web-1', state: 'running', reason: 'booted', job: 'none' },
  },
  'landfall.host.lifecycle.v1': { host: 'beta', event: 'Resumed', detail: 'Migrated' },
  'landfall.volume.holders.v1': { volume: 'vol-1', holders: [{ host: 'alpha', mode: 'exclusive' }] },
  'landfall.volume.lease-expired.v1': { volume: 'vol-1', host: 'alpha' },
  'landfall.command.acknowledged.v1': { command: 'm1/v1/post-migrate', ok: true },
  'landfall.host.facts.v1': {
    host: 'alpha',
    zone: 'z1',
    cluster: 'c1',
    boot: 'b1',
    stream: 'connected',
    agent: 'speaking',
  },
  'landfall.host.fenced.v1': { host: 'alpha', by: 'ipmi' },
  'landfall.configuration.set.v1': { change: { recheckIntervalSeconds: 5 }, operator: 'ops' },
};
const types = Object.keys(inputSchemas) as InputType[];
const isSite = (type: InputType) => Object.hasOwn(siteInputs, type);

const eventOf = (type: InputType, over: object = {}) => ({
  specversion: '1.0',
  id: 'e1',
  source: 'agent/alpha',
  type,
  ...(isSite(type) ? {} : { subject: VM }),
  data: examples[type],
  ...over,
});
const withData = (type: InputType, over: object) => eventOf(type, { data: { ...examples[type], ...over } });

function faultOf(value: unknown): Fault {
  try {
    toInput(value, sha256);
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('toInput', () => {
  test.each(types)('accepts the type %s', (type) => {
    const input = toInput(eventOf(type), sha256);
    expect(input).toMatchObject({ type, source: 'agent/alpha', id: 'e1', vm: isSite(type) ? null : VM });
    expect(input.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  test.each(types)('rejects an unknown data field in an event of type %s', (type) => {
    const fault = faultOf(withData(type, { surprise: 1 }));
    expect(fault.code).toBe('BAD_EVENT');
    expect(fault.message).toMatch(/^data: .*"surprise"/);
  });

  test.each(types)('rejects an event of type %s without data', (type) => {
    const { data: _data, ...bare } = eventOf(type);
    expect(faultOf(bare)).toMatchObject({ code: 'BAD_EVENT', message: expect.stringMatching(/^data: /) });
    expect(faultOf({ ...bare, data: null })).toMatchObject({
      code: 'BAD_EVENT',
      message: expect.stringMatching(/^data: /),
    });
  });

  it('ignores the extension attributes of CloudEvents', () => {
    const extended = toInput(
      eventOf('landfall.host.fenced.v1', { traceparent: '00-a-b-01', partitionkey: 'x' }),
      sha256,
    );
    expect(extended).toMatchObject({ trace: '00-a-b-01' });
    expect(extended).not.toHaveProperty('partitionkey');
    expect(extended.digest).toBe(toInput(eventOf('landfall.host.fenced.v1'), sha256).digest);
  });

  it('adds the default values of omitted fields', () => {
    expect(toInput(eventOf('landfall.migration.started.v1'), sha256).data).toEqual({
      migration: 'm1',
      source: 'alpha',
      destination: 'beta',
      flags: [],
      leavePaused: false,
      storageCopied: false,
      effects: 'drive',
    });
    expect(toInput(eventOf('landfall.vm.declared.v1'), sha256).data).toMatchObject({
      volumes: [{ volume: 'vol-1', shareable: false, lockedBy: 'landfall' }],
    });
  });

  it('converts the UUID of a VM to lower case', () => {
    expect(toInput(eventOf('landfall.vm.requested.v1', { subject: VM.toUpperCase() }), sha256).vm).toBe(VM);
  });

  test.each([undefined, 'web-1', '', VM.slice(1), `${VM} `])(
    'rejects the subject %j if the event is about a VM',
    (subject) => {
      const fault = faultOf(eventOf('landfall.vm.requested.v1', { subject }));
      expect(fault.code).toBe(typeof subject === 'string' || subject === undefined ? 'BAD_SUBJECT' : 'BAD_EVENT');
      expect(fault.message).toMatch(/^subject: /);
    },
  );

  test.each([
    'landfall.host.facts.v2',
    'landfall.host.fact.v1',
    'com.example.thing',
    '__proto__',
    'constructor',
    'toString',
  ])('rejects an event of the unknown type %j', (type) => {
    const fault = faultOf({ specversion: '1.0', id: '1', source: 's', type, subject: VM, data: {} });
    expect(fault).toMatchObject({ code: 'UNKNOWN_TYPE', message: expect.stringContaining(JSON.stringify(type)) });
    expect(fault.remedy).not.toBe('');
  });
});

describe('the error for an invalid event', () => {
  test.each<[string, unknown]>([
    ['event', null],
    ['event', 'text'],
    ['event', []],
    ['specversion', eventOf('landfall.host.fenced.v1', { specversion: '0.3' })],
    ['id', eventOf('landfall.host.fenced.v1', { id: '' })],
    ['id', eventOf('landfall.host.fenced.v1', { id: 7 })],
    ['id', eventOf('landfall.host.fenced.v1', { id: 'b\nc' })],
    ['source', eventOf('landfall.host.fenced.v1', { source: 'a\u0000b' })],
    ['source', eventOf('landfall.host.fenced.v1', { source: undefined })],
    ['type', eventOf('landfall.host.fenced.v1', { type: '' })],
    ['time', eventOf('landfall.host.fenced.v1', { time: 'yesterday' })],
    ['datacontenttype', eventOf('landfall.host.fenced.v1', { datacontenttype: 'text/xml' })],
    ['subject', eventOf('landfall.vm.requested.v1', { subject: 5 })],
    ['data.host', withData('landfall.host.fenced.v1', { host: '' })],
    ['data.host', withData('landfall.host.fenced.v1', { host: 'host-\ud800' })],
    ['data.action', withData('landfall.vm.requested.v1', { action: 'explode' })],
    ['data.error', withData('landfall.migration.returned.v1', { ok: true })],
    ['data.error', withData('landfall.migration.returned.v1', { error: undefined })],
    ['data.error.kind', withData('landfall.migration.returned.v1', { error: { kind: 'bad', message: '' } })],
    ['data.domain', withData('landfall.host.answered.v1', { domain: undefined })],
    ['data.domain.state', withData('landfall.host.answered.v1', { domain: { name: 'x', reason: '', job: 'none' } })],
    ['data.volumes.1.volume', withData('landfall.vm.declared.v1', { volumes: [{ volume: 'a' }, { volume: '' }] })],
    ['data.attest', withData('landfall.migration.resolved.v1', { attest: 'yes' })],
    ['data.reason', withData('landfall.migration.resolved.v1', { reason: '' })],
    [
      'data.change.recheckIntervalSeconds',
      withData('landfall.configuration.set.v1', { change: { recheckIntervalSeconds: 0 } }),
    ],
    ['data.holders.0.mode', withData('landfall.volume.holders.v1', { holders: [{ host: 'a', mode: 'both' }] })],
    ['data.effects', withData('landfall.migration.started.v1', { effects: 'none' })],
    ['data.stream', withData('landfall.host.facts.v1', { stream: 'maybe' })],
  ])('names the invalid field %s', (field, value) => {
    const fault = faultOf(value);
    expect(fault.message.slice(0, fault.message.indexOf(': '))).toBe(field);
    expect(fault.remedy).not.toBe('');
  });

  it('names the field whose value nests too deep', () => {
    const deep: unknown = JSON.parse(`{"more":${'['.repeat(1e5)}${']'.repeat(1e5)}}`);
    expect(() => toInput(deep, sha256)).toThrow(expect.objectContaining({ code: 'BAD_JSON' }));
  });

  it('is an instance of Fault for any JSON value', () => {
    fc.assert(
      fc.property(fc.anything(), fc.constantFrom(...types), (data, type) => {
        for (const value of [data, eventOf(type, { data })]) {
          try {
            toInput(value, sha256);
          } catch (error) {
            assert.instanceOf(error, Fault);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('the vocabulary of inputs', () => {
  const domain = { name: 'web-1', state: 'running', reason: 'booted', job: 'none' };
  const answered = (over: object) => withData('landfall.host.answered.v1', { domain: { ...domain, ...over } });
  const event = (name: string, detail: string) => withData('landfall.host.lifecycle.v1', { event: name, detail });

  test.each<[string, string, unknown]>([
    ['data.domain.job', 'none, outgoing, incoming, other, unknown', answered({ job: 'outgoinx' })],
    ['data.domain.job', 'none, outgoing, incoming, other, unknown', answered({ job: '5' })],
    ['data.domain.job', 'none, outgoing, incoming, other, unknown', answered({ job: 'error: not supported' })],
    ['data.domain.state', 'paused', answered({ state: 'Running' })],
    ['data.domain.state', 'paused', answered({ state: '__proto__' })],
    ['data.domain.reason', 'migrated', answered({ reason: 'frozen' })],
    ['data.domain.reason', 'unpaused', answered({ reason: 'user' })],
    ['data.domain.reason', 'panicked', answered({ state: 'crashed', reason: 'booted' })],
    ['data.event', 'Started', event('Enchanted', 'Booted')],
    ['data.detail', 'Migrated', event('Stopped', 'Booted')],
    ['data.detail', 'Migrated', event('Stopped', '')],
    ['data.action', 'ha-restart', withData('landfall.vm.requested.v1', { action: 'reboot' })],
    [
      'data.error.kind',
      'caller-lost',
      withData('landfall.migration.returned.v1', { error: { kind: 'x', message: '' } }),
    ],
    ['data.agent', 'silent', withData('landfall.host.facts.v1', { agent: 'up' })],
    ['data.holders.0.mode', 'shared', withData('landfall.volume.holders.v1', { holders: [{ host: 'a', mode: 'w' }] })],
  ])('rejects an unknown word in %s and lists the words %s', (field, allowed, value) => {
    const fault = faultOf(value);
    expect(fault).toMatchObject({ code: 'BAD_EVENT', message: expect.stringMatching(`^${field}: `) });
    expect(fault.message).toContain(allowed);
  });

  test.each(jobWords)('includes the job %s', (job) => {
    expect(toInput(answered({ job }), sha256).data).toMatchObject({ domain: { job } });
  });

  test.each(stateWords.flatMap((state) => reasonsOf(state).map((reason) => [state, reason])))(
    'includes the state %s with the reason %s',
    (state, reason) => {
      expect(toInput(answered({ state, reason }), sha256).data).toMatchObject({ domain: { state, reason } });
    },
  );

  test.each(eventWords.flatMap((name) => detailsOf(name).map((detail) => [name, detail] as const)))(
    'includes the event %s with the detail %s',
    (name, detail) => {
      expect(toInput(event(name, detail), sha256).data).toMatchObject({ event: name, detail });
    },
  );

  it('allows other words only in the field unknownWords of failed answers', () => {
    const unknownWords = 'paused (frozen)';
    const data = { ok: false, domain: null, unknownWords };
    expect(toInput(withData('landfall.host.answered.v1', data), sha256).data).toMatchObject(data);
    const claimed = withData('landfall.host.answered.v1', { unknownWords });
    expect(faultOf(claimed).message).toMatch(/^data.unknownWords: /);
  });
});

describe('the configuration', () => {
  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, '10', null])(
    'cannot have the recheck interval %j (scenario 47)',
    (recheckIntervalSeconds) => {
      expect(ConfigurationChange.safeParse({ recheckIntervalSeconds }).success).toBe(false);
    },
  );

  test.each(['recheckIntervalSeconds', 'questionLimitSeconds', 'commandRetrySeconds', 'dedupHorizonSeconds'] as const)(
    'accepts whole milliseconds from 0.01 s as %s',
    (name) => {
      const isTaken = (value: number) => ConfigurationChange.safeParse({ [name]: value }).success;
      expect([0.01, 0.3, 0.123, 7.001, 86_399.999].map(isTaken)).toEqual([true, true, true, true, true]);
      expect([0.0001, 0.009, 1e-300, 0.12345, 5 + 1e-9].map(isTaken)).toEqual([false, false, false, false, false]);
      // Earlier versions stored smaller values, which must stay readable.
      expect(Configuration.safeParse({ ...defaultConfiguration, [name]: 0.0005 }).success).toBe(true);
    },
  );

  it('cannot have a recheck interval above the timeout (scenario 47)', () => {
    expect(
      Configuration.safeParse({ ...defaultConfiguration, recheckIntervalSeconds: 301 }).error?.issues[0]?.path,
    ).toEqual(['recheckIntervalSeconds']);
    expect(Configuration.safeParse({ ...defaultConfiguration, recheckIntervalSeconds: 300 }).success).toBe(true);
    expect(Configuration.safeParse({ ...defaultConfiguration, recheckTimeoutSeconds: 9 }).success).toBe(false);
  });

  it('has valid default values and no optional fields', () => {
    expect(Configuration.parse(defaultConfiguration)).toEqual(defaultConfiguration);
    for (const field of Object.keys(defaultConfiguration)) {
      expect(Configuration.safeParse({ ...defaultConfiguration, [field]: undefined }).success).toBe(false);
    }
  });
});

describe('the check of a world id', () => {
  test.each([
    ['wall', true],
    ['recorded:abort', true],
    ['simulated:7', true],
    ['recorded:', false],
    ['Wall', false],
    ['wall:x', false],
    ['', false],
  ])('gives for %j the result %s', (clock, valid) => {
    expect(Clock.safeParse(clock).success).toBe(valid);
  });
});

describe('upcast', () => {
  const steps: Upcasters = {
    'thing.happened.v1': { type: 'thing.happened.v2', lift: (data) => ({ ...(data as object), second: true }) },
    'thing.happened.v2': { type: 'thing.happened.v3', lift: (data) => ({ ...(data as object), third: true }) },
  };

  it('converts an event to the newest version step by step', () => {
    expect(upcast('thing.happened.v1', { first: true }, steps)).toEqual({
      type: 'thing.happened.v3',
      data: { first: true, second: true, third: true },
    });
    expect(upcast('thing.happened.v2', {}, steps)).toEqual({ type: 'thing.happened.v3', data: { third: true } });
  });

  it('does not change an event whose type has no upcaster', () => {
    const data = { first: true };
    expect(upcast('thing.happened.v3', data, steps)).toEqual({ type: 'thing.happened.v3', data });
    expect(upcast('other.v1', data, steps).data).toBe(data);
  });

  it('changes the type if the upcaster changes it', () => {
    const renamed: Upcasters = { 'old.name.v1': { type: 'new.name.v2', lift: (data) => data } };
    expect(upcast('old.name.v1', 1, renamed)).toEqual({ type: 'new.name.v2', data: 1 });
  });

  test.each(['thing.happened.v1', 'thing.happened.v0', 'thing.happened'])(
    'rejects an upcaster to %s because that version is not higher',
    (type) => {
      expect(() => upcast('thing.happened.v1', {}, { 'thing.happened.v1': { type, lift: (data) => data } })).toThrow(
        RangeError,
      );
    },
  );

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'does not treat the property name %s as an event type',
    (type) => {
      expect(upcast(type, 1, inputUpcasters)).toEqual({ type, data: 1 });
    },
  );

  it('contains no upcaster to a type that does not exist', () => {
    for (const from of Object.keys(inputUpcasters)) expect(types).toContain(upcast(from, {}, inputUpcasters).type);
    expect(Object.keys(vmInputs).filter((type) => Object.hasOwn(siteInputs, type))).toEqual([]);
  });
});

describe('the digest of an input', () => {
  const digestOf = (value: object) => toInput(value, sha256).digest;

  /** Returns the same content with the keys of every object in reverse order. */
  const reversed = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(reversed);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .toReversed()
        .map(([key, member]) => [key, reversed(member)]),
    );
  };

  test.each(types)('does not depend on the order of keys, for type %s', (type) => {
    expect(digestOf(reversed(eventOf(type)) as object)).toBe(digestOf(eventOf(type)));
  });

  it('does not depend on source, id and time', () => {
    const type = 'landfall.host.lifecycle.v1';
    expect(digestOf(eventOf(type, { id: 'e2', source: 'other', time: '2026-01-01T00:00:00Z' }))).toBe(
      digestOf(eventOf(type)),
    );
  });

  it('depends on the type, the VM and every part of the data', () => {
    const digests = [
      eventOf('landfall.host.lifecycle.v1'),
      withData('landfall.host.lifecycle.v1', { detail: 'Unpaused' }),
      eventOf('landfall.host.lifecycle.v1', { subject: VM.replace('0', '1') }),
      eventOf('landfall.volume.lease-expired.v1'),
      eventOf('landfall.host.fenced.v1'),
    ].map(digestOf);
    expect(new Set(digests).size).toBe(digests.length);
  });

  it('is the SHA-256 of JSON with sorted keys', () => {
    expect(canonical({ b: [1, { d: null, c: 'x' }], a: true, u: undefined })).toBe(
      '{"a":true,"b":[1,{"c":"x","d":null}]}',
    );
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(canonical(reversed(value))).toBe(canonical(value));
        expect(canonical(JSON.parse(canonical(value)))).toBe(canonical(value));
      }),
      { numRuns: 300 },
    );
  });
});
