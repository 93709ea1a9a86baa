import type { Entry } from '../../events/entries.ts';
import type { Owner } from '../../log/port.ts';
import type { Time } from '../../engine/time.ts';

/** Sends the commands and dead letters of committed entries to their topics. */
type EntryRelay = {
  readonly committed: (first: number, entries: readonly Entry[]) => void;
  /** Resolves when no send is under way. The next owner relays the remaining entries. */
  readonly stop: () => Promise<void>;
};

export type RelayOptions = {
  /** The name of the relay checkpoint among the partition's checkpoints. */
  readonly key: string;
  /** Starts a relay at sequence `next`, which reports the last relayed sequence to `relayed`. */
  readonly start: (next: number, relayed: (sequence: number) => void) => EntryRelay;
};

export type RunningRelay = {
  readonly relay: EntryRelay;
  /** Stores the checkpoint now. @throws Fault of the ledger. */
  readonly saveCheckpoint: () => Promise<void>;
};

/** The checkpoint is stored at most this often, because each store is a commit. */
const SAVE_MS = 1000;

/**
 * Starts a relay behind the stored checkpoint, and stores in the partition how far the relay has sent. After a lost checkpoint
 * the next owner sends some entries twice, under the same ids.
 */
export function startRelay(owner: Owner, { key, start }: RelayOptions, time: Time): RunningRelay {
  let sequence = owner.checkpoints.get(key) ?? 0;
  let saved = sequence;
  let cancel: (() => void) | null = null;
  const saveCheckpoint = async (): Promise<void> => {
    cancel?.();
    cancel = null;
    if (saved === sequence) return;
    saved = sequence;
    await owner.commit({ entries: [], inputPositions: [], checkpoints: [{ key, value: sequence }] });
  };
  const relay = start(sequence + 1, (reached) => {
    sequence = reached;
    // A failed save means that this owner has ended.
    cancel ??= time.after(SAVE_MS, () => void saveCheckpoint().catch(() => {}));
  });
  return { relay, saveCheckpoint };
}
