import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { StepKind } from '../../events/attempt.ts';
import { toInput } from '../../events/cloud-event.ts';
import { Command, Question } from '../../events/commands.ts';
import { sha256 } from '../../log/chain.ts';
import { conditionsOf } from '../../machines/effects.ts';
import { ROOT } from '../support/landfall.ts';

/** The examples and tables of docs/agents.md must agree with the schemas and with the planned commands. */

const page = readFileSync(join(ROOT, 'docs/agents.md'), 'utf8');
const examples = [...page.matchAll(/```json\n(.*?)\n```/gs)].map(([, text]) => JSON.parse(text ?? '') as Example);
type Example = { kind?: string; question?: unknown; command?: unknown };

describe('the page docs/agents.md', () => {
  it('contains only valid examples', () => {
    expect(examples.map(({ kind }) => kind ?? 'event').sort()).toEqual(['command', 'event', 'question']);
    for (const example of examples) {
      if (example.kind === 'question') Question.parse(example.question);
      else if (example.kind === 'command') Command.parse(example.command);
      else toInput(example, sha256);
    }
  });

  it('lists every command with its conditions', () => {
    const rows = page.split('\n').filter((line) => line.startsWith('| `'));
    for (const kind of StepKind.options.filter((each) => each !== 'ask-origin')) {
      const row = rows.find((line) => line.startsWith(`| \`${kind}\` |`)) ?? '';
      const listed = row.replace(/ \|$/, '').split(' | ').at(-1);
      expect([kind, listed]).toEqual([
        kind,
        conditionsOf(kind)
          .map((each) => `\`${each}\``)
          .join(', ') || 'none',
      ]);
    }
  });

  it('explains every condition', () => {
    for (const condition of Command.shape.onlyIf.element.options) expect(page).toContain(`| \`${condition}\` |`);
  });
});
