import type { Certainty, Job, Power, Presence, Ran } from '../../events/vocabulary.ts';
import type { Tone } from './style.ts';

/** Texts and colours for the vocabulary of states. */

export const certaintyTones: Readonly<Record<Certainty, Tone>> = {
  proven: 'good',
  provisional: 'warn',
  unknown: 'bad',
};

export const certaintyTexts: Readonly<Record<Certainty, string>> = {
  proven: 'proven: the evidence allows no other host',
  provisional: 'provisional: the most likely host; the proof is incomplete and the host may change',
  unknown: 'unknown: no evidence of the guest’s host; the shown host is only the last recorded one',
};

export const powerTones: Readonly<Record<Power, Tone>> = {
  running: 'plain',
  paused: 'warn',
  stopped: 'dim',
  broken: 'bad',
  lost: 'bad',
  unknown: 'warn',
};

export const presenceTexts: Readonly<Record<Presence, string>> = {
  absent: '',
  off: 'defined, not running',
  'handed-over': 'the guest left this host',
  executing: 'its CPUs run',
  suspended: 'present, paused',
  broken: 'present, stopped by a fault',
  incoming: 'a shell whose CPUs never ran',
  switching: 'stopped for the hand-over',
  postcopy: 'in post-copy: its memory is on both hosts',
  'postcopy-failed': 'post-copy failed: its memory is split between the hosts',
  unknown: '',
};

export const jobTexts: Readonly<Record<Job, string>> = {
  outgoing: 'outgoing job',
  incoming: 'incoming job',
  none: 'no job',
  unknown: 'job unknown',
};

export const ranTexts: Readonly<Record<Ran, string>> = { yes: 'yes', no: 'no, proven', maybe: 'not known' };

/**
 * Describes Landfall's reading of a host. The job is omitted if the host has no guest or the presence already implies
 * the job.
 */
export function readingText(presence: Presence, job: Job): string {
  const jobless = presence === 'unknown' || presence === 'absent' || presence === 'off' || presence === 'handed-over';
  const isSaid = (jobless && (job === 'none' || job === 'unknown')) || presence === job;
  return isSaid ? presence : `${presence}, ${jobTexts[job]}`;
}
