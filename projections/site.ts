import type { DatabaseSync } from 'node:sqlite';
import { type Configuration, defaultConfiguration } from '../events/configuration.ts';
import type { HostRecord } from '../events/records.ts';
import { formatPosition } from '../log/port.ts';
import { iso, json, limitOf, map, numberOf, numberOrNull, type Page, type Row, text, textOrNull } from './read-rows.ts';

/** Reads of what concerns the whole site: hosts, configuration, dead letters. */

/** Every known host. What reached several partitions is the same in each; the newest is taken. */
export function hostRecords(db: DatabaseSync, partition?: number): HostRecord[] {
  const sql = `SELECT host, body, max(time) FROM hosts WHERE ?1 IS NULL OR partition = ?1 GROUP BY host ORDER BY host`;
  return [...map(db, sql, [partition ?? null], (row) => json<HostRecord>(row, 'body'))];
}

/** The configuration in force. */
export function configuration(db: DatabaseSync, partition = 0): Configuration {
  const row = db
    .prepare('SELECT body FROM configurations WHERE partition = ? ORDER BY sequence DESC LIMIT 1')
    .get(partition);
  return row === undefined ? defaultConfiguration : json(row, 'body');
}

export type ConfigurationView = {
  position: string;
  time: string;
  operator: string | null;
  configuration: Configuration;
};

/** Every configuration there was, oldest first, and who set it. */
export function configurationHistory(db: DatabaseSync, partition = 0): ConfigurationView[] {
  const sql = 'SELECT * FROM configurations WHERE partition = ? ORDER BY sequence';
  return [
    ...map(db, sql, [partition], (row) => ({
      position: positionOf(row),
      time: iso(numberOf(row, 'time')),
      operator: textOrNull(row, 'operator'),
      configuration: json<Configuration>(row, 'body'),
    })),
  ];
}

export type DeadLetter = {
  position: string;
  time: string;
  vm: string | null;
  code: string;
  message: string;
  remedy: string;
  /** `input`: understood and refused. `malformed`: not understood. */
  kind: string;
  type: string | null;
  source: string | null;
  id: string | null;
  stream: string | null;
  offset: number | null;
  /** The beginning of a malformed input. */
  excerpt: string | null;
};

/** What was refused, oldest first. `after` is a position. */
export function deadLetters(db: DatabaseSync, page: Page = {}): DeadLetter[] {
  const [partition, sequence] = (page.after ?? '0:0').split(':').map(Number);
  const sql = 'SELECT * FROM dead_letters WHERE (partition, sequence) > (?, ?) ORDER BY partition, sequence LIMIT ?';
  return [...map(db, sql, [partition ?? 0, sequence ?? 0, limitOf(page)], toDeadLetter)];
}

function toDeadLetter(row: Row): DeadLetter {
  return {
    position: positionOf(row),
    time: iso(numberOf(row, 'time')),
    vm: textOrNull(row, 'vm'),
    code: text(row, 'code'),
    message: text(row, 'message'),
    remedy: text(row, 'remedy'),
    kind: text(row, 'kind'),
    type: textOrNull(row, 'type'),
    source: textOrNull(row, 'source'),
    id: textOrNull(row, 'id'),
    stream: textOrNull(row, 'stream'),
    offset: numberOrNull(row, 'offset'),
    excerpt: textOrNull(row, 'excerpt'),
  };
}

function positionOf(row: Row): string {
  return formatPosition({ partition: numberOf(row, 'partition'), sequence: numberOf(row, 'sequence') });
}

/** The last entry's time on each clock, in milliseconds. */
export function clockTimes(db: DatabaseSync, partition = 0): [clock: string, time: number][] {
  return [
    ...map(db, 'SELECT clock, time FROM progress WHERE partition = ?', [partition], (row): [string, number] => [
      text(row, 'clock'),
      numberOf(row, 'time'),
    ]),
  ];
}
