import { ENTRY_VERSION } from '../events/entry-version.ts';
import { TABLE_VERSION } from './table.ts';

/** Names the code that made a snapshot: one made by another version is discarded. */
export const MACHINE_VERSION = `entry-${ENTRY_VERSION}/table-${TABLE_VERSION}/machine-1`;
