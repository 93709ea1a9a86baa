import type { PlainFault } from '../../log/sqlite/faults.ts';
import type { Which } from './parts.ts';

/** The messages between the main thread and a reader thread. */

type Paged = { readonly limit: number; readonly after?: string | undefined };
/** `at` is a past time in milliseconds. */
type Timed = { readonly at?: number | undefined };

/** A read of the projections or the entries. Its answer is the body of an HTTP reply. */
export type ReadRequest =
  | ({ readonly kind: 'vms' } & Paged & Timed)
  | ({ readonly kind: 'vm'; readonly vm: string } & Timed)
  | ({ readonly kind: 'history'; readonly vm: string } & Paged & Timed)
  | ({ readonly kind: 'migrations'; readonly vm?: string | undefined } & Paged & Timed)
  | ({ readonly kind: 'migration'; readonly migration: string } & Timed)
  | ({ readonly kind: 'entries'; readonly migration: string } & Paged)
  | ({ readonly kind: 'dead-letters' } & Paged)
  | { readonly kind: 'hosts' }
  | ({ readonly kind: 'ledger'; readonly from?: string | undefined } & Paged);

/** The file of one partition. */
export type PartFile = { readonly partition: number; readonly file: string };

/** The ledger to read from. */
export type ReadSource = { readonly which: Which; readonly files: readonly PartFile[] };

export type ReaderMessage =
  | { readonly kind: 'read'; readonly id: number; readonly source: ReadSource; readonly request: ReadRequest }
  | { readonly kind: 'cancel'; readonly id: number }
  | { readonly kind: 'close' };

/** The answer to a read: the UTF-8 bytes of its JSON text, a fault, or the text of an unexpected error. */
export type ReaderAnswer =
  | { readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly id: number; readonly fault: PlainFault }
  | { readonly id: number; readonly error: string };
