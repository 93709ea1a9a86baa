import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { PLAIN, styleFor, styleOf } from '../../../cli/render/style.ts';
import { cell, table } from '../../../cli/render/table.ts';
import { clean, cut, listed, message, pad, shortId, widthOf, wrap } from '../../../cli/render/text.ts';
import { duration, offset, wall } from '../../../cli/render/time.ts';

describe('styleFor', () => {
  const terminal = { isTTY: true, columns: 100 };

  it.each([
    ['a terminal', terminal, {}, true, 100],
    ['a pipe', {}, {}, false, null],
    ['NO_COLOR', terminal, { NO_COLOR: '1' }, false, 100],
    ['an empty NO_COLOR', terminal, { NO_COLOR: '' }, true, 100],
    ['a dumb terminal', terminal, { TERM: 'dumb' }, false, 100],
    ['FORCE_COLOR into a pipe', {}, { FORCE_COLOR: '1' }, true, null],
    ['FORCE_COLOR over NO_COLOR', {}, { FORCE_COLOR: '', NO_COLOR: '1' }, true, null],
    ['FORCE_COLOR=0', terminal, { FORCE_COLOR: '0' }, false, 100],
    ['a terminal of unknown width', { isTTY: true, columns: 0 }, {}, true, 80],
  ])('chooses colour and width for %s', (_, stream, env, color, width) => {
    expect(styleFor(stream, env)).toMatchObject({ color, width });
  });

  it('adds escape sequences only if colour is on', () => {
    expect(PLAIN.paint('bad', 'x')).toBe('x');
    expect(styleOf(true, null).paint('bad', 'x')).toBe('\u001b[31mx\u001b[39m');
    expect(styleOf(true, null).paint('plain', 'x')).toBe('x');
  });
});

describe('the functions for texts', () => {
  it('count the terminal columns of wide and combining characters', () => {
    expect(['host-a', '主机', 'é', 'e\u0301', '👍', '\u001b[31mred\u001b[39m'].map(widthOf)).toEqual([
      6, 4, 1, 1, 2, 3,
    ]);
  });

  it('shorten a text without splitting a wide character', () => {
    expect(cut('host-a', 6)).toBe('host-a');
    expect(cut('host-a', 5)).toBe('host…');
    expect(cut('主机主机', 4)).toBe('主…');
    expect(cut('host-a', 0)).toBe('');
  });

  it('remove control characters', () => {
    expect(clean('a\u001b[2Jb\u0007\nc\u202ed')).toBe('ab c d');
  });

  it('remove repeated lines from messages of libvirt', () => {
    expect(message("error: failed to get domain 'x'\nerror: failed to get domain 'x'\n")).toBe(
      "failed to get domain 'x'",
    );
  });

  it('pad, wrap, list and shorten texts', () => {
    expect(pad('7', 3, 'right')).toBe('  7');
    expect(wrap('one two three', 8, '  ')).toBe('one\n  two\n  three');
    expect(wrap('one two three', null)).toBe('one two three');
    expect(listed(['a', 'b', 'c'])).toBe('a, b and c');
    expect(shortId('aaaaaaaa-0000-4000-8000-000000000001')).toBe('aaaaaaaa…0001');
    expect(shortId('not-a-uuid')).toBe('not-a-uuid');
  });
});

describe('a printed table', () => {
  const columns = [
    { header: 'NAME', flex: true },
    { header: 'COUNT', align: 'right' },
    { header: 'NOTE', flex: true },
  ] as const;
  const rows = [
    ['主机', '7', 'short'],
    ['a-host-with-a-long-name', '1200', cell('a note that goes on and on', 'bad')],
  ];

  it('aligns its columns and keeps full texts for a pipe', () => {
    expect(table(columns, rows, PLAIN).split('\n')).toEqual([
      'NAME                     COUNT  NOTE',
      '主机                         7  short',
      'a-host-with-a-long-name   1200  a note that goes on and on',
    ]);
  });

  it.each([40, 50, 60])('shrinks its flexible columns for a terminal of %i columns', (width) => {
    const drawn = table(columns, rows, styleOf(true, width), '  ').split('\n');
    expect(drawn.every((line) => widthOf(line) <= width)).toBe(true);
    expect(stripVTControlCharacters(drawn.join('\n'))).toContain('1200');
  });

  it('dims its headers and omits empty headers', () => {
    expect(table([{ header: 'A' }], [['x']], styleOf(true, null))).toBe('\u001b[2mA\u001b[22m\nx');
    expect(table([{ header: '' }], [['x']], PLAIN)).toBe('x');
  });

  it('keeps a row with control characters on one line', () => {
    expect(table([{ header: '' }], [['a\nb\u001b[31mc']], PLAIN)).toBe('a bc');
  });
});

describe('the functions for times', () => {
  it.each([
    [0, '0.00 s'],
    [253, '0.25 s'],
    [5_060, '5.1 s'],
    [9_949, '9.9 s'],
    [30_946, '31 s'],
    [59_600, '1 min'],
    [250_000, '4 min 10 s'],
    [7_500_000, '2 h 5 min'],
    [273_600_000, '3 d 4 h'],
    [-253, '−0.25 s'],
    [Number.NaN, '–'],
  ])('print %i ms as %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });

  it('print clock offsets and UTC times', () => {
    expect([offset(5_063), offset(-30_720), offset(300_000)]).toEqual(['+5.06 s', '−30.72 s', '+5 min']);
    expect(wall('2026-11-23T12:57:27.827+01:00')).toBe('2026-11-23 11:57:27.827Z');
  });
});
