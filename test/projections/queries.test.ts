import type { DatabaseSync } from 'node:sqlite';
import { beforeAll, describe, expect, it } from 'vitest';
import { open, take } from '../../bench/landfall.ts';
import { newAttempt, quickCourse } from '../../bench/workload.ts';
import { attemptState, countsByState, migrations, migrationView, openAttempts } from '../../projections/attempts.ts';
import { directory } from '../../projections/directory.ts';
import { asOf } from '../../projections/as-of.ts';
import { prepare } from '../../projections/inline-projection.ts';
import { scratch } from '../../projections/scratch.ts';
import { configuration, configurationHistory, deadLetters, hostRecords } from '../../projections/site.ts';
import { vmRecord, vmStatus } from '../../projections/vms.ts';
import { Scratch } from '../log/sqlite-harness.ts';
import { DB, longStory, type Story, WEB } from '../support/projection-story.ts';

const START = Date.UTC(2026, 0, 1);

let story: Story;
let db: DatabaseSync;
beforeAll(async () => {
  story = await longStory();
  db = await asOf(story.ledger, 0, Number.POSITIVE_INFINITY);
});

describe('status', () => {
  it('returns the fields that scripts rely on', () => {
    const last = story.ledger.stored.at(-1);
    expect(vmStatus(db, WEB)).toEqual([
      {
        vm: WEB,
        name: 'web',
        zone: 'z',
        cluster: 'c',
        host: 'h2',
        lastHost: 'h1',
        certainty: 'proven',
        power: 'running',
        locks: [
          { volume: 'web-disk', owner: 'h2', mode: 'exclusive', desiredOwner: 'h2', observed: true, agrees: true },
          { volume: 'iso', owner: null, mode: null, desiredOwner: null, observed: false, agrees: true },
        ],
        migration: null,
        asOf: { position: `0:${last?.sequence}`, time: new Date(last?.entry.time ?? 0).toISOString() },
      },
    ]);
  });

  it('finds a VM by name or uppercase UUID', () => {
    expect(vmStatus(db, 'db')).toEqual(vmStatus(db, DB.toUpperCase()));
    expect(vmStatus(db, 'db')[0]).toMatchObject({ vm: DB, migration: 'm2', certainty: 'provisional' });
    expect(vmStatus(db, 'nobody')).toEqual([]);
  });

  it('returns pages of VMs', () => {
    expect(vmStatus(db).map(({ vm }) => vm)).toEqual([WEB, DB]);
    expect(vmStatus(db, undefined, { after: WEB, limit: 5 }).map(({ vm }) => vm)).toEqual([DB]);
  });

  it('returns no VM for empty projections', () => {
    expect(vmStatus(scratch())).toEqual([]);
  });
});

describe('migrations', () => {
  it('lists attempts oldest first with the fields that scripts rely on', () => {
    expect(migrations(db)).toMatchObject([
      {
        migration: 'm1',
        vm: WEB,
        source: 'h1',
        destination: 'h2',
        state: 'Completed',
        settled: true,
        contested: false,
      },
      { migration: 'm2', vm: DB, state: 'RolledBack', settled: false, contested: true, settledAt: null },
    ]);
    expect(migrations(db, 'db').map(({ migration }) => migration)).toEqual(['m2']);
    expect(migrations(db, undefined, { after: 'm1' }).map(({ migration }) => migration)).toEqual(['m2']);
    expect(migrations(db, undefined, { limit: 1 }).map(({ migration }) => migration)).toEqual(['m1']);
  });

  it('lists the latest state of an attempt on repeated reads', async () => {
    using scratchFolder = new Scratch();
    const { ledger, driver } = await open(scratchFolder.folder, 'listed');
    const reader = ledger.readConnection();
    const [attempt, other] = [newAttempt(), newAttempt()];
    const seen = new Set<string | undefined>();
    for (const [index, text] of quickCourse(attempt).entries()) {
      take(driver, text, START + index, 'wall');
      if (index === 2) take(driver, quickCourse(other)[0] ?? '', START + index, 'wall');
      await driver.flush();
      for (const view of [...migrations(reader), ...migrations(reader)]) {
        expect(view).toEqual(migrationView(reader, view.migration));
        seen.add(view.at);
      }
    }
    expect(seen).toEqual(new Set(['Migrating.inFlight', 'ApiFailed', 'Completed.settling', 'Completed.settled']));
    await driver.release();
    await ledger.close();
  });

  it('returns times as ISO strings and verdicts with their evidence', () => {
    const web = migrationView(db, 'm1');
    expect([web?.startedAt, web?.failedAt, web?.settledAt].every((time) => /^2026-01-01T.*Z$/.test(time ?? ''))).toBe(
      true,
    );
    expect(web?.verdict).toEqual(web?.verdicts.at(-1));
    expect(web?.verdict).toMatchObject({ outcome: 'completed', row: 'landed', certainty: 'proven', error: null });
    expect(web?.verdict?.evidence.source.presence).toBe('handed-over');
    expect(migrationView(db, 'db')).toBeNull();
  });
});

describe('the directory', () => {
  it('returns every unsettled attempt with its timers', () => {
    const open = [...openAttempts(db)];
    expect(open.map(({ state }) => state.attempt.migration)).toEqual(['m2']);
    expect(Object.keys(open[0]?.timers ?? {})).not.toEqual([]);
    expect(attemptState(db, 'm2')).toEqual(story.ledger.attempt('m2'));
  });

  it('returns the records that the ledger last stored', () => {
    const found = directory(db);
    expect(found.record(WEB)).toEqual(story.ledger.record(WEB));
    expect(found.record('none')).toBeNull();
    expect(found.attempt('m1')).toEqual(story.ledger.attempt('m1'));
    expect(found.attempt('none')).toBeNull();
    expect([...found.hosts()]).toEqual([...story.ledger.hosts()]);
    expect(found.configuration()).toEqual(story.ledger.configuration());
    expect([...found.times()]).toEqual([...story.ledger.times()]);
    expect([...found.deadlines()]).toEqual([...story.ledger.deadlines()]);
  });
});

describe('site reads', () => {
  it('return hosts, and configurations with their operators', () => {
    expect(hostRecords(db).map(({ host, boot }) => [host, boot])).toEqual(
      ['h1', 'h2', 'h3'].map((host) => [host, `boot-${host}`]),
    );
    expect(configuration(db).recheckTimeoutSeconds).toBe(120);
    expect(configurationHistory(db)).toMatchObject([
      { operator: 'ann', configuration: { recheckTimeoutSeconds: 120 } },
    ]);
    expect(configuration(scratch()).recheckTimeoutSeconds).toBe(300);
    expect(vmRecord(db, WEB)?.name).toBe('web');
    expect(countsByState(db)).toContainEqual({ at: 'RolledBack.contested', contested: true, count: 1 });
  });

  it('return pages of dead letters', () => {
    const letters = deadLetters(db);
    expect(letters.map(({ code, kind }) => [code, kind])).toEqual([
      ['ATTEMPT_OPEN', 'input'],
      ['BAD_EVENT', 'malformed'],
    ]);
    expect(letters[1]).toMatchObject({ stream: 'queue', offset: 7, excerpt: '{"specversion' });
    expect(deadLetters(db, { after: letters[0]?.position ?? '' })).toEqual(letters.slice(1));
  });
});

it('keeps the tables when prepare runs twice', () => {
  const again = scratch();
  prepare(again, 0);
  prepare(again, 0);
  expect(migrations(again)).toEqual([]);
});
