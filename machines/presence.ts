import type { Answer } from '../events/attempt.ts';
import type { Job, Presence, Ran } from '../events/vocabulary.ts';

/**
 * libvirt's words to the vocabulary of the verdict table. The strings are those of virsh 9.0 (tools/virsh-domain-monitor.c);
 * one that is not listed is `unknown`, never guessed.
 */

/** VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN and _OUT. */
const OPERATION_MIGRATION_IN = '4';
const OPERATION_MIGRATION_OUT = '5';

/** The job as `domjobinfo --rawstats` tells it. */
export function jobOf(words: string): Job {
  if (words === 'none') return 'none';
  if (words === OPERATION_MIGRATION_OUT) return 'outgoing';
  if (words === OPERATION_MIGRATION_IN) return 'incoming';
  // A destination refuses job statistics from Prepare to Finish, and only then, in these words.
  if (words.includes('migration statistics are available only on the source host')) return 'incoming';
  if (words.includes('domain is not running')) return 'none';
  return /^\d+$/.test(words) ? 'none' : 'unknown';
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
  | 'unmapped';

const pausedReasons: Readonly<Record<string, Condition>> = {
  user: 'paused-local',
  saving: 'paused-local',
  save: 'paused-local',
  dumping: 'paused-local',
  dump: 'paused-local',
  snapshot: 'paused-local',
  'creating snapshot': 'paused-local',
  'from snapshot': 'paused-local',
  watchdog: 'paused-local',
  'shutting down': 'paused-local',
  'I/O error': 'broken',
  crashed: 'broken',
  'starting up': 'starting',
  migrating: 'paused-moving',
  unknown: 'paused-moving',
  'api error': 'paused-moving',
  'API error': 'paused-moving',
  'post-copy': 'postcopy',
  'post-copy failed': 'postcopy-failed',
};

/** State and reason, before the host's role is taken into account. */
function conditionOf(state: string, reason: string): Condition {
  switch (state) {
    case 'running':
      if (reason === 'post-copy') return 'postcopy';
      return reason === 'post-copy failed' ? 'postcopy-failed' : 'running';
    case 'paused':
      return (Object.hasOwn(pausedReasons, reason) ? pausedReasons[reason] : undefined) ?? 'unmapped';
    case 'idle':
    case 'blocked':
    case 'in shutdown':
    case 'pmsuspended':
      return 'paused-local';
    case 'shut off':
      return 'off';
    case 'crashed':
      return reason === 'panicked' ? 'broken' : 'off';
    default:
      return 'unmapped';
  }
}

export type Role = 'source' | 'destination' | 'other';
/** What an answer says in the table's terms. `notice` is set where somebody ought to look. */
export type Reading = {
  presence: Presence;
  job: Job;
  words: string;
  notice?: 'starting-up' | 'stray-process';
  otherBoot?: true;
};

type Context = {
  role: Role;
  /** The source's confirmation that the guest left was seen in this attempt. */
  handedOver: boolean;
  /** The destination's CPUs are known to have run in this attempt. */
  ran: boolean;
  /** The boot the VM was on when the migration began; null: not known. */
  sourceBoot: string | null;
};

const nothingKnown = (words: string): Reading => ({ presence: 'unknown', job: 'unknown', words });

/** Reads one host's answer. Anything that is not a complete, successful answer is `unknown`. */
export function read(answer: Answer | null, context: Context): Reading {
  if (answer === null) return nothingKnown('not asked yet');
  if (answer.timedOut === true) return nothingKnown('no answer in time');
  if (!answer.ok) return nothingKnown(answer.error ?? 'no answer');
  const { domain } = answer;
  if (domain === null) return gone(answer, context, 'absent', 'not in the complete listing');
  const words = `${domain.state} (${domain.reason})`;
  const condition = conditionOf(domain.state, domain.reason);
  if (condition === 'off') return gone(answer, context, 'off', words);
  const job = jobOf(domain.job);
  if (context.role === 'source' && isFromAnotherBoot(answer, context))
    return { ...nothingKnown(`${words}, from another boot`), job, otherBoot: true, notice: 'starting-up' };
  const reading: Reading = { presence: present(condition, job, context), job, words };
  if (condition === 'starting' && job !== 'incoming' && job !== 'unknown') reading.notice = 'starting-up';
  return reading;
}

function gone(answer: Answer, context: Context, presence: 'absent' | 'off', words: string): Reading {
  if (answer.strayProcess === true) {
    return { ...nothingKnown(`${words}, but a QEMU process carries its UUID`), notice: 'stray-process' };
  }
  const left = context.role === 'source' && context.handedOver;
  return { presence: left ? 'handed-over' : presence, job: 'none', words };
}

function present(condition: Exclude<Condition, 'off'>, job: Job, context: Context): Presence {
  const onSource = context.role === 'source';
  if (condition === 'running') return 'executing';
  if (condition === 'postcopy' || condition === 'postcopy-failed') return condition;
  if (condition === 'unmapped') return 'unknown';
  if (!onSource && job === 'incoming') return context.ran ? 'postcopy' : 'incoming';
  // A shell on a source that handed over belongs to the next migration, on its way back: the guest of this one has left.
  if (onSource && job === 'incoming' && context.handedOver) return 'handed-over';
  if (onSource && condition === 'paused-moving') return 'switching';
  // A paused guest counts as resident or landed only where no incoming job is known; a refused job query proves nothing.
  const incomingPossible = job === 'incoming' || (!onSource && job === 'unknown');
  if (incomingPossible) return 'unknown';
  if (condition === 'paused-local') return 'suspended';
  return condition === 'broken' ? 'broken' : 'unknown';
}

function isFromAnotherBoot(answer: Answer, context: Context): boolean {
  return context.sourceBoot !== null && answer.boot !== undefined && answer.boot !== context.sourceBoot;
}

/** Invariant 1 and 3: what a reading of the destination says of its CPUs, given how the guest was before. */
export function provesRan(presence: Presence, origin: 'running' | 'paused' | 'stopped' | 'unknown'): boolean {
  if (presence === 'executing' || presence === 'postcopy') return true;
  return (presence === 'suspended' || presence === 'broken') && origin === 'running';
}

/** `ran` from the shell's history and what the destination last answered. */
export function ranOf(
  shell: { ran: boolean; arrived: boolean; unbroken: boolean; resumed: boolean; stopped: boolean },
  presence: Presence,
): Ran {
  if (shell.ran) return 'yes';
  // A guest that had arrived may have run, or moved on, without being seen.
  const unseen = shell.resumed || shell.arrived || !shell.unbroken;
  if (unseen) return 'maybe';
  return shell.stopped || presence === 'incoming' ? 'no' : 'maybe';
}
