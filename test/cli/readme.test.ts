import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { landfall, ROOT, scratchFolder } from '../support/landfall.ts';

/** The session in the README is one that works, and what it shows is what is printed. */

const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const session = /## A session\n```\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';

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

it('every command of the session runs, and prints what the README shows', async () => {
  const steps = stepsOf(session);
  expect(steps.length).toBeGreaterThan(4);
  const env = { LANDFALL_DB: join(scratchFolder(), 'ledger.db') };
  for (const { args, shown } of steps) {
    const ran = await landfall(args, { env });
    expect({ args, code: ran.code, stderr: ran.stderr }).toEqual({
      args,
      code: 0,
      stderr: expect.not.stringContaining('error'),
    });
    for (const line of shown) expect(squeezed(ran.stdout)).toContain(squeezed(line));
  }
});
