import type { Presence } from '../../events/vocabulary.ts';
import type { AlarmCode } from '../../machines/table.ts';

/** The texts of docs/verdicts.md for values that have no text in the table itself. */

export const presenceTexts: Readonly<Record<Presence, readonly [seen: string, meaning: string]>> = {
  absent: [
    'a complete listing of the host without the guest’s UUID',
    'The guest is not on this host. Only a complete listing proves absence; one failed look-up does not.',
  ],
  off: [
    '`shut off` for any reason; `crashed` for any reason except `panicked`',
    'The host knows the guest but does not run it.',
  ],
  'handed-over': [
    'source only: absent, off, or paused with an incoming job, after the source confirmed in this attempt that the guest had left: by the event `Stopped Migrated`, or by the answer `shut off (migrated)`',
    'The source itself confirmed that the guest left. Landfall remembers this confirmation. The answer counts only if this attempt saw the guest or its outgoing job on the source, or its shell on the destination; otherwise the answer may be left from an older migration. An incoming job on such a source belongs to a migration back.',
  ],
  executing: ['`running`, except in post-copy', 'The guest’s CPUs run on this host, whatever job the host reports.'],
  suspended: [
    '`paused` by a user, a save, a dump, a snapshot, a watchdog or a shutdown; `in shutdown`, `pmsuspended`, `idle`; no incoming job',
    'The whole guest is on this host and is stopped on purpose.',
  ],
  broken: [
    '`paused (I/O error)`, `paused (crashed)`, `crashed (panicked)`; no incoming job',
    'The whole guest is on this host and a fault stopped it.',
  ],
  incoming: [
    'destination or another host: a guest that would otherwise be `suspended`, `broken` or `paused`, with an incoming job, if the destination’s CPUs are not known to have run',
    'A QEMU process (a shell) that receives the guest’s memory. It is not yet the guest.',
  ],
  switching: [
    'source only: `paused (migrating)`, `paused (unknown)`, `paused (api error)`',
    'The source stopped the guest to hand it over. The destination may already have the newer state.',
  ],
  postcopy: [
    '`post-copy`, paused or running; a destination that ran and still has an incoming job',
    'The guest’s memory is spread over both hosts.',
  ],
  'postcopy-failed': [
    '`post-copy failed`, paused or running',
    'The guest’s memory is divided between both hosts and neither copy is complete.',
  ],
  unknown: [
    'no connection, no answer in time, an error, a state that this table does not list, another boot of the source, a stray QEMU process',
    'Nothing is known. Unknown never counts as absent.',
  ],
};

export const alarmTexts: Readonly<Record<AlarmCode, string>> = {
  'guest-broken': 'the whole guest is on one host, but a fault stopped it',
  'landed-elsewhere': 'a third host runs the guest',
  'both-hosts-wrote': 'both hosts ran the guest, one after the other',
  'split-brain': 'two hosts run the guest',
  contradiction: 'the answers fit no row',
  'guest-lost': 'the guest was lost in transit',
  'guest-torn': 'post-copy failed and the guest’s memory is divided between two hosts',
  'guest-stopped': 'the guest is stopped, and Landfall does not start it',
};
