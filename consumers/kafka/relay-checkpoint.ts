import type { Entry } from '../../events/entries.ts';
import type { Owner } from '../../log/port.ts';
import type { Time } from '../../engine/time.ts';

/** Carries committed entries further, from the first that has not been. */
type EntryRelay = {
  readonly committed: (first: number, entries: readonly Entry[]) => void;
  /** Ends; what was not carried is the next owner's. */
  readonly stop: () => Promise<void>;
};

/** The sequence through which entries were carried is kept in the checkpoint `key` of the partition. */
export type RelayStream = {
  readonly key: string;
  readonly start: (next: number, carried: (sequence: number) => void) => EntryRelay;
};

export type RunningRelay = {
  readonly relayed: EntryRelay;
  /** Writes down how far entries were carried. */
  readonly note: () => Promise<void>;
};

/** How often it is written down how far entries were carried. */
const CARRIED_MS = 1000;

/** Goes on carrying where the owner before came to. */
export function startRelay(owner: Owner, { key, start }: RelayStream, time: Time): RunningRelay {
  let sequence = owner.checkpoints.get(key) ?? 0;
  let noted = sequence;
  let cancel: (() => void) | null = null;
  const note = async (): Promise<void> => {
    cancel?.();
    cancel = null;
    if (noted === sequence) return;
    noted = sequence;
    await owner.commit({ entries: [], inputPositions: [], checkpoints: [{ key, value: sequence }] });
  };
  const relayed = start(sequence + 1, (reached) => {
    sequence = reached;
    // Where it cannot be written the owner is dead, and whoever comes next carries some entries twice.
    cancel ??= time.after(CARRIED_MS, () => void note().catch(() => {}));
  });
  return { relayed, note };
}
