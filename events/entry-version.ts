/**
 * The version of the shape of entries; events/upcast.ts lifts older ones. The constant is separate from the schemas, so that
 * the thread that writes the ledger does not load zod.
 */
export const ENTRY_VERSION = 3;
/** How many characters of a malformed input the ledger keeps. The digest covers the whole input. */
export const MALFORMED_BYTES_KEPT = 65_536;
