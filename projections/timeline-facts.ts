import type { InputData } from '../events/inputs.ts';
import type { LifecycleDetail, LifecycleEvent } from '../events/libvirt.ts';
import type { Verdict } from '../events/verdict.ts';

/** The facts of timeline items as fields, so that readers need not parse the texts. */

/**
 * The condition of the guest that an item shows on its host. `shell`: an incoming domain whose CPUs never ran; `silent`: no
 * usable answer.
 */
export const guestsShown = ['running', 'paused', 'shell', 'absent', 'silent'] as const;
export type GuestShown = (typeof guestsShown)[number];

/** True if an item is good or bad news: the result of a call, a verdict or a command, or a missing answer. */
export const outcomesShown = ['good', 'bad'] as const;
export type OutcomeShown = (typeof outcomesShown)[number];

/** The holders of a volume's lease. */
export type HoldersShown = { volume: string; holders: string[] };

export type TimelineFacts = { guest: GuestShown | null; outcome: OutcomeShown | null; lock: HoldersShown | null };

export const NO_FACTS: TimelineFacts = { guest: null, outcome: null, lock: null };

const guestAfter: Readonly<Record<LifecycleEvent, GuestShown | null>> = {
  Defined: null,
  Undefined: 'absent',
  Started: 'running',
  Suspended: 'paused',
  Resumed: 'running',
  Stopped: 'absent',
  Shutdown: 'absent',
  PMSuspended: 'paused',
  Crashed: 'absent',
};

export function guestOfEvent(event: LifecycleEvent, detail: LifecycleDetail): GuestShown | null {
  if (event === 'Started' && detail === 'Migrated') return 'shell';
  // An entry of an earlier version may have an event outside the vocabulary.
  return Object.hasOwn(guestAfter, event) ? guestAfter[event] : null;
}

export function guestOfAnswer({ ok, domain }: InputData<'landfall.host.answered.v1'>): GuestShown {
  if (!ok) return 'silent';
  if (domain === null || domain.state === 'shut off') return 'absent';
  if (domain.state === 'running') return 'running';
  return domain.job === 'incoming' ? 'shell' : 'paused';
}

export function outcomeOf(ok: boolean): OutcomeShown {
  return ok ? 'good' : 'bad';
}

export function outcomeOfVerdict({ contested }: Verdict): OutcomeShown {
  return outcomeOf(!contested);
}
