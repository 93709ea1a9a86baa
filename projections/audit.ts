import type { DatabaseSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import { Entry } from '../events/entries.ts';
import { ChainFault, link } from '../log/chain.ts';
import { formatPosition, GENESIS, type Head, type Ledger, type StoredEntry } from '../log/port.ts';
import * as checks from './audit-checks.ts';
import { difference } from './difference.ts';
import { type Follower, follow } from './follow.ts';
import { type Progress, scratch } from './rebuild.ts';
import { brokenTables, followed, PROJECTION_VERSION, projectionVersion } from './schema.ts';
import { Touches } from './touched.ts';

/**
 * The audit: one pass over a partition. It trusts nothing but the ledger's texts: the chain, what was decided, and the
 * projections, which are compared with those that the ledger gives today.
 */

export type Finding = { position: string; kind: checks.FindingKind; message: string };
export type Audit = {
  entries: number;
  head: { position: string; hash: string };
  findings: Finding[];
  verdicts: checks.VerdictCount;
};
export type AuditOptions = {
  /** A head kept elsewhere: it finds a cut tail, or a ledger that was written anew. */
  head?: Head;
  /** The projections to compare: a connection of this audit's own, for it reads one moment of them from begin to end. */
  projections?: DatabaseSync;
  progress?: Progress;
};

/** Findings of one kind that are told one by one; the rest is counted. */
const FINDINGS_MAX = 20;
const TURN_ENTRIES = 2000;

export async function audit(
  ledger: Pick<Ledger, 'head' | 'read'>,
  partition: number,
  options: AuditOptions = {},
): Promise<Audit> {
  const db = scratch();
  const { projections } = options;
  const atLeast = await ledger.head(partition);
  projections?.exec('BEGIN');
  // One transaction: outside of one, every row would be written out by itself.
  db.exec('BEGIN');
  try {
    const auditor = new Auditor(partition, db, projections, options.head);
    const progress = options.progress ?? (() => {});
    for (let from: number | null = 1; from !== null; )
      from = await auditor.read(ledger.read(partition, from), progress);
    return auditor.conclude(atLeast, options.head);
  } finally {
    db.close();
    if (projections?.isTransaction === true) projections.exec('ROLLBACK');
  }
}

class Auditor {
  readonly #partition: number;
  readonly #db: DatabaseSync;
  readonly #projections: DatabaseSync | undefined;
  readonly #follower: Follower;
  #touches = new Touches();
  readonly #checks: checks.Check[];
  readonly #findings: Finding[] = [];
  readonly #counts = new Map<checks.FindingKind, { position: string; count: number }>();
  readonly #verdicts: checks.VerdictCount = { checked: 0, differing: 0, otherTable: 0, byOperator: 0 };
  /** The projections stand here; what the ledger has beyond it is not theirs yet. */
  readonly #followed: number;
  #head: Head = { sequence: 0, hash: GENESIS };
  #entries = 0;

  constructor(partition: number, db: DatabaseSync, projections: DatabaseSync | undefined, head: Head | undefined) {
    this.#partition = partition;
    this.#db = db;
    this.#projections = projections;
    this.#follower = follow(db, partition);
    this.#followed = projections === undefined ? 0 : followedBy(projections, partition);
    this.#checks = [
      checks.chainCheck(this.#head),
      checks.headCheck(head),
      checks.timeCheck(),
      checks.identityCheck(),
      checks.tokenCheck(),
      checks.verdictCheck(this.#verdicts),
    ];
  }

  /** @returns where to go on, where an entry could not even be parsed; null at the end. */
  async read(entries: AsyncIterable<StoredEntry>, progress: Progress): Promise<number | null> {
    try {
      for await (const stored of entries) {
        this.#take(stored);
        if (this.#entries % TURN_ENTRIES > 0) continue;
        this.#flush();
        progress(this.#entries);
        await setImmediate();
      }
    } catch (error) {
      if (!(error instanceof ChainFault)) throw error;
      this.#find(error.position.sequence, { kind: error.reason, message: error.message });
      return error.position.sequence + 1;
    }
    this.#flush();
    progress(this.#entries);
    return null;
  }

  #flush(): void {
    this.#follower.apply(0, this.#touches.touched());
    this.#touches = new Touches();
  }

  #take(stored: StoredEntry): void {
    const { sequence, hash, entry } = stored;
    const whole = link(stored.previous, stored.text) === hash;
    // An altered entry may be of any shape: only its place in the chain can be checked then.
    const readable = whole || Entry.safeParse(entry).success;
    const applicable = readable ? this.#checks : this.#checks.slice(0, 1);
    for (const check of applicable) for (const found of check(stored, whole)) this.#find(sequence, found);
    if (readable && sequence <= this.#followed) this.#touches.add(sequence, entry);
    this.#head = { sequence, hash };
    this.#entries += 1;
  }

  conclude(atLeast: Head, kept: Head | undefined): Audit {
    if (kept !== undefined && kept.sequence > this.#head.sequence) {
      this.#find(this.#head.sequence, {
        kind: 'cut',
        message: `the ledger ends here, the head kept elsewhere is entry ${kept.sequence}`,
      });
    }
    if (this.#projections !== undefined) this.#compare(this.#projections, atLeast);
    for (const [kind, { position, count }] of this.#counts) {
      if (count > FINDINGS_MAX)
        this.#findings.push({ position, kind, message: `and ${count - FINDINGS_MAX} more of this kind` });
    }
    const head = { position: this.#at(this.#head.sequence), hash: this.#head.hash };
    return { entries: this.#entries, head, findings: this.#findings, verdicts: this.#verdicts };
  }

  #compare(projections: DatabaseSync, atLeast: Head): void {
    const version = projectionVersion(projections);
    if (version !== PROJECTION_VERSION) {
      const written =
        version === null
          ? 'there are no projections'
          : `the projections were written by version ${version}, this is ${PROJECTION_VERSION}`;
      return this.#find(this.#head.sequence, {
        kind: 'projection',
        message: `${written}; landfall rebuild makes them anew`,
      });
    }
    const broken = brokenTables(projections);
    if (broken.length > 0) {
      return this.#find(this.#head.sequence, {
        kind: 'projection',
        message: `not there, or laid out otherwise: ${broken.join(', ')}; landfall rebuild makes them anew`,
      });
    }
    if (this.#followed > this.#head.sequence) {
      this.#find(this.#head.sequence, {
        kind: 'cut',
        message: `the ledger ends here, its projections know entry ${this.#followed}`,
      });
    }
    if (this.#followed < atLeast.sequence) {
      this.#find(this.#followed, {
        kind: 'projection',
        message: `the projections stop here, the ledger goes on to ${atLeast.sequence}`,
      });
    }
    for (const { table, key, column, sequence } of difference(projections, this.#db, this.#partition)) {
      const what = column === null ? 'is only on one side' : `differs in ${column}`;
      this.#find(sequence, { kind: 'projection', message: `${table} ${key} ${what} from a rebuild` });
    }
  }

  #find(sequence: number, { kind, message }: checks.Found): void {
    const position = this.#at(sequence);
    const count = (this.#counts.get(kind)?.count ?? 0) + 1;
    this.#counts.set(kind, { position, count });
    if (count <= FINDINGS_MAX) this.#findings.push({ position, kind, message });
  }

  #at(sequence: number): string {
    return formatPosition({ partition: this.#partition, sequence });
  }
}

function followedBy(projections: DatabaseSync, partition: number): number {
  const readable = projectionVersion(projections) === PROJECTION_VERSION && brokenTables(projections).length === 0;
  return readable ? followed(projections, partition) : 0;
}
