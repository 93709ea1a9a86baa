import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { explain } from '../../../cli/render/explain.ts';
import { history } from '../../../cli/render/history.ts';
import { migrationsTable } from '../../../cli/render/migrations.ts';
import { statusDetail, statusTable } from '../../../cli/render/status.ts';
import { PLAIN, type Style, styleOf } from '../../../cli/render/style.ts';
import { widthOf } from '../../../cli/render/text.ts';
import { table } from '../../../machines/table.ts';
import { toMigration } from '../../../projections/attempts.ts';
import { timeline } from '../../../projections/timeline.ts';
import { toStatus, type VmStatus } from '../../../projections/vms.ts';
import { DB, longStory, running, Story, WEB } from '../../support/projection-story.ts';

const AS_OF = { position: '0:99', time: '2026-01-01T00:06:50.870Z' };

class Rendered {
  readonly story: Story;
  constructor(story: Story) {
    this.story = story;
  }

  explain(migration: string, style: Style = PLAIN): string {
    const entries = this.story.ledger.stored.filter(({ entry }) => entry.attempt?.attempt.migration === migration);
    const state = this.#state(migration);
    const id = state.attempt.verdicts.at(-1)?.row ?? state.attempt.waiting?.row;
    return explain({ state, entries, row: table.find((row) => row.id === id), name: 'guest' }, style);
  }

  #state(migration: string) {
    const found = this.story.ledger.attempt(migration);
    if (found === null) throw new Error(`no attempt ${migration}`);
    return found.state;
  }

  status(vm: string): VmStatus {
    const record = this.story.ledger.record(vm);
    if (record === null) throw new Error(`no VM ${vm}`);
    return toStatus(record, AS_OF);
  }

  migration = (migration: string) => toMigration(this.#state(migration));
  history = (vm: string, style: Style = PLAIN) =>
    history({ vm, name: 'guest', items: timeline(this.story.ledger.stored, vm) }, style);
}

let long: Rendered;
let undecided: Rendered;
beforeAll(async () => {
  long = new Rendered(await longStory());
  const story = new Story();
  await story.site();
  await story.declare(WEB, 'web');
  await story.start(WEB, 'm1');
  await story.answer({ h1: running('outgoing'), h2: null });
  await story.fail(WEB, 'm1');
  await story.answer({ h1: running('outgoing'), h2: null });
  undecided = new Rendered(story);
});

describe('landfall status', () => {
  it('prints one line per VM and a summary of problems', () => {
    expect(statusTable([long.status(WEB), long.status(DB)], PLAIN).split('\n')).toEqual([
      'VM             NAME  HOST  ZONE/CLUSTER  CERTAINTY    POWER    LOCK OWNER  OPEN ATTEMPT',
      '0b51c7a2…0001  web   h2    z/c           proven       running  h2 ✓        –',
      '0b51c7a2…0002  db    h1    z/c           provisional  running  h1 ✓        m2',
      '',
      '2 VMs: 1 not proven and 1 open attempt · as of 2026-01-01 00:06:50.870Z, position 0:99',
    ]);
  });

  it('marks a lock that the wrong host owns', () => {
    const lock = {
      volume: 'disk',
      owner: 'h2',
      mode: 'exclusive',
      desiredOwner: 'h1',
      observed: true,
      agrees: false,
    } as const;
    const vm: VmStatus = {
      ...long.status(WEB),
      zone: null,
      cluster: null,
      locks: [lock, { ...lock, volume: 'two', owner: 'h1', agrees: true }],
    };
    const text = statusTable([vm], PLAIN);
    expect(text).toContain('2 owners ✗ 1 of 2');
    expect(text).toContain('1 with a lock that disagrees');
    expect(text).not.toContain('ZONE');
  });

  it('shows no disagreement for a lock that was never observed', () => {
    const lock = { volume: 'disk', owner: null, mode: null, desiredOwner: 'h1', observed: false, agrees: false };
    const text = statusTable([{ ...long.status(WEB), locks: [lock] }], PLAIN);
    expect(text).toContain('not observed');
    expect(text).toContain('1 with a lock that no report has shown yet');
    expect(text).not.toContain('✗');
  });

  it('prints all facts about one VM', () => {
    expect(statusDetail(long.status(DB), PLAIN).split('\n')).toEqual([
      `db  ${DB}`,
      '  host       h1 (zone/cluster z/c)',
      '  certainty  provisional: the most likely host; the proof is incomplete and the host may change',
      '  power      running',
      '  as of      2026-01-01 00:06:50.870Z, position 0:99',
      '',
      '  VOLUME   EXPECTED OWNER  OBSERVED OWNER',
      '  db-disk  h1              h1 (exclusive)  ✓ agrees',
      '  iso      any host        none observed   shared, not managed',
      '',
      '  Attempt m2 is open: landfall explain m2',
    ]);
  });

  it('suggests an ingest if the ledger is empty', () => {
    expect(statusTable([], PLAIN)).toContain('landfall ingest');
  });
});

describe('landfall migrations', () => {
  it('prints one line per attempt and marks contested attempts', () => {
    const text = migrationsTable([long.migration('m1'), long.migration('m2')], PLAIN, new Map([[WEB, 'web']]));
    expect(text.split('\n')).toEqual([
      'ATTEMPT  VM             SOURCE → DESTINATION  STATUS     ROW         CERTAINTY    TO VERDICT  ERROR OF THE CALL',
      'm1       web            h1 → h2               completed  landed      proven           0.02 s  killed after 60 s',
      'm2       0b51c7a2…0002  h1 → h2               contested  both-alive  provisional   5 min 1 s  API failed while VM may still be migrating: the guest is alive on both hosts',
      '',
      '2 attempts: 1 completed, 1 contested',
    ]);
  });

  it('names the matching table row of an undecided attempt', () => {
    const text = migrationsTable([undecided.migration('m1')], PLAIN);
    expect(text).toContain('matches moving');
    expect(text).toContain('1 attempt: 1 undecided');
  });
});

describe('landfall explain', () => {
  it('prints the verdict first and its evidence after that', () => {
    const text = long.explain('m1');
    expect(text.split('\n').slice(0, 11)).toEqual([
      `m1  guest (${WEB}), h1 → h2`,
      'Completed on h2, proven: row landed, 0.02 s after the call failed.',
      '',
      'The call',
      '  Started 2026-01-01 00:00:00.080Z; guest running before.',
      '  Failed after 0.03 s, at 00:00:00.110: the caller was killed by its own time limit; the job may continue — “killed after 60 s”',
      '',
      'Questions after the call returned',
      '  QUESTION  HOST    ASKED  ANSWERED  LIBVIRT REPORTED     READ AS',
      '  q5        h1    +0.00 s   +0.01 s  shut off (migrated)  handed-over        ◀ verdict 1',
      '  q6        h2    +0.00 s   +0.02 s  running (booted)     executing, no job  ◀ verdict 1',
    ]);
    expect(text).toContain('outgoing job  seen on h1, first at −0.02 s (host answer)');
    expect(text).toContain('· source h1 is handed-over (the guest left this host): “shut off (migrated)”, q5');
    expect(text).toContain('release-lock   h1    web-disk  ✔ done, try 2  releases the lock');
    expect(text).not.toContain('Operator actions');
  });

  it('lists the possible operator actions for a contested attempt', () => {
    const text = long.explain('m2');
    expect(text).toContain(
      'Contested, record on h1 (provisional): row both-alive, 5 min 1 s after the call failed. The guest may be on both hosts or still moving.',
    );
    expect(text).toContain('at the deadline, in the last of 31 rounds');
    expect(text).toMatch(/q5…q\d+ ×30\s+h1/);
    expect(text).toContain('waits for failed-to-migrate');
    expect(text).toContain('! the guest is alive on two hosts and no job will end that (split-brain)');
    expect(text).toContain('Possible manual steps: suspend the guest on the source.');
    expect(text).toContain('\n    landfall resolve m2 --host h2 --reason TEXT --attest');
  });

  it('prints the time of the next round and the deadline', () => {
    const text = undecided.explain('m1');
    expect(text).toContain('Undecided: no verdict yet.');
    expect(text).toContain('It matches row moving: ');
    expect(text).toContain('If nothing changes before the deadline, the attempt becomes contested.');
    expect(text).toMatch(/Next round \d\d:00:\d\d\.\d{3} \(in 10 s\).*last round .* \+5 min after the call returned/);
    expect(text).not.toContain('\nSteps');
  });

  it.each([60, 80, 120])('wraps its sentences at %i columns', (width) => {
    const lines = long.explain('m1', styleOf(true, width)).split('\n');
    const prose = lines.filter(
      (line) => /^ {2}\S/.test(line) && !/ {2}\S.* {2}\S/.test(stripVTControlCharacters(line)),
    );
    expect(prose.filter((line) => widthOf(line) > width)).toEqual([]);
  });

  it('prints the same text with and without colour', () => {
    expect(stripVTControlCharacters(long.explain('m2', styleOf(true, null)))).toBe(long.explain('m2'));
  });
});

describe('landfall history', () => {
  it('draws one column per host and one for the lock', () => {
    const lines = long.history(WEB).split('\n');
    expect(lines.slice(3, 16)).toEqual([
      '2026-01-01',
      '                            h1        h2        lock',
      '00:00:00.040       −0.04 s                                declared as web, on h1, running, volumes web-disk, iso (shareable)',
      '00:00:00.050       −0.03 s                      h1        web-disk: held by h1 (exclusive)',
      '00:00:00.080       +0.00 s  ├─────────▶         │         h1: migration m1 to h2 begins',
      '00:00:00.080       +0.00 s                      │         asks h1 and h2',
      '00:00:00.090       +0.01 s  ●                   │         h1: running (booted), outgoing migration',
      expect.stringMatching(/^00:00:00\.100 {7}\+0\.02 s {2}┃ {9}[◐◌] {9}│ {9}h2: paused \(migrating\)/),
      '00:00:00.110       +0.03 s  ╳╌╌╌╌╌╌╌╌╌╌         │         h1: the caller gave up: killed after 60 s',
      expect.stringContaining('undecided'),
      expect.stringContaining('asks h1 and h2'),
      expect.stringMatching(/○ {9}. {9}│ {9}h1: shut off \(migrated\), no job/),
      '00:00:00.130       +0.05 s            ●         │         h2: running (booted), no job',
    ]);
    expect(lines).toContainEqual(expect.stringMatching(/═{28} {2}verdict 1: completed on h2 \(row landed, proven\)/));
  });

  it('draws the columns of the hosts beside wrapped text', () => {
    const lines = long.history(DB, styleOf(false, 100)).split('\n');
    expect(lines.filter((line) => widthOf(line) > 100)).toEqual([]);
    expect(lines).toContainEqual(expect.stringMatching(/^ {28}┃ {9}┃ {9}│ {9}\S/));
  });

  it('prints a message for a VM without events', () => {
    expect(history({ vm: WEB, name: null, items: [] }, PLAIN)).toBe(
      `unnamed VM  ${WEB}\nThe ledger has no events of this VM.`,
    );
  });
});
