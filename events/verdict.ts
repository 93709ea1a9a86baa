import { z } from 'zod';
import { Certainty, Host, Job, Milliseconds, Power, Presence, Ran } from './vocabulary.ts';

/** One host's last answer about the VM, in the terms of the verdict table. */
export const Testimony = z.strictObject({
  host: Host,
  presence: Presence,
  job: Job,
  /** The answered question; null if no answer counts. */
  question: z.string().nullable(),
  /** True if the presence is unknown although the host answered: the answer proves nothing. Absent otherwise. */
  answered: z.boolean().optional(),
  /** The answer in text form, such as `running (migrated)`, or the error. */
  words: z.string(),
});
export type Testimony = z.infer<typeof Testimony>;

/**
 * The evidence of a verdict: the complete input of `decide`. It is stored with the verdict, so an audit can decide again from
 * the ledger alone. Conditions that depend on time or order are stored as booleans.
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
  /** True if libvirt itself returned an error for the call. A broken connection to libvirtd does not count. */
  libvirtError: z.boolean(),
  /** True if the orchestrator reported that it never called libvirt, and nothing observed contradicts that report. */
  notStarted: z.boolean().optional(),
  /**
   * How the guest ended on the source before it handed over: it shut itself down, or it was destroyed or crashed and the destination
   * never ran.
   */
  sourceEnd: z.enum(['shut-down', 'ended']).optional(),
  /** The guest was stopped before the call, and its definition moved to the destination or stayed on the source. */
  cold: z.enum(['moved', 'stayed']).optional(),
  /** True if the source reported this attempt's outgoing job at least once. */
  outgoingSeen: z.boolean(),
  /** True if the destination had a shell of this attempt, which proves that the migration had begun. */
  shellSeen: z.boolean().optional(),
  /**
   * True if two rounds at least 35 s apart found the guest on the source without a job, and nothing on the destination.
   */
  quietRounds: z.boolean(),
  /** True if the destination's question was sent after the source's answer had arrived. */
  destinationAskedLast: z.boolean(),
  /** True if the questions to all other known hosts were sent after the source's answer had arrived. */
  othersAskedLast: z.boolean(),
  /** True if the source's question was sent after an answer had shown the guest on the destination. */
  sourceAskedLast: z.boolean(),
  /** True if the guest may exist twice: the source still ran after the guest had landed on the destination. */
  twoCopies: z.boolean().optional(),
  /** True if the alarm of a split brain was raised before: two copies of the guest ran at the same time. */
  splitBrain: z.boolean().optional(),
  /** The host on which an earlier verdict of this attempt proved the guest's arrival; absent if none did. */
  provenOn: Host.optional(),
  /** True if the source may hold only the paused leftover of an earlier, unsettled attempt. */
  leftover: z.boolean().optional(),
  /** True if two consecutive whole rounds found no guest on any host, so a move between two hosts was not missed. */
  emptyTwice: z.boolean().optional(),
  /**
   * True if the source cannot write: it is fenced, or the lock manager reported that all its exclusive leases expired.
   */
  sourceExcluded: z.boolean(),
  /** True if the destination is fenced, and the source was asked after that. */
  destinationFenced: z.boolean().optional(),
  /**
   * The leases that the hypervisor's lock manager reported: the hosts that hold one, the volumes without a holder, and the rounds
   * in which they contradicted the answers. Absent if it reported none.
   */
  leases: z
    .strictObject({ heldOn: z.array(Host), free: z.array(z.string()), rounds: z.number().int().nonnegative() })
    .optional(),
  /** A third host that showed the guest and does not answer; absent if there is none. */
  thirdSilent: Host.optional(),
  /** The answers of the known hosts besides source and destination. */
  others: z.array(Testimony),
});
export type Evidence = z.infer<typeof Evidence>;

/** A finding that changes no decision: the guest's power before the call and now. */
export const Notice = z.strictObject({
  code: z.literal('power-changed').describe('The kind of the finding.'),
  before: Power.describe('The power of the guest before the call.'),
  now: Power.describe('The power of the guest at the verdict.'),
  text: z.string().describe('The finding in words.'),
});
export type Notice = z.infer<typeof Notice>;

export const Verdict = z.strictObject({
  /** Counts the attempt's verdicts from 1. */
  number: z.number().int().positive(),
  outcome: z.enum(['completed', 'rolled-back']),
  contested: z.boolean(),
  row: z.string(),
  /** Version of the verdict table that decided. */
  table: z.number().int().positive(),
  certainty: Certainty,
  /** The host recorded for the VM by this verdict. `certainty` says how reliable it is. */
  host: Host,
  error: z.string().nullable(),
  decidedAt: Milliseconds,
  /** True if the row's `deadline` column decided, at the deadline or because the attempt was superseded. */
  final: z.boolean(),
  /** The number of the replaced verdict; null for the first verdict. */
  supersedes: z.number().int().positive().nullable(),
  /** Actions that an operator may take. Landfall never takes them by itself. */
  offers: z.array(z.string()),
  /** Findings for an operator, such as a changed power; absent if there are none. */
  notices: z.array(Notice).optional(),
  /** Fencing token of the verdict's lock commands. It rises with each verdict on the VM. */
  token: z.number().int().nonnegative(),
  evidence: Evidence,
  /** Set if an operator settled the attempt. */
  resolution: z
    .strictObject({
      operator: z.string(),
      reason: z.string(),
      attest: z.boolean(),
      /** True if the operator said that the guest is stopped. */
      stopped: z.literal(true).optional(),
    })
    .nullable(),
});
export type Verdict = z.infer<typeof Verdict>;
