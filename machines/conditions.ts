/** Conditions of rows besides presences; decide.ts evaluates them. */
export const conditionTexts = {
  'same-host': 'source and destination are one host',
  'either-postcopy': 'either side is in post-copy',
  'either-postcopy-failed': 'post-copy failed on either side',
  'landed-on-thirds': 'a third host has the guest landed and every known host answered, or two third hosts have it',
  'one-third-landed':
    'exactly one third host has the guest landed (executing, if the destination’s CPUs had run), and there cannot be two copies',
  'handed-over-or-ran': 'the source handed over, or the destination’s CPUs ran',
  'ended-on-source':
    'the guest ended on the source before it handed over (it shut itself down, or it was destroyed or crashed and the destination never ran), and every other known host, asked after the source had answered, lacks it',
  'shut-down-on-source': 'the guest shut itself down on the source before it handed over',
  'cold-moved':
    'the guest was stopped before the call, and its definition is on the destination, and not on the source unless the call succeeded',
  'cold-stayed':
    'the guest was stopped before the call, and its definition is on the source, and not on the destination unless libvirt returned an error or was never called',
  'not-cold-stayed': '`cold-stayed` is not satisfied',
  'not-started': 'the orchestrator reported that it never called libvirt, and nothing contradicts that',
  'proven-over':
    'libvirt was never called, or `cold-stayed` is satisfied, or the destination is fenced and the source was asked after that, or libvirt itself returned an error, or the source showed this attempt’s outgoing job before and shows it no longer, or the guest ran on the destination in a shell of this attempt, or two rounds at least 35 s apart show no job',
  'others-gone':
    'every other known host was asked after the source had answered, two consecutive complete rounds found the guest on no host, and not both copies of it ran',
  'others-silent': 'no other known host that answered has the guest, and not both copies of it ran',
  'no-copy-can-differ':
    '`ended-on-source` is satisfied, or every other known host answered, two consecutive complete rounds found the guest on no host, not both copies ran, and either the destination never ran or no storage was copied',
  'two-copies':
    'there may be two copies: the source still ran after the guest had landed on the destination, or an earlier attempt from the same source is not settled',
  'cold-or-two-copies': 'the guest was stopped before the call, or there may be two copies',
  'others-empty': 'every other known host was asked after the source had answered, and lacks the guest',
  'one-copy':
    'the source had more than the leftover of an earlier attempt; every other known host lacks a guest that was stopped before the call; and either there cannot be two copies, or this copy runs and every other known host, asked after the source had answered, lacks the guest, and not both copies ran on copied storage',
  'one-copy-heard':
    'there cannot be two copies, or no other known host that answered has the guest and not both copies ran on copied storage',
  'jobs-over': 'the source’s job is none, and the destination’s job is known and not incoming',
  single:
    'there cannot be two copies: the source did not run after the guest had landed on the destination, and no earlier attempt from the same source is unsettled',
  'jobs-over-single':
    'the source’s job is none, the destination’s job is known and not incoming, and there cannot be two copies',
  'both-execute': 'both hosts execute the guest',
  'split-brain':
    'both hosts execute the guest, both jobs are none, and the source was asked after the destination landed',
  recoverable: 'post-copy failed on both hosts and neither executes the guest; libvirt recovers only such a pair',
  'third-and-end': 'a third host has the guest landed, and the source or the destination has a part of it',
  'third-executes': 'one of the hosts that have the guest executes it',
  'third-splits': 'one of the hosts that have the guest executes it, and neither end has a job',
  'source-excluded':
    'the source is fenced, or its leases expired as the lock manager reports; and there cannot be two copies',
  'both-remain': 'both hosts still have a part of the guest',
  'runs-as-before':
    'the destination executes the guest, or suspends it because the guest was paused before or the call asked for that',
} as const;
export type ConditionName = keyof typeof conditionTexts;
