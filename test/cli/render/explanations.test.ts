import { describe, expect, it } from 'vitest';
import { keepingText } from '../../../cli/render/config.ts';
import { explain } from '../../../cli/render/explain.ts';
import { history } from '../../../cli/render/history.ts';
import { PLAIN } from '../../../cli/render/style.ts';
import { table } from '../../../machines/table.ts';
import { timeline } from '../../../projections/timeline.ts';
import { migrated, running, Story, WEB } from '../../support/projection-story.ts';

/** A failed call of `m1`, from h1 to h2. No host has answered yet. */
async function failedCall(): Promise<Story> {
  const story = new Story();
  await story.site();
  await story.declare(WEB, 'web');
  await story.start(WEB, 'm1');
  await story.answer({ h1: running('outgoing'), h2: null });
  await story.fail(WEB, 'm1');
  return story;
}

async function passDeadline(story: Story): Promise<void> {
  for (let seconds = 0; seconds < 320; seconds += 5) await story.pass(5);
}

function explained(story: Story): string {
  const entries = story.ledger.stored.filter(({ entry }) => entry.attempt?.attempt.migration === 'm1');
  const state = story.ledger.attempt('m1')?.state;
  if (state === undefined) throw new Error('no attempt m1');
  const id = state.attempt.verdicts.at(-1)?.row ?? state.attempt.waiting?.row;
  return explain({ state, entries, row: table.find((row) => row.id === id), name: 'web' }, PLAIN);
}

const drawn = (story: Story, brief = false) =>
  history({ vm: WEB, name: 'web', items: timeline(story.ledger.stored, WEB) }, PLAIN, { brief });

/** The newest question to a host. */
function questionTo(story: Story, host: string): string {
  const asked = story.ledger.entries.flatMap(({ questions }) => questions).filter((each) => each.host === host);
  return asked.at(-1)?.question ?? '';
}

async function answers(story: Story, host: string, said: object): Promise<void> {
  await story.tell('landfall.host.answered.v1', { question: questionTo(story, host), host, ok: true, ...said }, WEB);
}

describe('landfall explain', () => {
  it('marks the missing answers that affected the verdict', async () => {
    const story = await failedCall();
    await passDeadline(story);
    for (const host of ['h1', 'h2']) await answers(story, host, { domain: running('unknown') });
    const lines = explained(story).split('\n');
    const marked = lines.filter((line) => line.includes('◀ verdict 1'));
    expect(marked).toHaveLength(2);
    for (const line of marked) expect(line).toContain('no answer in time');
    expect(lines.filter((line) => line.includes('running (booted)'))).not.toEqual([]);
  });

  it('names the later question that replaced an unanswered question', async () => {
    const story = await failedCall();
    const before = questionTo(story, 'h1').split('/')[1];
    await story.tell('landfall.host.lifecycle.v1', { host: 'h1', event: 'Suspended', detail: 'Migrated' }, WEB);
    const after = questionTo(story, 'h1').split('/')[1];
    expect(after).not.toBe(before);
    const text = explained(story);
    expect(text).toMatch(new RegExp(`${before} +h1 .*superseded by ${after}`));
    expect(text).toMatch(new RegExp(`${after} +h1 .*not yet`));
  });

  it('quotes the answer of a host that proves nothing', async () => {
    const story = await failedCall();
    await answers(story, 'h1', { domain: running() });
    await answers(story, 'h2', { ok: false, domain: null, unknownWords: 'paused (frozen)' });
    expect(explained(story)).toContain('answered, but “paused (frozen)”');
    expect(explained(story)).toContain('destination answered, but nothing follows from “paused (frozen)”');
    expect(explained(story)).not.toContain('does not answer');
  });

  it('prints a leftover QEMU process as the answer of its host', async () => {
    const story = await failedCall();
    await answers(story, 'h1', { domain: running() });
    await answers(story, 'h2', { domain: null, strayProcess: true });
    expect(explained(story)).toContain(
      'answered, but “not in the complete listing, but a QEMU process carries its UUID”',
    );
  });

  it('prints that a silent host does not answer', async () => {
    const story = await failedCall();
    await answers(story, 'h1', { domain: running() });
    await story.pass(6);
    expect(explained(story)).toContain('the destination does not answer');
  });

  it('names the host and the fact that would prove a provisional verdict', async () => {
    const story = await failedCall();
    await story.tell('landfall.host.lifecycle.v1', { host: 'h1', event: 'Stopped', detail: 'Migrated' }, WEB);
    for (let seconds = 0; seconds < 320; seconds += 5) {
      await answers(story, 'h1', { domain: migrated });
      await story.pass(5);
    }
    expect(explained(story)).toContain(
      'wait for an answer of h2 that shows the guest there (h1 answers that the guest is gone)',
    );
  });

  it('prints the settings that apply to the attempt', async () => {
    const story = await failedCall();
    const change = { recheckIntervalSeconds: 3 };
    await story.tell('landfall.configuration.set.v1', { change, operator: 'kim' });
    expect(explained(story)).toMatch(/settings +recheck every 10 s, .*fixed when the call returned/);
  });
});

describe('landfall history', () => {
  it('begins with the verdict of each attempt', async () => {
    const story = await failedCall();
    expect(drawn(story).split('\n')[1]).toBe('m1: no verdict yet');
    await story.answer({ h1: migrated, h2: running() });
    await story.acknowledge();
    expect(drawn(story).split('\n')[1]).toMatch(/^m1: verdict 1: completed on h2 \(row landed, proven\)$/);
  });

  it('groups questions and answers into rounds', async () => {
    const story = await failedCall();
    for (let round = 0; round < 5; round += 1) {
      await story.answer({ h1: running('outgoing'), h2: null });
      await story.pass(10);
    }
    const [whole, brief] = [drawn(story).split('\n'), drawn(story, true).split('\n')];
    expect(brief.length).toBeLessThan(whole.length);
    expect(brief.some((line) => /\d+ rounds: .*h1: running .*; h2: absent/.test(line))).toBe(true);
    expect(brief.some((line) => line.includes('h1: running (booted), outgoing migration') && line.includes('●'))).toBe(
      true,
    );
  });
});

describe('landfall config set', () => {
  it('names the open attempts that continue with the earlier settings', () => {
    expect(keepingText(['m1', 'm2'])).toBe(
      'These open attempts keep the earlier settings, because their calls have returned: m1, m2.',
    );
    expect(keepingText(Array.from({ length: 12 }, (_, index) => `m${index}`))).toContain('m9 and 2 more.');
  });
});
