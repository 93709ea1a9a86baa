import type { CallError } from '../events/inputs.ts';
import type { Job, Presence } from '../events/vocabulary.ts';

/**
 * What a policy may know, and what it may do. A policy is the rule of one orchestrator for a migration call that came back,
 * as a pure function: it asks the world what its original would have asked, and the ledger answers.
 */

/** What one host would have said to a question of the policy. */
export type HostAnswer = {
  readonly presence: Presence;
  readonly job: Job;
  /** The host's own words: `running (migrated)`, or the error. */
  readonly words: string;
  /** When the answer was there: milliseconds after the call returned. */
  readonly at: number;
};

/** What the ledger says of Landfall's own decision. */
export type Recorded = {
  readonly host: string;
  readonly outcome: 'completed' | 'rolled-back';
  readonly contested: boolean;
  readonly at: number;
};

export type View = {
  readonly source: string;
  readonly destination: string;
  /** Every other known host of the VM's cluster. */
  readonly others: readonly string[];
  /** Null: the call reported success. */
  readonly callError: CallError | null;
  /** The guest's state on the source before the call. */
  readonly origin: 'running' | 'paused' | 'stopped' | 'unknown';
  /** What `host` says to a question put `afterMs` after the call returned. */
  readonly ask: (host: string, afterMs: number) => HostAnswer;
  /** Landfall's newest verdict that no operator gave; null: none yet. */
  readonly recorded: Recorded | null;
};

/**
 * - `complete`: record and locks go to the host.
 * - `roll back`: record, locks and the guest's original state are restored on the source.
 * - `leave`: the record stays as it was, and nothing is done to locks or guest.
 * - `destroy on destination`: the record stays, and whatever the destination holds is destroyed.
 * - `manual`: a person has to decide. `error`: the record says error, and no host is vouched for.
 * - `fail`: the guest is declared dead. `wait`: not decided yet.
 */
type Action = 'complete' | 'roll back' | 'leave' | 'destroy on destination' | 'manual' | 'error' | 'fail' | 'wait';

export type Outcome = {
  /** Where the record would say the guest is; null: it claims no host. */
  readonly host: string | null;
  readonly action: Action;
  /** When it was decided: milliseconds after the call returned. */
  readonly at: number;
  /** Set where something is destroyed: what the ledger next heard of the place it hits. The policy itself does not look. */
  readonly hits?: Presence;
};

export type Policy = {
  readonly id: string;
  readonly label: string;
  /** The rule in one line. */
  readonly rule: string;
  /** It decides something after a successful call as well. */
  readonly asksOnSuccess?: true;
  readonly decide: (world: View) => Outcome;
};

/** The hypervisor has a domain there, in whatever state: an incoming shell is one, too. */
export function isActive({ presence }: HostAnswer): boolean {
  return !isGone({ presence }) && presence !== 'unknown';
}

export function isGone({ presence }: Pick<HostAnswer, 'presence'>): boolean {
  return presence === 'absent' || presence === 'off' || presence === 'handed-over';
}

export function seesRunning({ presence, words }: HostAnswer): boolean {
  return presence !== 'unknown' && words.startsWith('running');
}

/**
 * Paused as these rules mean it. libvirt calls an incoming shell paused as well, but no guest has run there yet, and none may:
 * it is not taken for an arrival, nor for a guest that is alive.
 */
export function seesPaused({ presence, words }: HostAnswer): boolean {
  return presence !== 'unknown' && presence !== 'incoming' && words.startsWith('paused');
}
