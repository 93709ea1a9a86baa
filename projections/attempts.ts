import type { DatabaseSync } from 'node:sqlite';
import type { Alarm, AttemptState } from '../events/attempt.ts';
import type { Verdict } from '../events/verdict.ts';
import { State, type Status } from '../events/vocabulary.ts';
import type { Deadlines } from '../log/directory.ts';
import { path } from '../machines/chart.ts';
import { statusOf } from '../machines/status-words.ts';
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

/** An item of `migrations --json` and of `GET /v1/migrations`. Scripts rely on the fields: add fields, never remove one. */
export type MigrationView = {
  migration: string;
  vm: string;
  source: string;
  destination: string;
  /** The status in the words of `statusTexts`. */
  status: Status;
  /** One of the five top-level states of the machine. */
  state: State;
  settled: boolean;
  contested: boolean;
  verdict: VerdictView | null;
  verdicts: VerdictView[];
  startedAt: string;
  /** The time at which the call returned an error; null if it has not. */
  failedAt: string | null;
  settledAt: string | null;
  /** State and substate, joined by a dot. */
  at: string;
  /** The id of the verdict row that makes an undecided attempt wait. */
  waiting: string | null;
  clock: string;
  error: string | null;
  alarms: (Omit<Alarm, 'at'> & { at: string })[];
  supersededBy: string | null;
};

/** Attempts of a VM (by UUID or name) or of all VMs, oldest first. */
export function migrations(db: DatabaseSync, vm?: string, page: Page = {}): MigrationView[] {
  return [...eachMigration(db, vm, page)];
}

/** Yields the attempts of `migrations` one by one. */
export function eachMigration(db: DatabaseSync, vm?: string, page: Page = {}): Generator<MigrationView> {
  const of = vm === undefined ? null : JSON.stringify(vmsNamed(db, vm));
  const sql = `SELECT body FROM ${ATTEMPTS}
    WHERE (?1 IS NULL OR attempts.vm IN (SELECT value FROM json_each(?1)))
      AND (?2 IS NULL OR (partition, first) > (SELECT partition, first FROM attempts WHERE migration = ?2))
    ORDER BY partition, first LIMIT ?3`;
  return map(db, sql, [of, page.after ?? null, limitOf(page)], (row) => toMigration(openOf(row).state));
}

export function migrationView(db: DatabaseSync, migration: string): MigrationView | null {
  const state = attemptState(db, migration);
  return state === null ? null : toMigration(state.state);
}

/** Returns an attempt with its timers, or null if the attempt is unknown. */
export function attemptState(db: DatabaseSync, migration: string): OpenAttempt | null {
  const row = db.prepare(`SELECT body FROM ${ATTEMPTS} WHERE attempts.migration = ?`).get(migration);
  return row === undefined ? null : openOf(row);
}

/** Returns the deadlines of every unsettled attempt, oldest attempt first. */
export function deadlines(db: DatabaseSync): Generator<Deadlines> {
  const sql = `SELECT migration, timers, clock, source, destination FROM attempts
    WHERE settled = 0 ORDER BY partition, first`;
  return map(db, sql, [], (row) => ({
    migration: text(row, 'migration'),
    clock: text(row, 'clock'),
    ends: [text(row, 'source'), text(row, 'destination')],
    timers: json(row, 'timers'),
  }));
}

/** Returns every unsettled attempt, oldest first. */
export function openAttempts(db: DatabaseSync): Generator<OpenAttempt> {
  const sql = `SELECT body FROM ${ATTEMPTS} WHERE settled = 0 ORDER BY partition, first`;
  return map(db, sql, [], openOf);
}

/** Returns the number of attempts in each state. */
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
    status: statusOf(state),
    state: topState(state),
    settled,
    contested: standing?.contested === true,
    verdict: standing,
    verdicts,
    startedAt: iso(attempt.startedAt),
    failedAt: callError === null ? null : isoOrNull(attempt.returnedAt),
    // An attempt that late evidence reopened still holds its earlier settling time.
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
