import type { Answer } from '../events/attempt.ts';
import { unreachable } from '../events/fault.ts';
import type { Domain } from '../events/inputs.ts';
import type { DomainJob, DomainReason } from '../events/libvirt.ts';
import type { Job, Presence, Ran } from '../events/vocabulary.ts';

/** Translates libvirt's states, reasons and jobs (events/libvirt.ts) into the vocabulary of the verdict table. */

/** A job of another kind, such as a snapshot, does not move the guest. */
function migrationJobOf(job: DomainJob): Job {
  return job === 'other' ? 'none' : job;
}

type Condition =
  | 'off'
  | 'running'
  | 'paused-local'
  | 'paused-moving'
  | 'starting'
  | 'broken'
  | 'postcopy'
  | 'postcopy-failed'
  | 'unclear';

/** Returns the condition of a domain from its state and reason, independent of the host's role. */
function conditionOf({ state, reason }: Domain): Condition {
  switch (state) {
    case 'running':
      if (reason === 'post-copy') return 'postcopy';
      return reason === 'post-copy failed' ? 'postcopy-failed' : 'running';
    case 'paused':
      return conditionOfPaused(reason);
    case 'idle':
    case 'in shutdown':
    case 'pmsuspended':
      return 'paused-local';
    case 'shut off':
      return 'off';
    case 'crashed':
      return reason === 'panicked' ? 'broken' : 'off';
    case 'no state':
      return 'unclear';
    default:
      return unreachable(state);
  }
}

function conditionOfPaused(reason: DomainReason): Condition {
  switch (reason) {
    case 'user':
    case 'saving':
    case 'dumping':
    case 'creating snapshot':
    case 'from snapshot':
    case 'watchdog':
    case 'shutting down':
      return 'paused-local';
    case 'I/O error':
    case 'crashed':
      return 'broken';
    case 'starting up':
      return 'starting';
    case 'migrating':
    case 'unknown':
    case 'api error':
      return 'paused-moving';
    case 'post-copy':
      return 'postcopy';
    case 'post-copy failed':
      return 'postcopy-failed';
    default:
      // The schema admits no other reason of this state.
      return 'unclear';
  }
}

export type Role = 'source' | 'destination' | 'other';
/** An answer in the terms of the verdict table. `notice` names a finding that raises an alarm. */
export type Reading = {
  presence: Presence;
  job: Job;
  words: string;
  notice?: 'starting-up' | 'stray-process' | 'lease-without-guest';
  otherBoot?: true;
};

type Context = {
  role: Role;
  /** The source confirmed in this attempt that the guest had left. */
  handedOver: boolean;
  /** The destination's CPUs are known to have run in this attempt. */
  ran: boolean;
  /** The source has handed over or is empty, and the destination stands still without a job, as more than one answer shows. */
  standsStill?: boolean;
  /** The source's boot id when the migration began; null if unknown. */
  sourceBoot: string | null;
};

const nothingKnown = (words: string): Reading => ({ presence: 'unknown', job: 'unknown', words });

/** Reads one host's answer. A missing, failed or incomplete answer is `unknown` (invariant 2). */
export function readAnswer(answer: Answer | null, context: Context): Reading {
  if (answer === null) return nothingKnown('not asked yet');
  if (answer.timedOut === true) return nothingKnown('no answer in time');
  if (!answer.ok) return nothingKnown(answer.unknownWords ?? answer.error ?? 'no answer');
  const { domain } = answer;
  if (domain === null) return readingOfGone(answer, context, 'absent', 'not in the complete listing');
  const words = `${domain.state} (${domain.reason})`;
  const condition = conditionOf(domain);
  if (condition === 'off') return readingOfGone(answer, context, 'off', words);
  const job = migrationJobOf(domain.job);
  if (context.role === 'source' && isFromAnotherBoot(answer, context))
    return { ...nothingKnown(`${words}, from another boot`), job, otherBoot: true, notice: 'starting-up' };
  const reading: Reading = { presence: presenceOfResident(condition, job, context), job, words };
  if (condition === 'starting' && job !== 'incoming' && job !== 'unknown') reading.notice = 'starting-up';
  return reading;
}

/** Returns true if the host itself answered, in known words or in others. A failed query is no answer of the host. */
export function isAnswered({ ok, timedOut, unknownWords }: Answer): boolean {
  return timedOut !== true && (ok || unknownWords !== undefined);
}

function readingOfGone(answer: Answer, context: Context, presence: 'absent' | 'off', words: string): Reading {
  if (answer.strayProcess === true) {
    return { ...nothingKnown(`${words}, but a QEMU process carries its UUID`), notice: 'stray-process' };
  }
  // libvirt gives up the lease with the domain, so a process of the guest may have survived.
  const [lease] = answer.leases ?? [];
  if (lease !== undefined)
    return { ...nothingKnown(`${words}, but the host holds the lease of ${lease}`), notice: 'lease-without-guest' };
  const left = context.role === 'source' && context.handedOver;
  return { presence: left ? 'handed-over' : presence, job: 'none', words };
}

/**
 * Returns the presence of a guest that its host has. The host's role and job show if a paused guest is resident, on its
 * way, or a shell.
 */
function presenceOfResident(condition: Exclude<Condition, 'off'>, job: Job, context: Context): Presence {
  switch (condition) {
    case 'running':
      return 'executing';
    case 'postcopy':
    case 'postcopy-failed':
      return condition;
    case 'unclear':
      return 'unknown';
    case 'paused-local':
    case 'paused-moving':
    case 'starting':
    case 'broken':
      return context.role === 'source'
        ? presencePausedOnSource(condition, job, context)
        : presencePausedElsewhere(condition, job, context);
  }
}

type Paused = 'paused-local' | 'paused-moving' | 'starting' | 'broken';

function presencePausedOnSource(condition: Paused, job: Job, { handedOver }: Context): Presence {
  // An incoming shell on a source that handed over belongs to a migration on the way back: this attempt's guest has left.
  if (job === 'incoming' && handedOver) return 'handed-over';
  if (condition === 'paused-moving') return 'switching';
  return job === 'incoming' ? 'unknown' : presenceWithoutIncomingJob(condition);
}

/** A refused job query proves nothing, so a paused guest counts as landed only if an incoming job is excluded. */
function presencePausedElsewhere(condition: Paused, job: Job, { ran, standsStill }: Context): Presence {
  if (job === 'incoming') return ran ? 'postcopy' : 'incoming';
  // The migration is over and nothing unpaused the guest.
  if (condition === 'paused-moving' && job === 'none' && standsStill === true) return 'suspended';
  return job === 'unknown' ? 'unknown' : presenceWithoutIncomingJob(condition);
}

/** Returns whether an answer shows a guest that still waits to be unpaused although its migration has no job any more. */
export function isStandingStill({ ok, domain }: Answer): boolean {
  if (!ok || domain === null || domain.job !== 'none') return false;
  return conditionOf(domain) === 'paused-moving';
}

function presenceWithoutIncomingJob(condition: Paused): Presence {
  if (condition === 'paused-local') return 'suspended';
  return condition === 'broken' ? 'broken' : 'unknown';
}

function isFromAnotherBoot(answer: Answer, context: Context): boolean {
  return context.sourceBoot !== null && answer.boot !== undefined && answer.boot !== context.sourceBoot;
}

/**
 * Returns whether the destination's presence proves that its CPUs ran (invariant 3). `origin` is the guest's state before
 * the migration. `unbroken`: the event stream would have delivered a `Resumed`, so a suspended guest without one never ran
 * here.
 */
export function provesRan(
  presence: Presence,
  origin: 'running' | 'paused' | 'stopped' | 'unknown',
  unbroken: boolean,
): boolean {
  if (presence === 'executing' || presence === 'postcopy') return true;
  if (origin !== 'running') return false;
  // Only a running guest gets an I/O error or panics.
  return presence === 'broken' || (presence === 'suspended' && !unbroken);
}

/** Returns whether the destination's CPUs ran, from the shell's history and the destination's last presence. */
export function ranOf(
  shell: { ran: boolean; arrived: boolean; unbroken: boolean; resumed: boolean; stopped: boolean },
  presence: Presence,
): Ran {
  if (shell.ran) return 'yes';
  if (presence === 'suspended' && shell.unbroken && !shell.resumed) return 'no';
  // A guest that had arrived may have run or moved to another host unobserved.
  const unseen = shell.resumed || shell.arrived || !shell.unbroken;
  if (unseen) return 'maybe';
  return shell.stopped || presence === 'incoming' ? 'no' : 'maybe';
}
