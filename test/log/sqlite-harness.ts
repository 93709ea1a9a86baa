import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SqliteLedger, type SqliteLedgerOptions } from '../../log/sqlite/ledger.ts';

/** The module that provokes unknown outcomes of commits. */
const SABOTEUR = new URL('./saboteur.ts', import.meta.url).href;

/** A temporary folder for one test, with the path of a ledger file in it. */
export class Scratch implements Disposable {
  readonly folder: string;
  readonly file: string;

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'landfall-ledger-'));
    this.file = join(this.folder, 'ledger.db');
  }

  open(changes: Partial<SqliteLedgerOptions> = {}): Promise<SqliteLedger> {
    return SqliteLedger.open({ file: this.file, mode: 'write', machineVersion: 'test', ...changes });
  }

  openSabotaged(): Promise<SqliteLedger> {
    return this.open({ projections: [SABOTEUR] });
  }

  sabotage(outcome: 'applied' | 'lost'): void {
    writeFileSync(`${this.file}.sabotage`, outcome);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
