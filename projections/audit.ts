import type { DatabaseSync } from 'node:sqlite';
import { Entry } from '../events/entries.ts';
import { Fault, messageOf } from '../events/fault.ts';
import { ChainFault, link } from '../log/chain.ts';
import { formatPosition, GENESIS, type Head, type Ledger, type StoredEntry } from '../log/port.ts';
import * as checks from './audit-checks.ts';
import { difference } from './difference.ts';
import { fold, type FoldProgress } from './fold.ts';
import { rowWriter, type RowWriter } from './rows.ts';
import { brokenTables, foldedThrough, PROJECTION_VERSION, projectionVersion } from './schema.ts';
import { scratch } from './scratch.ts';

/**
 * The audit: one pass over a partition that trusts only the texts of the ledger. It checks the chain and each verdict, and
 * compares the projections with a fresh fold.
 */

export type Finding = { position: string; kind: checks.FindingKind; message: string };
export type Audit = {
  entries: number;
  head: { position: string; hash: string };
  findings: Finding[];
  verdicts: checks.VerdictCount;
};
export type AuditOptions = {
  /** A head stored outside the ledger. It reveals a cut tail or a rewritten ledger. */
  head?: Head;
  /** The projections to compare, on a connection that only this audit uses, because it holds one read transaction open. */
  projections?: DatabaseSync;
  progress?: FoldProgress;
};

/** Findings of one kind that are listed; the rest is counted. */
const FINDINGS_MAX = 20;
/** Unreadable entries after which an audit stops, so that damage of any extent ends it soon. */
const UNREADABLE_ENTRIES_MAX = 200;

export async function audit(
  ledger: Pick<Ledger, 'head' | 'read'>,
  partition: number,
  options: AuditOptions = {},
): Promise<Audit> {
  const db = scratch();
  const { projections } = options;
  const atLeast = await ledger.head(partition);
  projections?.exec('BEGIN');
  // Without a transaction SQLite would write each row separately.
  db.exec('BEGIN');
  try {
    const auditor = new Auditor(partition, db, projections, options.head);
    for (let from: number | null = 1; from !== null; )
      from = await auditor.read(from, ledger.read(partition, from), options.progress);
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
  readonly #writeRows: RowWriter;
  readonly #checks: checks.Check[];
  readonly #findings: Finding[] = [];
  readonly #counts = new Map<checks.FindingKind, { position: string; count: number }>();
  readonly #verdicts: checks.VerdictCount = { checked: 0, differing: 0, otherTable: 0, byOperator: 0 };
  /** The last entry that the projections contain; later entries are not compared. */
  readonly #foldedThrough: number;
  #head: Head = { sequence: 0, hash: GENESIS };
  #entries = 0;
  #unreadableEntries = 0;

  constructor(partition: number, db: DatabaseSync, projections: DatabaseSync | undefined, head: Head | undefined) {
    this.#partition = partition;
    this.#db = db;
    this.#projections = projections;
    this.#writeRows = rowWriter(db, partition);
    this.#foldedThrough = projections === undefined ? 0 : lastFolded(projections);
    this.#checks = [
      checks.chainCheck(this.#head),
      checks.headCheck(head),
      checks.timeCheck(),
      checks.identityCheck(),
      checks.tokenCheck(),
      checks.verdictCheck(this.#verdicts),
    ];
  }

  /** Checks and folds entries. @returns the sequence to continue at after an unreadable entry; null at the end. */
  async read(
    from: number,
    entries: AsyncIterable<StoredEntry>,
    progress: FoldProgress = () => {},
  ): Promise<number | null> {
    try {
      await fold(entries, {
        accepts: (stored) => this.#check(stored),
        write: (touches) => this.#writeRows(0, touches.touched()),
        progress: () => progress(this.#entries),
      });
      return null;
    } catch (error) {
      const bad = this.#unreadable(from, error);
      this.#unreadableEntries += 1;
      if (this.#unreadableEntries <= UNREADABLE_ENTRIES_MAX) return bad + 1;
      const message = `the audit stopped here, after ${UNREADABLE_ENTRIES_MAX} entries that cannot be read`;
      this.#find(bad, { kind: 'damaged', message });
      return null;
    }
  }

  /** Reports an entry that cannot be read. @returns its sequence, which is never before `from`, so that each read advances. */
  #unreadable(from: number, error: unknown): number {
    if (error instanceof ChainFault) {
      this.#find(error.position.sequence, { kind: error.reason, message: error.message });
      return Math.max(from, error.position.sequence);
    }
    if (!isDamage(error)) throw error;
    const bad = Math.max(from, this.#head.sequence + 1);
    this.#find(bad, { kind: 'damaged', message: error.message });
    return bad;
  }

  /** Runs the checks on an entry. @returns whether the entry belongs into the fold that is compared. */
  #check(stored: StoredEntry): boolean {
    const { sequence, hash, entry } = stored;
    const whole = link(stored.previous, stored.text) === hash;
    // An altered entry may have any shape, so only its position in the chain can be checked.
    const readable = whole || Entry.safeParse(entry).success;
    const applicable = readable ? this.#checks : this.#checks.slice(0, 1);
    for (const check of applicable) for (const found of check(stored, whole)) this.#find(sequence, found);
    this.#head = { sequence, hash };
    this.#entries += 1;
    return readable && sequence <= this.#foldedThrough;
  }

  conclude(atLeast: Head, kept: Head | undefined): Audit {
    if (kept !== undefined && kept.sequence > this.#head.sequence) {
      this.#find(this.#head.sequence, {
        kind: 'cut',
        message: `the ledger ends here, but the head stored elsewhere is entry ${kept.sequence}`,
      });
    }
    if (this.#head.sequence < atLeast.sequence) {
      const message = `the entries after this one, up to ${atLeast.sequence}, cannot be read`;
      this.#find(this.#head.sequence, { kind: 'missing', message });
    }
    if (this.#projections !== undefined) this.#compareReadable(this.#projections, atLeast);
    for (const [kind, { position, count }] of this.#counts) {
      if (count > FINDINGS_MAX)
        this.#findings.push({ position, kind, message: `and ${count - FINDINGS_MAX} more of this kind` });
    }
    const head = { position: this.#at(this.#head.sequence), hash: this.#head.hash };
    return { entries: this.#entries, head, findings: this.#findings, verdicts: this.#verdicts };
  }

  #compareReadable(projections: DatabaseSync, atLeast: Head): void {
    try {
      this.#compare(projections, atLeast);
    } catch (error) {
      const message = `the projections cannot be read: ${messageOf(error)}`;
      this.#find(this.#head.sequence, { kind: 'projection', message });
    }
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
        message: `${written}; run landfall rebuild`,
      });
    }
    const broken = brokenTables(projections);
    if (broken.length > 0) {
      return this.#find(this.#head.sequence, {
        kind: 'projection',
        message: `tables missing or altered: ${broken.join(', ')}; run landfall rebuild`,
      });
    }
    if (this.#foldedThrough > this.#head.sequence) {
      this.#find(this.#head.sequence, {
        kind: 'cut',
        message: `the ledger ends here, but its projections contain entry ${this.#foldedThrough}`,
      });
    }
    if (this.#foldedThrough < atLeast.sequence) {
      this.#find(this.#foldedThrough, {
        kind: 'projection',
        message: `the projections end here, but the ledger continues to ${atLeast.sequence}`,
      });
    }
    for (const { table, key, column, sequence } of difference(projections, this.#db)) {
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

/** Returns 0 if the projections cannot be read; the comparison reports this later. */
function lastFolded(projections: DatabaseSync): number {
  try {
    const readable = projectionVersion(projections) === PROJECTION_VERSION && brokenTables(projections).length === 0;
    return readable ? foldedThrough(projections) : 0;
  } catch {
    return 0;
  }
}

/** Returns true for a fault of the file itself; a busy ledger or a missing file is none. */
export function isDamage(error: unknown): error is Fault {
  return error instanceof Fault && (error.code === 'LEDGER_DAMAGED' || error.code === 'LEDGER_FAILED');
}
