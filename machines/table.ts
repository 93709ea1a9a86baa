import type { Job, Presence, Ran } from '../events/vocabulary.ts';
import type { ConditionName } from './conditions.ts';

/**
 * The verdict table, as data. The first matching row wins. `docs/verdicts.md` is generated from it, every verdict stores its row
 * and `TABLE_VERSION`, and test/machines/table-listing.txt lists the decision for every combination.
 *
 * Raise the version with every change that can alter a decision.
 */
export const TABLE_VERSION = 7;

export const GONE = ['absent', 'off', 'handed-over'] as const satisfies readonly Presence[];
/** Presences of a guest that is resident on the source, or has landed on the destination. */
export const LANDED = ['executing', 'suspended', 'broken'] as const satisfies readonly Presence[];

/** Returns whether a presence is one of a set such as `GONE` or `LANDED`. */
export const isOneOf = (set: readonly Presence[], presence: Presence): boolean => set.includes(presence);

export type AlarmCode =
  | 'guest-broken'
  | 'landed-elsewhere'
  | 'both-hosts-wrote'
  | 'split-brain'
  | 'contradiction'
  | 'guest-lost'
  | 'guest-torn'
  | 'guest-stopped';

/**
 * The action of a column. If its `if` is not satisfied, `otherwise` applies: by default `wait` now and `contested` at the
 * deadline.
 */
export type Column =
  | { readonly do: 'wait' }
  | {
      readonly do: 'complete';
      readonly certainty?: 'provisional';
      readonly provenIf?: ConditionName;
      readonly on?: 'third-host';
      readonly if?: ConditionName;
      readonly otherwise?: 'contested';
    }
  | { readonly do: 'rollback'; readonly if?: ConditionName }
  | { readonly do: 'contested' };

type AlsoMatches = { readonly presences: readonly Presence[]; readonly if: ConditionName };

export type Row = {
  readonly id: string;
  readonly source?: readonly Presence[];
  readonly destination?: readonly Presence[];
  /** Further presences of the source or the destination that match if the condition is satisfied. */
  readonly sourceAlso?: AlsoMatches;
  readonly destinationAlso?: AlsoMatches;
  readonly sourceJob?: Job;
  readonly ran?: Ran;
  readonly when?: readonly ConditionName[];
  readonly now: Column;
  readonly deadline: Column;
  /**
   * The row needs a destination without the guest, and applies only if the destination was asked after the source had
   * answered.
   */
  readonly settlesOnGone?: true;
  /** The row also needs the answers of every known host. */
  readonly asksEveryone?: true;
  /** `asksEveryone` applies only if this condition is satisfied. */
  readonly asksEveryoneIf?: ConditionName;
  /** While the row waits, the record provisionally names the destination. */
  readonly leansToDestination?: true;
  /** The row's verdict sends no lock command. */
  readonly noLocks?: true;
  /** A contested verdict of this row fails the call and sends no rollback effect. */
  readonly noEffects?: true;
  /** The error of a contested verdict of this row, appended to the sentence shared by all contested verdicts. */
  readonly contestedError?: string;
  /** The alarm raised with the row's verdict. */
  readonly alarm?: AlarmCode;
  /** The alarm is raised only if this condition is satisfied. */
  readonly alarmIf?: ConditionName;
  /** The alarm is raised while the row still waits if this condition is satisfied, or always for `matched`. */
  readonly alarmAtOnceIf?: ConditionName | 'matched';
  /** Actions offered to an operator. Landfall never takes them by itself. */
  readonly offers?: readonly string[];
  /** The offers are made only if this condition is satisfied. */
  readonly offersIf?: ConditionName;
  readonly why: string;
};

const wait: Column = { do: 'wait' };
const contested: Column = { do: 'contested' };
const rollback: Column = { do: 'rollback' };
/** If the guest may exist twice, the other known hosts must answer first. */
const onlyCopy: Column = { do: 'rollback', if: 'one-copy' };
const onThirdHost: Column = { do: 'complete', on: 'third-host', if: 'one-third-landed', otherwise: 'contested' };

export const table: readonly Row[] = [
  {
    id: 'same-host',
    when: ['same-host'],
    now: rollback,
    deadline: rollback,
    noLocks: true,
    why: 'Source and destination are one host, so nothing moved. A release would take the lock from the guest itself.',
  },
  {
    id: 'torn',
    when: ['either-postcopy-failed'],
    now: wait,
    deadline: contested,
    contestedError: 'post-copy failed and the guest’s memory is torn between two hosts; resume neither',
    alarm: 'guest-torn',
    alarmAtOnceIf: 'matched',
    offers: ['recover the post-copy migration'],
    offersIf: 'recoverable',
    why: 'Each host has memory pages that the other host lacks. A resume on either host would run a guest with incomplete memory.',
  },
  {
    id: 'postcopy',
    when: ['either-postcopy'],
    now: wait,
    deadline: contested,
    contestedError: 'the guest’s memory is still on both hosts (post-copy)',
    why: 'The guest runs on the destination and fetches pages from the source. Aborting the migration or resuming the source destroys the guest.',
  },
  {
    id: 'third-host',
    when: ['third-and-end'],
    now: wait,
    deadline: contested,
    contestedError: 'a third host has the guest as well',
    alarm: 'split-brain',
    alarmIf: 'third-executes',
    alarmAtOnceIf: 'third-splits',
    why: 'The guest was started on a third host while one of the two ends still has it. Nobody but an operator can say which one is right.',
  },
  {
    id: 'landed',
    source: GONE,
    destination: LANDED,
    destinationAlso: { presences: ['off'], if: 'cold-moved' },
    now: { do: 'complete', if: 'one-copy' },
    deadline: { do: 'complete', if: 'one-copy-heard', certainty: 'provisional', provenIf: 'one-copy' },
    asksEveryone: true,
    asksEveryoneIf: 'cold-or-two-copies',
    contestedError: 'both hosts had the guest, and another host has it now',
    why: 'The guest is on the destination and nowhere on the source. A suspended guest stays paused; a broken guest raises an alarm. If the source still ran after the guest had landed, the copy on the source may have moved to a third host, so every known host must answer first. A guest that was stopped before is moved with its definition.',
  },
  {
    id: 'elsewhere',
    source: GONE,
    destination: GONE,
    when: ['landed-on-thirds'],
    now: onThirdHost,
    deadline: onThirdHost,
    settlesOnGone: true,
    contestedError: 'the guest is on other hosts, and nobody can say which one is right',
    alarm: 'landed-elsewhere',
    why: 'The guest was moved to a third host, and the record follows it. If the guest is on two third hosts, or if there were two copies, no answer says which copy is right.',
  },
  {
    id: 'crashed-after',
    source: GONE,
    destination: GONE,
    when: ['handed-over-or-ran'],
    now: { do: 'complete', if: 'others-gone' },
    deadline: { do: 'complete', if: 'others-silent', certainty: 'provisional', provenIf: 'others-gone' },
    settlesOnGone: true,
    asksEveryone: true,
    contestedError: 'the guest ended on the destination, and another host has it',
    alarm: 'guest-stopped',
    why: 'The guest arrived on the destination and ended there. The disk is on the destination, so the record names the destination and the guest is stopped. Every other known host must answer first, because one of them may have started the guest since.',
  },
  {
    id: 'shell-left',
    source: ['absent', 'off'],
    destination: ['incoming'],
    when: ['shut-down-on-source'],
    now: { do: 'rollback', if: 'others-empty' },
    deadline: { do: 'rollback', if: 'others-empty' },
    asksEveryone: true,
    contestedError: 'the guest shut down on the source, and another known host may have it',
    noLocks: true,
    alarm: 'guest-stopped',
    offers: ['destroy the shell on the destination'],
    why: 'The guest shut itself down on the source while it moved, so it is stopped there. The destination still has a shell that never ran.',
  },
  {
    id: 'half-arrived',
    source: GONE,
    destination: ['incoming'],
    now: wait,
    deadline: contested,
    contestedError: 'the guest was lost in transit: the destination holds an incomplete copy; never resume it',
    alarm: 'guest-lost',
    why: 'The source is gone and the destination has an incoming shell with a part of the guest’s memory. The shell must not run.',
  },
  {
    id: 'nowhere',
    source: GONE,
    destination: GONE,
    when: ['not-cold-stayed'],
    now: { do: 'rollback', if: 'ended-on-source' },
    deadline: { do: 'rollback', if: 'no-copy-can-differ' },
    settlesOnGone: true,
    asksEveryone: true,
    contestedError: 'the guest is on no host that answered',
    alarm: 'guest-stopped',
    why: 'Neither host has the guest. Every known host is asked before the guest counts as stopped on the source. If the guest is known to have ended there, that is decided at once.',
  },
  {
    id: 'handed-over-silent',
    source: ['handed-over'],
    destination: ['unknown'],
    now: wait,
    deadline: { do: 'complete', certainty: 'provisional' },
    leansToDestination: true,
    why: 'The source confirmed that the guest left for the destination. The {destination} does not answer.',
  },
  {
    id: 'silent-destination-gone',
    source: GONE,
    destination: ['unknown'],
    when: ['not-cold-stayed'],
    now: wait,
    deadline: contested,
    noEffects: true,
    contestedError: 'the guest is gone from the source and the {destination} does not answer',
    why: 'The guest is gone from the source without a confirmed hand-over: it may have crashed or arrived. Silence proves neither.',
  },
  {
    id: 'ran-and-resumed',
    source: LANDED,
    destination: GONE,
    sourceJob: 'none',
    ran: 'yes',
    when: ['proven-over'],
    now: onlyCopy,
    deadline: onlyCopy,
    asksEveryone: true,
    asksEveryoneIf: 'two-copies',
    settlesOnGone: true,
    alarm: 'both-hosts-wrote',
    why: 'The guest is back on the source after it ran on the destination: both may have written to the disk. Somebody may have started it there by hand while the migration was still queued, so the job must be proven over.',
  },
  {
    id: 'stayed',
    source: LANDED,
    sourceAlso: { presences: ['off'], if: 'cold-stayed' },
    destination: GONE,
    destinationAlso: { presences: ['unknown'], if: 'not-started' },
    sourceJob: 'none',
    when: ['proven-over'],
    now: onlyCopy,
    deadline: onlyCopy,
    asksEveryone: true,
    asksEveryoneIf: 'cold-or-two-copies',
    settlesOnGone: true,
    why: 'The guest never left, and the job that could still move it is over. libvirt queues a migration up to 30 s before a job shows, hence the 35 s. If libvirt was never called, a silent destination changes nothing. A guest that was stopped before stays where its definition is.',
  },
  {
    id: 'stalled',
    source: ['switching'],
    destination: GONE,
    sourceJob: 'none',
    ran: 'no',
    now: onlyCopy,
    deadline: onlyCopy,
    asksEveryone: true,
    asksEveryoneIf: 'two-copies',
    settlesOnGone: true,
    why: 'The source stopped its CPUs to hand over, and the destination provably never ran. The source is resumed once it holds its locks exclusively.',
  },
  {
    id: 'stalled-shell',
    source: ['switching'],
    destination: ['incoming'],
    sourceJob: 'none',
    ran: 'no',
    now: wait,
    deadline: contested,
    contestedError: 'the source stopped to hand over and the destination still holds a shell that never ran',
    offers: ['destroy the shell on the destination'],
    why: 'As in row stalled, but the shell on the destination could still be started. When the shell ends, row stalled applies.',
  },
  {
    id: 'ran-and-died',
    source: ['switching'],
    destination: GONE,
    now: wait,
    deadline: contested,
    contestedError:
      'the destination may have run and advanced the disk before it ended; the source must never be resumed',
    why: 'Nothing proves that the destination never ran, so resuming the source could corrupt its disk.',
  },
  {
    id: 'moving',
    source: [...LANDED, 'switching'],
    destination: [...GONE, 'incoming'],
    now: wait,
    deadline: contested,
    contestedError: 'the guest is on the source and may still move',
    why: 'The source still has the guest, and nothing proves that its migration is over.',
  },
  {
    id: 'switched',
    source: ['switching'],
    destination: LANDED,
    now: { do: 'complete', if: 'jobs-over-single' },
    deadline: { do: 'complete', if: 'single', otherwise: 'contested' },
    contestedError: 'what is left on the source may be the guest as well',
    why: 'The destination has the guest; the source has a paused copy. The copy is never resumed, and it is destroyed only if it is still paused on the same boot.',
  },
  {
    id: 'both-alive',
    source: LANDED,
    destination: LANDED,
    now: wait,
    deadline: contested,
    contestedError: 'the guest is alive on both hosts',
    alarm: 'split-brain',
    alarmIf: 'both-execute',
    alarmAtOnceIf: 'split-brain',
    offers: ['suspend the guest on the source'],
    offersIf: 'both-execute',
    why: 'Two hosts may be writing to one disk. Locks stay as observed; choosing a side is an operator’s decision.',
  },
  {
    id: 'silent-source',
    source: ['unknown'],
    destination: LANDED,
    when: ['runs-as-before'],
    now: wait,
    deadline: { do: 'complete', certainty: 'provisional', provenIf: 'source-excluded' },
    leansToDestination: true,
    why: 'The destination has the guest in the expected state, but the {source} does not answer. Hooks and locks wait for proof about the source.',
  },
  {
    id: 'silence',
    source: ['unknown'],
    now: wait,
    deadline: contested,
    contestedError: 'the {source} does not answer; nothing may start the guest elsewhere',
    why: 'Nothing is known about the source, and the destination’s answer alone decides nothing.',
  },
  {
    id: 'silent-destination',
    source: [...LANDED, 'switching'],
    destination: ['unknown'],
    now: wait,
    deadline: contested,
    contestedError: 'the {destination} does not answer; its locks are unknown and are not released',
    why: 'The guest is on the source, but a second copy may run there: the {destination} does not answer.',
  },
  {
    id: 'contradiction',
    now: wait,
    deadline: contested,
    contestedError: 'the answers contradict each other',
    alarm: 'contradiction',
    alarmAtOnceIf: 'matched',
    why: 'No other row matches these answers. Nothing is done until the answers change or an operator settles the attempt.',
  },
];
