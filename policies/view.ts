import type { CallError } from '../events/inputs.ts';
import type { Job, Presence } from '../events/vocabulary.ts';

/**
 * The interface of policies. A policy is one orchestrator's rule for a returned migration call, as a pure function. It
 * asks hosts as the original would, and the ledger supplies the answers.
 */

/** A host's answer to a question of a policy. */
export type HostAnswer = {
  readonly presence: Presence;
  readonly job: Job;
  /** The answer as libvirt reported it: `running (migrated)`, or an error. */
  readonly words: string;
  /** The time of the answer, in milliseconds after the call returned. */
  readonly at: number;
};

/** Landfall's own decision in the ledger. */
export type Recorded = {
  readonly host: string;
  readonly outcome: 'completed' | 'rolled-back';
  readonly contested: boolean;
  readonly at: number;
};

export type View = {
  readonly source: string;
  readonly destination: string;
  /** All other known hosts of the VM's cluster. */
  readonly others: readonly string[];
  /** Null if the call reported success. */
  readonly callError: CallError | null;
  /** The guest's state on the source before the call. */
  readonly origin: 'running' | 'paused' | 'stopped' | 'unknown';
  /** Returns the host's answer to a question asked `afterMs` after the call returned. */
  readonly ask: (host: string, afterMs: number) => HostAnswer;
  /** Landfall's newest verdict that was not given by an operator; null without a verdict. */
  readonly recorded: Recorded | null;
};

/**
 * - `complete`: record and locks move to the host.
 * - `roll back`: record, locks and the guest's state are restored on the source.
 * - `leave`: record, locks and guest stay unchanged.
 * - `destroy on destination`: the record stays, and the domain on the destination is destroyed.
 * - `manual`: an operator must decide. `error`: the record shows an error and no host.
 * - `fail`: the guest is declared dead. `wait`: there is no decision yet.
 */
type Action = 'complete' | 'roll back' | 'leave' | 'destroy on destination' | 'manual' | 'error' | 'fail' | 'wait';

export type Outcome = {
  /** The host in the record; null if the policy names no host. */
  readonly host: string | null;
  readonly action: Action;
  /** The time of the decision, in milliseconds after the call returned. */
  readonly at: number;
  /**
   * Set if the policy destroys a domain: the presence that the ledger next reports for that host. The policy does not
   * see this presence.
   */
  readonly hits?: Presence;
};

export type Policy = {
  readonly id: string;
  readonly label: string;
  /** The rule in one line. */
  readonly rule: string;
  /** True if the policy also decides after a successful call. */
  readonly asksOnSuccess?: true;
  readonly decide: (world: View) => Outcome;
};

/** Returns true if the hypervisor has a domain in any state, including an incoming shell. */
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
 * Returns true for a guest that these rules call paused. libvirt also reports an incoming shell as paused, but no guest
 * has run in a shell, so the shell does not count.
 */
export function seesPaused({ presence, words }: HostAnswer): boolean {
  return presence !== 'unknown' && presence !== 'incoming' && words.startsWith('paused');
}
