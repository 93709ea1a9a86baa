import { describe, expect, it } from 'vitest';
import { mapped, parseMappings } from '../../consumers/kafka/mapping.ts';

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));

describe('Mapping', () => {
  const mappings = parseMappings(
    JSON.stringify([
      {
        topic: 't',
        when: { '/kind': 'A' },
        event: { id: { from: '/a~1b/0' }, data: { list: [{ from: '/n' }, 'as it is'] } },
      },
      { topic: 't', when: { '/kind': null } },
    ]),
  );

  it('fills its template with the record values that JSON pointers select', () => {
    const found = mapped(mappings, bytes({ kind: 'A', 'a/b': ['x'], n: { deep: true } }));
    expect(found).toEqual({ id: 'x', data: { list: [{ deep: true }, 'as it is'] } });
  });

  it('uses the first matching rule; returns the record if without a template', () => {
    expect(mapped(mappings, bytes({ kind: null, id: 1 }))).toEqual({ kind: null, id: 1 });
    expect(mapped(mappings, bytes({ kind: 'B' }))).toBeNull();
  });

  it('refuses records that are not JSON or lack a required value', () => {
    expect(() => mapped(mappings, Buffer.from('{'))).toThrow(expect.objectContaining({ code: 'BAD_JSON' }));
    expect(() => mapped(mappings, null)).toThrow(expect.objectContaining({ code: 'BAD_JSON' }));
    const invalid = Buffer.from('{"kind":null,"id":"a\xff"}', 'latin1');
    expect(() => mapped(mappings, invalid)).toThrow(expect.objectContaining({ code: 'BAD_UTF8' }));
    expect(() => mapped(mappings, bytes({ kind: 'A' }))).toThrow('the record has no value at /a~1b/0');
    expect(() => mapped(mappings, bytes({ kind: 'A', 'a/b': ['x'] }))).toThrow('/n');
  });

  it.each([
    ['an object instead of a list', '{}'],
    ['invalid JSON', '['],
    ['an invalid pointer', '[{"topic":"t","when":{"kind":1}}]'],
    ['an unknown field', '[{"topic":"t","event":{},"on":1}]'],
  ])('causes the error BAD_MAPPING for %s', (_, text) => {
    expect(() => parseMappings(text)).toThrow(expect.objectContaining({ code: 'BAD_MAPPING' }));
  });
});
