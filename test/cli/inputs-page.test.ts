import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { toInput } from '../../events/cloud-event.ts';
import { inputSchemas } from '../../events/inputs.ts';
import { sha256 } from '../../log/chain.ts';
import { commandJson, commandLine } from '../support/command-line.ts';
import { ROOT, scratchFolder } from '../support/landfall.ts';
import { writeEvents } from '../support/events.ts';

/** Every example in docs/inputs.md must be valid, every input type must have one, and together they form one story. */

const page = readFileSync(join(ROOT, 'docs/inputs.md'), 'utf8');
const examples = [...page.matchAll(/```json\n(.*?)\n```/gs)].map(
  ([, text]) => JSON.parse(text ?? '') as { type: string },
);

describe('the page docs/inputs.md', () => {
  it('contains only valid examples', () => {
    for (const example of examples) expect(toInput(example, sha256).type).toBe(example.type);
  });

  it('contains an example of every input type', () => {
    expect([...new Set(examples.map(({ type }) => type))].sort()).toEqual(Object.keys(inputSchemas).sort());
  });

  it('ends its example story with a proven verdict for host-b', async () => {
    const folder = scratchFolder();
    const db = join(folder, 'ledger.db');
    // The story ends before the fencing example.
    const story = examples.slice(
      0,
      examples.findIndex(({ type }) => type === 'landfall.host.fenced.v1'),
    );
    const file = writeEvents(join(folder, 'story.ndjson'), ...story);
    expect(await commandLine(['ingest', file, '--db', db])).toMatchObject({ code: 0 });
    const [attempt] = await commandJson<object[]>(['migrations', '--db', db]);
    expect(attempt).toMatchObject({ state: 'Completed', verdict: { host: 'host-b', certainty: 'proven' } });
    const { state } = await commandJson<{ state: { attempt: { steps: object[] } } }>(['explain', 'job-9', '--db', db]);
    expect(state.attempt.steps).toContainEqual(expect.objectContaining({ kind: 'release-lock', status: 'done' }));
  });
});
