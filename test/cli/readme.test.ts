import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { commandLine } from '../support/command-line.ts';
import { ROOT, scratchFolder } from '../support/landfall.ts';

const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const session = /## A session\n[\s\S]*?```\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';

type Step = { args: string[]; shown: string[] };

function stepsOf(text: string): Step[] {
  const steps: Step[] = [];
  for (const line of text.split('\n')) {
    const command = /^\$ npx landfall ([^#]*)/.exec(line)?.[1];
    if (command !== undefined) steps.push({ args: command.trim().split(/\s+/), shown: [] });
    else if (line.trim() !== '' && line.trim() !== '...') steps.at(-1)?.shown.push(line.trim());
  }
  return steps;
}

const squeezed = (text: string) => text.replace(/\s+/g, ' ');

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('the session in README.md', () => {
  it('prints the output that README.md shows for each command', async () => {
    const steps = stepsOf(session);
    expect(steps.length).toBeGreaterThan(4);
    vi.stubEnv('LANDFALL_DB', join(scratchFolder(), 'ledger.db'));
    for (const { args, shown } of steps) {
      const { code, out, err } = await commandLine(args);
      expect({ args, code, err }).toEqual({ args, code: 0, err: expect.not.stringContaining('error') });
      for (const line of shown) expect(squeezed(out)).toContain(squeezed(line));
    }
  });
});
