import { describe, expect, it } from 'vitest';
import { auditText } from '../../../cli/render/audit.ts';
import { backtestText } from '../../../cli/render/backtest.ts';
import { configurationTable } from '../../../cli/render/config.ts';
import { deadLettersTable } from '../../../cli/render/dead-letters.ts';
import { faultText } from '../../../cli/render/errors.ts';
import { ingestTotals, VerdictPrinter } from '../../../cli/render/ingest-summary.ts';
import { PLAIN, styleOf } from '../../../cli/render/style.ts';
import { widthOf } from '../../../cli/render/text.ts';
import { defaultConfiguration } from '../../../events/configuration.ts';
import { Fault } from '../../../events/fault.ts';
import { backtest } from '../../../policies/backtest.ts';
import { parseHead } from '../../../projections/audit-checks.ts';
import type { DeadLetter } from '../../../projections/site.ts';
import { longStory } from '../../support/projection-story.ts';

const verdicts = { checked: 9, differing: 0, otherTable: 0, byOperator: 0 };
const head = { position: '0:221', hash: 'ab'.repeat(32) };

describe('an error message', () => {
  it('contains code, message and remedy', () => {
    const fault = new Fault('BAD_EVENT', 'x.ndjson:3: data.host: required', 'See docs/schemas.');
    expect(faultText(fault, PLAIN)).toBe('error BAD_EVENT: x.ndjson:3: data.host: required\n  hint: See docs/schemas.');
  });
});

describe('landfall audit', () => {
  it('prints a chain head that the next audit accepts', () => {
    const text = auditText({ entries: 221, head, verdicts, findings: [] }, PLAIN);
    expect(text).toContain('✔ no findings: 221 entries read, 9 verdicts decided again.');
    const printed = /head {2}(\S+)/.exec(text)?.[1] ?? '';
    expect(parseHead(printed)).toEqual({ sequence: 221, hash: head.hash });
  });

  it('prints each finding with its position', () => {
    const findings = [{ position: '0:17', kind: 'altered', message: 'its text and its hash do not belong together' }];
    const text = auditText(
      { entries: 1, head, verdicts: { ...verdicts, differing: 1, byOperator: 2 }, findings },
      PLAIN,
    );
    expect(text.split('\n').slice(0, 4)).toEqual([
      '✗ 1 finding: 1 entry read, 9 verdicts decided again (1 with another result, 2 by an operator, not checked).',
      '',
      'POSITION  FINDING        WHAT',
      '    0:17  entry altered  its text and its hash do not belong together',
    ]);
  });
});

describe('landfall config get', () => {
  it('prints value, default value and meaning of a setting', () => {
    expect(
      configurationTable({ recheckTimeoutSeconds: 120, askOriginErrorCodes: ['A', 'B'] }, PLAIN).split('\n'),
    ).toEqual([
      'SETTING                VALUE         DEFAULT  MEANING',
      'recheckTimeoutSeconds    120  2 min      300  the time of the last round after the call returned',
      'askOriginErrorCodes      A,B            none  error codes after which a rollback asks the origin again',
    ]);
  });

  it('prints every setting', () => {
    const text = configurationTable(defaultConfiguration, PLAIN);
    for (const key of Object.keys(defaultConfiguration)) expect(text).toContain(key);
  });
});

describe('landfall dead-letters', () => {
  const letter: DeadLetter = {
    position: '0:17',
    time: '2026-11-23T11:57:00.000Z',
    vm: null,
    code: 'BAD_JSON',
    message: 'Unexpected token',
    remedy: 'Each line is one JSON object.',
    kind: 'malformed',
    type: null,
    source: null,
    id: null,
    stream: 'file:events.ndjson',
    offset: 17,
    excerpt: '{"a":\u001b[2J',
  };

  it('prints the bad line of the file and one remedy per code', () => {
    const text = deadLettersTable([letter, { ...letter, position: '0:18', offset: 18 }], PLAIN);
    expect(text).toContain('0:17  2026-11-23 11:57:00.000Z  BAD_JSON  –   events.ndjson:17  Unexpected token  {"a":');
    expect(text.match(/Each line is one JSON object/g)).toHaveLength(1);
    expect(text).not.toContain('\u001b');
  });

  it('prints a message if there are no dead letters', () => {
    expect(deadLettersTable([], PLAIN)).toBe('No input was refused.');
  });
});

describe('landfall ingest', () => {
  it('prints one aligned line for each verdict', async () => {
    const { ledger } = await longStory();
    const lines: string[] = [];
    const printer = new VerdictPrinter(PLAIN, (line) => lines.push(line));
    for (const entry of ledger.entries) printer.committed([entry]);
    expect(lines).toEqual([
      '✔  m1                          web   completed on h2              row landed (proven)     0.02 s after the call failed — The guest is on the destination and nowhere on the source',
      '✗  m2                          db    contested, record on h1      row both-alive (provisional)  5 min 1 s after the call failed — API failed while VM may still be migrating: the guest is alive on both hosts',
    ]);
  });

  it('says of a silent host that it does not answer', async () => {
    const { ledger } = await longStory();
    const lines: string[] = [];
    const printer = new VerdictPrinter(PLAIN, (line) => lines.push(line));
    for (const entry of ledger.entries) {
      const attempt = entry.attempt?.attempt;
      const verdicts = attempt?.verdicts.map((verdict) => ({ ...verdict, row: 'silent-source', contested: false }));
      if (entry.attempt === null || attempt === undefined || verdicts === undefined) continue;
      printer.committed([{ ...entry, attempt: { ...entry.attempt, attempt: { ...attempt, verdicts } } }]);
    }
    expect(lines[0]).toMatch(/the guest in the expected state, but the source does not answer$/);
  });

  it('shortens lines to the width of the terminal', async () => {
    const { ledger } = await longStory();
    const lines: string[] = [];
    new VerdictPrinter(styleOf(true, 90), (line) => lines.push(line)).committed(ledger.stored);
    expect(lines.map((line) => widthOf(line) <= 90)).toEqual([true, true]);
  });

  it('prints the numbers of accepted and refused lines', () => {
    const report = { lines: 12, bad: 1, consumed: 8, duplicates: 0, refused: 2 };
    expect(ingestTotals(report, PLAIN)).toBe(
      '12 lines read: 8 accepted, 2 refused (see landfall dead-letters), 1 unreadable (see landfall dead-letters)',
    );
    expect(ingestTotals({ lines: 1, bad: 0, consumed: 0, duplicates: 0, refused: 0 }, PLAIN)).toBe('1 line read');
  });
});

describe('landfall backtest', () => {
  it('ranks the policies and prints how the truth is known', async () => {
    const { ledger } = await longStory();
    const text = backtestText(await backtest(ledger.stored), PLAIN);
    expect(text).toContain('2 failed calls; the truth of 1 is Landfall’s own proven verdict');
    expect(text).toContain('1 without a known truth are not counted');
    expect(text).toMatch(/\n1 {2}\S.* {2}1 {6}0 {10}0 {2}nothing/);
    expect(text).toMatch(/\nm1 {7}h2, running {2}✓/);
    expect(text).toMatch(/\nm2 {7}not known {4}· {2}·/);
  });

  it('prints a message for a ledger without failed calls', async () => {
    expect(backtestText(await backtest([]), PLAIN)).toContain('nothing to compare');
  });
});
