import type { DatabaseSync } from 'node:sqlite';
import type { Alarm, AttemptState } from '../events/attempt.ts';
import type { Timers } from '../events/entries.ts';
import type { Verdict } from '../events/verdict.ts';
import { State } from '../events/vocabulary.ts';
import { path } from '../machines/chart.ts';
import { isOver } from '../machines/vm.ts';
import {
  ATTEMPTS,
  iso,
  isoOrNull,
  json,
  limitOf,
  map,
  openOf,
  type OpenAttempt,
  type Page,
  text,
} from './read-rows.ts';
import { vmsNamed } from './vms.ts';

type VerdictView = Omit<Verdict, 'decidedAt'> & { decidedAt: string };

/** An item of `migrations --json` and of `GET /v1/migrations`: scripts rely on it. Fields may be added, none is taken away. */
export type MigrationView = {
  migration: string;
  vm: string;
  source: string;
  destination: string;
  /** One of the five. */
  state: State;
  settled: boolean;
  contested: boolean;
  verdict: VerdictView | null;
  verdicts: VerdictView[];
  startedAt: string;
  /** When the call returned with an error; null where it did not, or not yet. */
  failedAt: string | null;
  settledAt: string | null;
  /** State and substate, for people. */
  at: string;
  /** The row that an undecided attempt waits by. */
  waiting: string | null;
  clock: string;
  error: string | null;
  alarms: (Omit<Alarm, 'at'> & { at: string })[];
  supersededBy: string | null;
};

/** Attempts in the order in which they began: of the VM (its UUID or name), or all. */
export function migrations(db: DatabaseSync, vm?: string, page: Page = {}): MigrationView[] {
  return [...eachMigration(db, vm, page)].map(({ view }) => view);
}

/** The same one by one, each with the characters of its entry: a view of many words has a long one. */
export function eachMigration(
  db: DatabaseSync,
  vm?: string,
  page: Page = {},
): Generator<{ readonly view: MigrationView; readonly characters: number }> {
  const of = vm === undefined ? null : JSON.stringify(vmsNamed(db, vm));
  const sql = `SELECT body FROM ${ATTEMPTS}
    WHERE (?1 IS NULL OR attempts.vm IN (SELECT value FROM json_each(?1)))
      AND (?2 IS NULL OR (partition, first) > (SELECT partition, first FROM attempts WHERE migration = ?2))
    ORDER BY partition, first LIMIT ?3`;
  return map(db, sql, [of, page.after ?? null, limitOf(page)], (row) => ({
    view: toMigration(openOf(row).state),
    characters: text(row, 'body').length,
  }));
}

export function migrationView(db: DatabaseSync, migration: string): MigrationView | null {
  const state = attemptState(db, migration);
  return state === null ? null : toMigration(state.state);
}

/** An attempt with its timers, settled or not. */
export function attemptState(db: DatabaseSync, migration: string): OpenAttempt | null {
  const row = db.prepare(`SELECT body FROM ${ATTEMPTS} WHERE attempts.migration = ?`).get(migration);
  return row === undefined ? null : openOf(row);
}

export type Deadlines = { migration: string; clock: string; ends: string[]; timers: Timers };

/** The timers of every attempt that is not settled, in the order in which they began: a driver sets them again. */
export function deadlines(db: DatabaseSync, partition?: number): Generator<Deadlines> {
  const sql = `SELECT migration, timers, clock, source, destination FROM attempts
    WHERE settled = 0 AND (?1 IS NULL OR partition = ?1) ORDER BY partition, first`;
  return map(db, sql, [partition ?? null], (row) => ({
    migration: text(row, 'migration'),
    clock: text(row, 'clock'),
    ends: [text(row, 'source'), text(row, 'destination')],
    timers: json(row, 'timers'),
  }));
}

/** Every attempt that is not settled, in the order in which they began. */
export function openAttempts(db: DatabaseSync, partition?: number): Generator<OpenAttempt> {
  const sql = `SELECT body FROM ${ATTEMPTS}
    WHERE settled = 0 AND (?1 IS NULL OR partition = ?1) ORDER BY partition, first`;
  return map(db, sql, [partition ?? null], openOf);
}

/** How many attempts are in each state, for a dashboard and the metrics. */
export function countsByState(db: DatabaseSync): { at: string; contested: boolean; count: number }[] {
  const sql =
    'SELECT state, contested, count(*) AS count FROM attempts GROUP BY state, contested ORDER BY state, contested';
  return [
    ...map(db, sql, [], (row) => ({
      at: String(row['state']),
      contested: row['contested'] === 1,
      count: Number(row['count']),
    })),
  ];
}

export function toMigration(state: AttemptState): MigrationView {
  const { attempt } = state;
  const verdicts = attempt.verdicts.map((verdict): VerdictView => ({ ...verdict, decidedAt: iso(verdict.decidedAt) }));
  const standing = verdicts.at(-1) ?? null;
  const settled = isOver(state);
  const { migration, vm, source, destination, callError } = attempt;
  return {
    migration,
    vm,
    source,
    destination,
    state: topState(state),
    settled,
    contested: standing?.contested === true,
    verdict: standing,
    verdicts,
    startedAt: iso(attempt.startedAt),
    failedAt: callError === null ? null : isoOrNull(attempt.returnedAt),
    // One that is examined again keeps the time in its context; it is not settled while that lasts.
    settledAt: settled ? isoOrNull(attempt.settledAt) : null,
    at: path(state.value),
    waiting: attempt.waiting?.row ?? null,
    clock: attempt.clock,
    error: callError?.message ?? null,
    alarms: attempt.alarms.map((alarm) => ({ ...alarm, at: iso(alarm.at) })),
    supersededBy: attempt.supersededBy,
  };
}

function topState({ value }: AttemptState): State {
  return State.parse(path(value).split('.')[0]);
}
