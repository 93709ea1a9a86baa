/**
 * The version of an entry's own shape. It stands apart from the schemas, so that what only reads and writes texts (the thread
 * that writes the ledger) need not load them.
 */
export const ENTRY_VERSION = 2;
/** How much of a malformed input the ledger keeps, in characters; its digest covers all of it. */
export const MALFORMED_BYTES_KEPT = 65_536;
