import type { Job, Presence, Ran } from '../events/vocabulary.ts';

/**
 * The verdict table, as data. The first row that matches wins. `docs/verdicts.md` is generated from it, every verdict names
 * its row and `TABLE_VERSION`, and test/machines/table holds the row of every combination.
 *
 * Raise the version with any change that can move a verdict.
 */
export const TABLE_VERSION = 3;

export const GONE = ['absent', 'off', 'handed-over'] as const satisfies readonly Presence[];
/** On the destination: the guest has landed. On the source: it is resident. */
export const LANDED = ['executing', 'suspended', 'broken'] as const satisfies readonly Presence[];

/** Whether a presence is one of a set such as `GONE` or `LANDED`. */
export const isOneOf = (set: readonly Presence[], presence: Presence): boolean => set.includes(presence);

/** Conditions a row can ask for beyond presences; `decide.ts` says how each is read from the evidence. */
export const conditionTexts = {
  'same-host': 'source and destination are one host',
  'either-postcopy': 'either side is in post-copy',
  'either-postcopy-failed': 'post-copy failed on either side',
  'landed-on-thirds': 'a third host has it landed and every known host answered, or two third hosts have it',
  'one-third-landed':
    'exactly one third host has it landed, executing where the destination’s CPUs had run, and there cannot be two copies',
  'handed-over-or-ran': 'the source handed over, or the destination’s CPUs ran',
  'proven-over':
    'libvirt itself returned an error, or the source had shown this attempt’s outgoing job and no longer does, or the guest ran on the destination in a shell of this attempt, or two rounds at least 35 s apart say so',
  'others-gone':
    'every other known host was asked after the source had answered, and two whole rounds, one after the other, found the guest on no host',
  'others-silent': 'no other known host that answered has the guest',
  'no-copy-can-differ':
    'every other known host answered, two whole rounds, one after the other, found the guest on no host, and the destination never ran or no storage was copied',
  'two-copies':
    'there may be two copies: the source was heard to run on after the destination had landed, or an earlier attempt from it is not settled',
  'one-copy':
    'the source held more than an earlier attempt’s leftover; and there cannot be two copies, or this one runs and every other known host was asked after the source had answered, and none has the guest',
  'one-copy-heard': 'there cannot be two copies, or no other known host that answered has the guest',
  'jobs-over': 'the source’s job is none, and the destination’s is known not to be incoming',
  single:
    'there cannot be two copies: the source was not heard to run on after the destination had landed, and no earlier attempt from it was unsettled',
  'jobs-over-single':
    'the source’s job is none, the destination’s is known not to be incoming, and there cannot be two copies',
  'split-brain': 'both jobs are none and the source was asked after the destination landed',
  'source-excluded':
    'the source is fenced, or its leases expired as the lock manager reports; and there cannot be two copies',
  'both-remain': 'both hosts still hold a part of the guest',
  'runs-as-before': 'the destination executes, or is suspended as the guest was before or was asked to be left',
} as const;
export type ConditionName = keyof typeof conditionTexts;

export type AlarmCode =
  | 'guest-broken'
  | 'landed-elsewhere'
  | 'both-hosts-wrote'
  | 'split-brain'
  | 'contradiction'
  | 'guest-lost'
  | 'guest-torn'
  | 'guest-stopped';

/** What a column of a row does. Without its `if` it does its `otherwise`: by default `wait` now, `contested` at the deadline. */
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

export type Row = {
  readonly id: string;
  readonly source?: readonly Presence[];
  readonly destination?: readonly Presence[];
  readonly sourceJob?: Job;
  readonly ran?: Ran;
  readonly when?: readonly ConditionName[];
  readonly now: Column;
  readonly deadline: Column;
  /** It settles on the destination being gone: it counts only if the destination was asked after the source's answer arrived. */
  readonly settlesOnGone?: true;
  /** Every known host is asked as well. */
  readonly asksEveryone?: true;
  /** Only where this holds. */
  readonly asksEveryoneIf?: ConditionName;
  /** While it waits, the record names the destination, provisionally. */
  readonly leansToDestination?: true;
  /** No lock command follows. */
  readonly noLocks?: true;
  /** A contested verdict of this row fails the call and sends no rollback effect. */
  readonly noEffects?: true;
  /** The call's error as a contested verdict of this row states it, after the sentence that all of them share. */
  readonly contestedError?: string;
  /** Raised with the row's verdict. */
  readonly alarm?: AlarmCode;
  /** Raised as soon as the row matches and this holds, while it still waits. */
  readonly alarmAtOnceIf?: ConditionName | 'matched';
  /** What an operator may do; Landfall offers it and never does it unasked. */
  readonly offers?: readonly string[];
  /** Offered only where this holds. */
  readonly offersIf?: ConditionName;
  readonly why: string;
};

const wait: Column = { do: 'wait' };
const contested: Column = { do: 'contested' };
const rollback: Column = { do: 'rollback' };
/** Where there may be two copies, the other known hosts are heard first. */
const onlyCopy: Column = { do: 'rollback', if: 'one-copy' };
const onThirdHost: Column = { do: 'complete', on: 'third-host', if: 'one-third-landed', otherwise: 'contested' };

export const table: readonly Row[] = [
  {
    id: 'same-host',
    when: ['same-host'],
    now: rollback,
    deadline: rollback,
    noLocks: true,
    why: 'Nothing can have moved; a release would take the lock from the guest itself.',
  },
  {
    id: 'torn',
    when: ['either-postcopy-failed'],
    now: wait,
    deadline: contested,
    contestedError: 'post-copy failed and the guest’s memory is torn between two hosts; resume neither',
    alarm: 'guest-torn',
    offers: ['recover the post-copy migration'],
    offersIf: 'both-remain',
    why: 'Each host holds pages that the other lacks. Resuming either runs a guest with holes in its memory.',
  },
  {
    id: 'postcopy',
    when: ['either-postcopy'],
    now: wait,
    deadline: contested,
    contestedError: 'the guest’s memory is still on both hosts (post-copy)',
    why: 'The guest runs on the destination and fetches pages from the source: aborting or resuming destroys it.',
  },
  {
    id: 'landed',
    source: GONE,
    destination: LANDED,
    now: { do: 'complete', if: 'one-copy' },
    deadline: { do: 'complete', if: 'one-copy-heard', certainty: 'provisional', provenIf: 'one-copy' },
    asksEveryone: true,
    asksEveryoneIf: 'two-copies',
    contestedError: 'both hosts had the guest, and another host has it now',
    why: 'The guest is on the destination and nowhere on the source. A suspended guest stays paused; a broken one raises an alarm. Where the source had run on beside it, its copy may have gone to a third host: the known hosts are heard first.',
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
    why: 'Somebody moved it on: the record follows the guest. On two third hosts at once, or where there had been two copies, no answer says which one is right.',
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
    why: 'The guest arrived and ended there. The disk moved on with it, so the record does too; the guest is stopped. Other known hosts are heard first: one of them may have started it since.',
  },
  {
    id: 'half-arrived',
    source: GONE,
    destination: ['incoming'],
    now: wait,
    deadline: contested,
    contestedError: 'the guest was lost in transit: the destination holds an incomplete copy; never resume it',
    alarm: 'guest-lost',
    why: 'An incoming shell without its source holds part of a memory. It must not run.',
  },
  {
    id: 'nowhere',
    source: GONE,
    destination: GONE,
    now: wait,
    deadline: { do: 'rollback', if: 'no-copy-can-differ' },
    settlesOnGone: true,
    asksEveryone: true,
    contestedError: 'the guest is on no host that answered',
    alarm: 'guest-stopped',
    why: 'Both ends are empty: every known host is asked before the guest is called stopped on the source.',
  },
  {
    id: 'handed-over-silent',
    source: ['handed-over'],
    destination: ['unknown'],
    now: wait,
    deadline: { do: 'complete', certainty: 'provisional' },
    leansToDestination: true,
    why: 'The source confirmed that the guest left; the destination is where it went, though it does not answer.',
  },
  {
    id: 'silent-destination-gone',
    source: GONE,
    destination: ['unknown'],
    now: wait,
    deadline: contested,
    noEffects: true,
    contestedError: 'the guest is gone from the source and the destination does not answer',
    why: 'Gone without a hand-over may be a crash or an arrival. Silence proves neither.',
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
    destination: GONE,
    sourceJob: 'none',
    when: ['proven-over'],
    now: onlyCopy,
    deadline: onlyCopy,
    asksEveryone: true,
    asksEveryoneIf: 'two-copies',
    settlesOnGone: true,
    why: 'The guest never left, and the job that could still move it is over. libvirt queues a migration up to 30 s before a job shows, hence the 35 s.',
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
    why: 'As stalled, but the shell could still be started. Its Stopped event leads to stalled.',
  },
  {
    id: 'ran-and-died',
    source: ['switching'],
    destination: GONE,
    now: wait,
    deadline: contested,
    contestedError:
      'the destination may have run and advanced the disk before it ended; the source must never be resumed',
    why: 'Nothing proves that the destination never ran: resuming the source could corrupt its disk.',
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
    why: 'The destination owns the guest; what is left on the source is a paused copy. It is never resumed, and destroyed only if still paused on the same boot.',
  },
  {
    id: 'both-alive',
    source: LANDED,
    destination: LANDED,
    now: wait,
    deadline: contested,
    contestedError: 'the guest is alive on both hosts',
    alarm: 'split-brain',
    alarmAtOnceIf: 'split-brain',
    offers: ['suspend the guest on the source'],
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
    why: 'The destination has the guest as it should be, but the source does not answer: hooks and locks wait for proof about it.',
  },
  {
    id: 'silence',
    source: ['unknown'],
    now: wait,
    deadline: contested,
    contestedError: 'the source does not answer; nothing may start the guest elsewhere',
    why: 'Nothing is known of the source, and what the destination says does not settle it.',
  },
  {
    id: 'silent-destination',
    source: [...LANDED, 'switching'],
    destination: ['unknown'],
    now: wait,
    deadline: contested,
    contestedError: 'the destination does not answer; its locks are unknown and are not released',
    why: 'The guest is on the source, but a second one may run where nobody answers.',
  },
  {
    id: 'contradiction',
    now: wait,
    deadline: contested,
    contestedError: 'the answers contradict each other',
    alarm: 'contradiction',
    alarmAtOnceIf: 'matched',
    why: 'No row foresees this. Nothing is done until it changes or an operator settles it.',
  },
];
