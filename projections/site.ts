import type { DatabaseSync } from 'node:sqlite';
import { type Configuration, defaultConfiguration } from '../events/configuration.ts';
import type { HostRecord } from '../events/records.ts';
import { formatPosition } from '../log/port.ts';
import { iso, json, limitOf, map, numberOf, numberOrNull, type Page, type Row, text, textOrNull } from './read-rows.ts';

/** Reads of hosts, configuration and dead letters. */

/** Returns every known host, by name. */
export function hostRecords(db: DatabaseSync): HostRecord[] {
  return [...map(db, 'SELECT body FROM hosts ORDER BY host', [], (row) => json<HostRecord>(row, 'body'))];
}

/** Returns the configuration in force. */
export function configuration(db: DatabaseSync): Configuration {
  const row = db.prepare('SELECT body FROM configurations ORDER BY sequence DESC LIMIT 1').get();
  return row === undefined ? defaultConfiguration : json(row, 'body');
}

export type ConfigurationView = {
  position: string;
  time: string;
  operator: string | null;
  configuration: Configuration;
};

/** Returns every configuration since the beginning, oldest first, with the operator of each change. */
export function configurationHistory(db: DatabaseSync): ConfigurationView[] {
  const sql = 'SELECT * FROM configurations ORDER BY sequence';
  return [
    ...map(db, sql, [], (row) => ({
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
  /** `input`: a valid input that was refused. `malformed`: bytes that are not a valid input. */
  kind: string;
  type: string | null;
  source: string | null;
  id: string | null;
  stream: string | null;
  offset: number | null;
  /** The first characters of a malformed input. */
  excerpt: string | null;
};

/** Refused inputs, oldest first. `after` is a position. */
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

/** Returns the time of the last entry on each clock, in milliseconds. */
export function clockTimes(db: DatabaseSync): [clock: string, time: number][] {
  return [
    ...map(db, 'SELECT clock, time FROM progress', [], (row): [string, number] => [
      text(row, 'clock'),
      numberOf(row, 'time'),
    ]),
  ];
}
