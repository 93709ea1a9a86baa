import { ENTRY_VERSION } from '../events/entry-version.ts';
import { TABLE_VERSION } from './table.ts';

/** Identifies the code that wrote a snapshot. Snapshots of another version are ignored. */
export const MACHINE_VERSION = `entry-${ENTRY_VERSION}/table-${TABLE_VERSION}/machine-1`;
