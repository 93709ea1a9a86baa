import { beforeAll, describe, expect, it } from 'vitest';
import { timeline, timelineOf } from '../../projections/timeline.ts';
import { DB, longStory, migrated, running, Story, WEB } from '../support/projection-story.ts';

let story: Story;
beforeAll(async () => {
  story = await longStory();
});

describe('the timeline of a completed migration', () => {
  it('lists inputs, verdict and commands in order', () => {
    const told = timeline(story.ledger.stored, WEB).map(({ lane, kind, text }) => `${lane} | ${kind} | ${text}`);
    expect(told).toEqual([
      'landfall | declared | declared as web, on h1, running, volumes web-disk, iso (shareable)',
      'lock | holders | web-disk: held by h1 (exclusive)',
      'source | call-started | migration m1 to h2 begins',
      'landfall | question | asks h1 and h2',
      'source | answer | running (booted), outgoing migration',
      'destination | answer | paused (migrating), incoming migration',
      'source | call-returned | the caller gave up: killed after 60 s',
      'landfall | state | undecided',
      'landfall | question | asks h1 and h2',
      'source | answer | shut off (migrated), no job',
      'destination | answer | running (booted), no job',
      'landfall | verdict | verdict 1: completed on h2 (row landed, proven)',
      'landfall | state | completed',
      'landfall | command | post-migrate: sent',
      'lock | command | release-lock web-disk on h1: sent with token 1',
      'landfall | command | post-migrate: sent, try 2',
      'lock | command | release-lock web-disk on h1: sent with token 1, try 2',
      'landfall | effect | post-migrate: done',
      'landfall | command | after-migrate: sent',
      'lock | effect | release-lock web-disk on h1: done',
      'lock | command | acquire-lock web-disk on h2: sent with token 1',
      'landfall | effect | post-migrate: done',
      'lock | effect | release-lock web-disk on h1: done',
      'landfall | effect | after-migrate: done',
      'lock | effect | acquire-lock web-disk on h2: done',
      'landfall | settled | settled',
      'lock | holders | web-disk: held by h2 (exclusive)',
    ]);
  });
});

describe('the timeline of a contested migration', () => {
  it('merges repeated answers into one item with a count', () => {
    const items = timeline(story.ledger.stored, DB);
    const repeated = items.filter(({ times }) => times > 1);
    expect(new Set(repeated.map(({ kind }) => kind))).toEqual(new Set(['question', 'answer']));
    expect(repeated.every(({ times, time, until }) => times > 5 && time < until)).toBe(true);
    expect(items.length).toBeLessThan(50);
  });

  it('lists deadline, verdict, alarm and refusal in order', () => {
    const kinds = timeline(story.ledger.stored, DB).map(({ kind }) => kind);
    const telling = kinds.filter((kind) => ['deadline', 'verdict', 'request', 'refusal'].includes(kind));
    expect(telling).toEqual(['deadline', 'verdict', 'request', 'refusal']);
    expect(kinds).toContain('alarm');
  });
});

it('builds the same timeline from a stream of entries', async () => {
  expect(await timelineOf(story.ledger.read(0, 1), WEB)).toEqual(timeline(story.ledger.stored, WEB));
});

it('lists timeouts, lifecycle events, stream changes and operator actions', async () => {
  const short = new Story();
  await short.site();
  await short.declare(WEB, 'web');
  await short.start(WEB, 'm1');
  await short.answer({ h1: running('outgoing'), h2: null });
  await short.tell('landfall.host.lifecycle.v1', { host: 'h2', event: 'Started', detail: 'Migrated' }, WEB);
  await short.tell('landfall.host.facts.v1', { host: 'h2', stream: 'lost' });
  await short.tell('landfall.migration.returned.v1', { migration: 'm1', ok: true }, WEB);
  await short.pass(6);
  await short.tell('landfall.volume.lease-expired.v1', { volume: 'web-disk', host: 'h1' }, WEB);
  await short.tell('landfall.operator.acted.v1', { action: 'looked', ok: true }, WEB);
  await short.pass(400);
  await short.pass(400);
  await short.tell(
    'landfall.migration.resolved.v1',
    { migration: 'm1', host: 'h1', reason: 'seen', attest: true, operator: 'ann' },
    WEB,
  );
  await short.pass(6);
  const told = timeline(short.ledger.stored, WEB).map(({ lane, text }) => `${lane} | ${text}`);
  expect(told).toEqual(
    expect.arrayContaining([
      'destination | Started (Migrated)',
      'destination | event stream lost',
      'source | the call succeeded; both hosts are asked to verify it',
      'source | no answer within 5 s',
      'lock | web-disk: the lease of h1 expired',
      'landfall | operator: looked done',
      'landfall | ann says it is on h1: seen',
      'landfall | verdict 2: rolled back to h1 (by ann: seen, proven); replaces verdict 1. rolled back by ann: seen',
    ]),
  );
});

it('lists the commands that an observed attempt would have sent', async () => {
  const observed = new Story();
  await observed.site();
  await observed.declare(WEB, 'web');
  await observed.tell(
    'landfall.migration.started.v1',
    { migration: 'm1', source: 'h1', destination: 'h2', effects: 'observe' },
    WEB,
  );
  await observed.answer({ h1: running('outgoing'), h2: null });
  await observed.fail(WEB, 'm1');
  await observed.answer({ h1: migrated, h2: running() });
  const told = timeline(observed.ledger.stored, WEB).map(({ text }) => text);
  expect(told).toContain(
    'would follow, were this attempt not only observed: post-migrate, after-migrate, release-lock web-disk on h1, acquire-lock web-disk on h2',
  );
});
