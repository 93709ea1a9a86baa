import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import type { Evidence } from '../../events/verdict.ts';
import { type Presence, presences } from '../../events/vocabulary.ts';
import { decide, satisfies } from '../../machines/decide.ts';
import { table } from '../../machines/table.ts';
import { branchesOf, evidenceFrom, type Facts, listing, realistic } from '../support/machine-table.ts';

const FILE = join(import.meta.dirname, 'table-listing.txt');
const HEAD = `# What every combination of evidence comes to: row → now / at the deadline. S is the source, D the destination, T a third host.
# "(row) → ask D again": a row above would settle on D being gone, but D was asked too early; the row in brackets waits meanwhile.
# Rewritten by UPDATE_LISTING=1 npx vitest run test/machines/table.test.ts; every line that moves is a verdict that moves.
`;

/** Complete evidence with neutral values; each test overrides the values it is about. */
const calm: Facts = {
  notStarted: false,
  sourceEnd: null,
  cold: null,
  destinationFenced: false,
  destinationAskedLast: true,
  twoCopies: false,
  leftover: false,
  emptyTwice: true,
  thirds: 0,
  othersAnswered: true,
  sourceJob: 'none',
  destinationJob: 'none',
  ran: 'maybe',
  proven: false,
  sourceAskedLast: false,
  origin: 'running',
  leavePaused: false,
  storageCopied: false,
  sourceExcluded: false,
};
const evidence = (
  source: Presence,
  destination: Presence,
  facts: Partial<Facts> = {},
  over: Partial<Evidence> = {},
): Evidence => ({
  ...evidenceFrom(source, destination, { ...calm, ...facts }),
  ...over,
});
const rowOf = (given: Evidence) => decide(given, 'now').row.id;

describe('the verdict table', () => {
  it('has the specified rows in their order', () => {
    expect(table.map(({ id }) => id)).toEqual([
      'same-host',
      'torn',
      'postcopy',
      'third-host',
      'landed',
      'elsewhere',
      'crashed-after',
      'shell-left',
      'half-arrived',
      'nowhere',
      'handed-over-silent',
      'silent-destination-gone',
      'ran-and-resumed',
      'stayed',
      'stalled',
      'stalled-shell',
      'ran-and-died',
      'moving',
      'switched',
      'both-alive',
      'silent-source',
      'silence',
      'silent-destination',
      'contradiction',
    ]);
  });

  it('gives the reviewed decision for every combination of evidence', () => {
    const lines = listing();
    if (process.env['UPDATE_LISTING'] === '1') writeFileSync(FILE, `${HEAD}${lines.join('\n')}\n`);
    const reviewed = readFileSync(FILE, 'utf8')
      .trimEnd()
      .split('\n')
      .filter((line) => !line.startsWith('#'));
    const [before, now] = [new Set(reviewed), new Set(lines)];
    const gone = reviewed.filter((line) => !now.has(line)).map((line) => `- ${line}`);
    const come = lines.filter((line) => !before.has(line)).map((line) => `+ ${line}`);
    const hint = 'UPDATE_LISTING=1 rewrites the listing once every moved line is meant';
    expect([...gone, ...come], `moved, against ${FILE}:\n${[...gone, ...come].join('\n')}\n${hint}`).toEqual([]);
    expect(lines, 'only the order of the lines differs').toEqual(reviewed);
  });

  it('has a row for every combination of presences', () => {
    const unforeseen = realistic.source.flatMap((source) =>
      realistic.destination.flatMap((destination) =>
        branchesOf(source, destination)
          .filter(({ result }) => result.startsWith('contradiction'))
          .map(({ conditions }) => `S ${source}, D ${destination} (${conditions})`),
      ),
    );
    expect(unforeseen).toEqual([]);
  });

  it('has a combination of evidence that matches each row', () => {
    const reached = new Set(
      presences.flatMap((source) =>
        presences.flatMap((destination) => branchesOf(source, destination).map(({ result }) => result.split(' ')[0])),
      ),
    );
    expect(table.map(({ id }) => id).filter((id) => id !== 'same-host' && !reached.has(id))).toEqual([]);
  });

  it('rolls back without lock commands if source and destination are the same', () => {
    for (const source of presences) {
      for (const destination of presences) {
        const given = evidence(source, destination, {}, { sameHost: true });
        for (const phase of ['now', 'deadline'] as const) {
          expect(decide(given, phase)).toMatchObject({
            outcome: 'rolled-back',
            row: { id: 'same-host', noLocks: true },
          });
        }
      }
    }
  });

  it('contains no decision that waits beyond the deadline', () => {
    for (const source of presences) {
      for (const destination of presences) {
        for (const { result } of branchesOf(source, destination)) expect(result).not.toMatch(/\/ wait/);
      }
    }
  });
});

describe('a condition of the verdict table', () => {
  const quiet = { libvirtError: false, outgoingSeen: false, quietRounds: false };

  test.each(['libvirtError', 'outgoingSeen', 'quietRounds'] as const)(
    'accepts %s alone as proof that the call has ended',
    (proof) => {
      expect(rowOf(evidence('executing', 'absent', {}, { ...quiet, [proof]: true }))).toBe('stayed');
      expect(rowOf(evidence('executing', 'absent', {}, quiet))).toBe('moving');
    },
  );

  test.each(['stayed', 'stalled', 'ran-and-resumed'] as const)(
    'prevents row %s while the source has an outgoing job',
    (row) => {
      const source = row === 'stalled' ? 'switching' : 'executing';
      const ran = row === 'ran-and-resumed' ? 'yes' : 'no';
      expect(rowOf(evidence(source, 'absent', { ran, proven: true }))).toBe(row);
      for (const sourceJob of ['outgoing', 'incoming', 'unknown'] as const) {
        const decision = decide(evidence(source, 'absent', { ran, proven: true, sourceJob }), 'deadline');
        expect(decision.outcome).toBe('contested');
      }
    },
  );

  it('named jobs-over requires that neither host has a job', () => {
    expect(satisfies('jobs-over', evidence('switching', 'executing'))).toBe(true);
    expect(satisfies('jobs-over', evidence('switching', 'executing', { destinationJob: 'incoming' }))).toBe(false);
    expect(satisfies('jobs-over', evidence('switching', 'executing', { sourceJob: 'unknown' }))).toBe(false);
    expect(satisfies('jobs-over', evidence('switching', 'executing', { destinationJob: 'unknown' }))).toBe(false);
  });

  it('named split-brain requires no jobs and a later source answer', () => {
    expect(satisfies('split-brain', evidence('executing', 'executing', { sourceAskedLast: true }))).toBe(true);
    expect(satisfies('split-brain', evidence('executing', 'executing'))).toBe(false);
    expect(
      satisfies(
        'split-brain',
        evidence('executing', 'executing', { sourceAskedLast: true, destinationJob: 'unknown' }),
      ),
    ).toBe(false);
    expect(
      satisfies('split-brain', evidence('executing', 'executing', { sourceAskedLast: true, sourceJob: 'outgoing' })),
    ).toBe(false);
  });
});

describe('a row that requires an empty destination', () => {
  const settling = table.filter((row) => row.settlesOnGone === true).map(({ id }) => id);

  it('exists for every verdict that rules out the destination', () => {
    expect(settling).toEqual(['elsewhere', 'crashed-after', 'nowhere', 'ran-and-resumed', 'stayed', 'stalled']);
  });

  it('matches only if the destination was asked after the source’s answer', () => {
    const given = evidence('executing', 'absent', { proven: true, destinationAskedLast: false });
    expect(decide(given, 'now')).toMatchObject({ outcome: 'wait', askDestinationAgain: true });
    expect(decide({ ...given, destinationAskedLast: true }, 'now')).toMatchObject({
      outcome: 'rolled-back',
      askDestinationAgain: false,
    });
  });
});

describe('the host that a verdict records', () => {
  it('is the destination, a third host with the guest, or the source', () => {
    expect(decide(evidence('absent', 'executing'), 'now')).toMatchObject({ host: 'D', certainty: 'proven' });
    expect(decide(evidence('absent', 'absent', { thirds: 1 }), 'now')).toMatchObject({
      host: 'T',
      certainty: 'proven',
      row: { id: 'elsewhere' },
    });
    expect(decide(evidence('executing', 'executing'), 'deadline')).toMatchObject({
      host: 'S',
      certainty: 'provisional',
    });
    expect(decide(evidence('unknown', 'unknown'), 'deadline')).toMatchObject({ host: 'S', certainty: 'unknown' });
  });

  it('is provisional until the source is proven unable to write', () => {
    expect(decide(evidence('unknown', 'executing'), 'deadline')).toMatchObject({
      outcome: 'completed',
      certainty: 'provisional',
    });
    expect(decide(evidence('unknown', 'executing', { sourceExcluded: true }), 'deadline')).toMatchObject({
      certainty: 'proven',
    });
  });

  it('is not proven if it is a destination that never answered', () => {
    const silent = evidence('handed-over', 'unknown', { sourceExcluded: true });
    expect(decide(silent, 'deadline')).toMatchObject({ outcome: 'completed', certainty: 'provisional' });
  });
});
