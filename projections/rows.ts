import type { DatabaseSync } from 'node:sqlite';
import type { AttemptState } from '../events/attempt.ts';
import type { Cause, Entry, Timers } from '../events/entries.ts';
import type { VmRecord } from '../events/records.ts';
import { path } from '../machines/round.ts';
import { isOver } from '../machines/vm.ts';

/** Writes the rows of one partition: each is assigned from one entry, as that entry recorded it (invariant 9). */
export type RowWriter = {
  vm(sequence: number, time: number, record: VmRecord): void;
  /** `first`: the entry that began the attempt, where this is the first that is seen of it. */
  attempt(first: number, sequence: number, time: number, state: AttemptState, timers: Timers): void;
  host(sequence: number, time: number, host: NonNullable<Entry['host']>): void;
  configuration(sequence: number, entry: Entry): void;
  deadLetter(sequence: number, entry: Entry): void;
  progress(sequence: number, time: number, clock: string): void;
};

/** How much of a malformed input a list shows; its entry holds the rest. */
const EXCERPT_LENGTH = 200;

const VM = `INSERT INTO vms (partition, vm, name, host, sequence, time, body) VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (vm) DO UPDATE SET name = excluded.name, host = excluded.host, sequence = excluded.sequence,
    time = excluded.time, body = excluded.body`;

const ATTEMPT = `INSERT INTO attempts (partition, migration, vm, first, state, settled, contested, sequence, time, body, timers)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (migration, partition) DO UPDATE SET state = excluded.state, settled = excluded.settled,
    contested = excluded.contested, sequence = excluded.sequence, time = excluded.time, body = excluded.body, timers = excluded.timers`;

const HOST = `INSERT INTO hosts (partition, host, sequence, time, body) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT (partition, host) DO UPDATE SET sequence = excluded.sequence, time = excluded.time, body = excluded.body`;

const CONFIGURATION =
  'INSERT OR REPLACE INTO configurations (partition, sequence, time, operator, body) VALUES (?, ?, ?, ?, ?)';

const DEAD_LETTER = `INSERT OR REPLACE INTO dead_letters
  (partition, sequence, time, vm, code, message, remedy, kind, type, source, id, stream, "offset", excerpt)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

const PROGRESS = `INSERT INTO progress (partition, clock, sequence, time) VALUES (?, ?, ?, ?)
  ON CONFLICT (partition, clock) DO UPDATE SET sequence = excluded.sequence, time = excluded.time`;

export function rowWriter(db: DatabaseSync, partition: number): RowWriter {
  const [vm, attempt, host, configuration, deadLetter, progress] = [
    db.prepare(VM),
    db.prepare(ATTEMPT),
    db.prepare(HOST),
    db.prepare(CONFIGURATION),
    db.prepare(DEAD_LETTER),
    db.prepare(PROGRESS),
  ];
  return {
    vm: (sequence, time, record) => {
      vm.run(partition, record.vm, record.name, record.host, sequence, time, JSON.stringify(record));
    },
    attempt: (first, sequence, time, state, timers) => {
      const { migration, vm: owner, verdicts } = state.attempt;
      const [settled, contested] = [isOver(state) ? 1 : 0, verdicts.at(-1)?.contested === true ? 1 : 0];
      const body = JSON.stringify(state);
      attempt.run(
        partition,
        migration,
        owner,
        first,
        path(state.value),
        settled,
        contested,
        sequence,
        time,
        body,
        JSON.stringify(timers),
      );
    },
    host: (sequence, time, record) => {
      host.run(partition, record.host, sequence, time, JSON.stringify(record));
    },
    configuration: (sequence, { time, cause, configuration: body }) => {
      configuration.run(partition, sequence, time, operatorOf(cause), JSON.stringify(body));
    },
    deadLetter: (sequence, { time, vm: about, cause, refusal }) => {
      if (refusal === null) return;
      const { code, message, remedy } = refusal;
      deadLetter.run(partition, sequence, time, about, code, message, remedy, cause.kind, ...originOf(cause));
    },
    progress: (sequence, time, clock) => {
      progress.run(partition, clock, sequence, time);
    },
  };
}

function operatorOf(cause: Cause): string | null {
  if (cause.kind !== 'input' || typeof cause.data !== 'object' || cause.data === null) return null;
  return 'operator' in cause.data && typeof cause.data.operator === 'string' ? cause.data.operator : null;
}

type Origin = [
  type: string | null,
  source: string | null,
  id: string | null,
  stream: string | null,
  offset: number | null,
  excerpt: string | null,
];

function originOf(cause: Cause): Origin {
  switch (cause.kind) {
    case 'input':
      return [cause.type, cause.source, cause.id, cause.stream ?? null, cause.offset ?? null, null];
    case 'malformed':
      return [null, cause.source, cause.id, cause.stream, cause.offset, cause.text.slice(0, EXCERPT_LENGTH)];
    case 'timer':
      return [cause.timer, null, null, null, null, null];
  }
}
