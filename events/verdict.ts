import { z } from 'zod';
import { Certainty, Host, Job, Milliseconds, Presence, Ran } from './vocabulary.ts';

/** What one host last said of the VM, reduced to what the verdict table asks for, with where it came from. */
export const Testimony = z.strictObject({
  host: Host,
  presence: Presence,
  job: Job,
  /** The question it answers; null where nothing was asked or nothing counts. */
  question: z.string().nullable(),
  /** The host's own words: `running (migrated)`, `not in the listing`, the error. */
  words: z.string(),
});
export type Testimony = z.infer<typeof Testimony>;

/**
 * Everything a verdict stands on. It is the whole input of `decide`, and is stored with the verdict, so that any verdict can
 * be decided again from the ledger alone. Conditions that depend on time or order are reduced to booleans when the round closes.
 */
export const Evidence = z.strictObject({
  sameHost: z.boolean(),
  source: Testimony,
  destination: Testimony,
  ran: Ran,
  /** The guest's state on the source when the migration began. */
  origin: z.enum(['running', 'paused', 'stopped', 'unknown']),
  leavePaused: z.boolean(),
  storageCopied: z.boolean(),
  /** libvirt itself returned an error to the call; a broken connection between caller and libvirtd is not that. */
  libvirtError: z.boolean(),
  /** The source showed this attempt's outgoing job at some time. */
  outgoingSeen: z.boolean(),
  /** The destination had a shell of this attempt: its migration had begun. Absent: none was heard of. */
  shellSeen: z.boolean().optional(),
  /** Two rounds at least 35 s apart found the source resident without a job and the destination without the guest. */
  quietRounds: z.boolean(),
  /** The destination was asked after the source's answer had arrived. */
  destinationAskedLast: z.boolean(),
  /** Every other known host was asked after the source's answer had arrived. */
  othersAskedLast: z.boolean(),
  /** The source was asked after the destination had been found landed. */
  sourceAskedLast: z.boolean(),
  /** The source ran on, as far as was heard, after the destination had landed: there may be two copies. Absent: it did not. */
  twoCopies: z.boolean().optional(),
  /** What is on the source may be only what an unfinished attempt had left there paused. Absent: not so. */
  leftover: z.boolean().optional(),
  /** Every host was found empty in a whole round, and again in one that began after it: nobody moved it from one to another. Absent: not so. */
  emptyTwice: z.boolean().optional(),
  /** The source is fenced, or its leases expired as the lock manager itself reports: it cannot write any more. */
  sourceExcluded: z.boolean(),
  /** The known hosts besides source and destination, and what each said. */
  others: z.array(Testimony),
});
export type Evidence = z.infer<typeof Evidence>;

export const Verdict = z.strictObject({
  /** Counts the attempt's verdicts from 1. */
  number: z.number().int().positive(),
  outcome: z.enum(['completed', 'rolled-back']),
  contested: z.boolean(),
  row: z.string(),
  /** Version of the verdict table that decided. */
  table: z.number().int().positive(),
  certainty: Certainty,
  /** The host the record names from now on; what that is worth, `certainty` says. */
  host: Host,
  error: z.string().nullable(),
  decidedAt: Milliseconds,
  /** Whether the row's right column decided: at the deadline, or because the attempt was superseded. */
  final: z.boolean(),
  /** The number of the verdict this one replaces; null for the first. */
  supersedes: z.number().int().positive().nullable(),
  /** What the row offers an operator. Never done without being asked for. */
  offers: z.array(z.string()),
  /** Rises with each verdict on the VM; carried by every lock command that follows from it. */
  token: z.number().int().nonnegative(),
  evidence: Evidence,
  /** Set where an operator settled it. */
  resolution: z.strictObject({ operator: z.string(), reason: z.string(), attest: z.boolean() }).nullable(),
});
export type Verdict = z.infer<typeof Verdict>;
