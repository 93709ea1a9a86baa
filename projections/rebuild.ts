import { fold, type FoldedEntry, type FoldProgress } from './fold.ts';

/** A ledger whose writer can replace its projections. */
export type RebuildTarget = {
  readVerified(): AsyncIterable<FoldedEntry>;
  rebuildProjections<T>(work: (apply: (extract: unknown) => Promise<void>) => Promise<T>): Promise<T>;
};

/**
 * Rebuilds the projections from the ledger alone, in one transaction of the ledger's writer: readers see the old rows or the
 * new rows. The chain is verified first, so that an altered entry does not reach the projections.
 * @returns the number of entries folded.
 * @throws ChainFault naming the first bad entry; the projections stay as they were.
 */
export function rebuild(ledger: RebuildTarget, progress?: FoldProgress): Promise<number> {
  return ledger.rebuildProjections((apply) =>
    fold(ledger.readVerified(), {
      write: (touches) => apply(touches.touched()),
      ...(progress === undefined ? {} : { progress }),
    }),
  );
}
