/**
 * libvirt's vocabulary, as inputs use it. The values are the texts of virsh 9.0; the constants are from libvirt's
 * headers (include/libvirt/libvirt-domain.h). docs/vocabulary.md is generated from these tables.
 */

/** The states of a domain. Each has its constant (virDomainState) and its reasons with their constants. */
export const domainStates = {
  'no state': { source: 'VIR_DOMAIN_NOSTATE', reasons: { unknown: 'VIR_DOMAIN_NOSTATE_UNKNOWN' } },
  running: {
    source: 'VIR_DOMAIN_RUNNING',
    reasons: {
      unknown: 'VIR_DOMAIN_RUNNING_UNKNOWN',
      booted: 'VIR_DOMAIN_RUNNING_BOOTED',
      migrated: 'VIR_DOMAIN_RUNNING_MIGRATED',
      restored: 'VIR_DOMAIN_RUNNING_RESTORED',
      'from snapshot': 'VIR_DOMAIN_RUNNING_FROM_SNAPSHOT',
      unpaused: 'VIR_DOMAIN_RUNNING_UNPAUSED',
      'migration canceled': 'VIR_DOMAIN_RUNNING_MIGRATION_CANCELED',
      'save canceled': 'VIR_DOMAIN_RUNNING_SAVE_CANCELED',
      'event wakeup': 'VIR_DOMAIN_RUNNING_WAKEUP',
      crashed: 'VIR_DOMAIN_RUNNING_CRASHED',
      'post-copy': 'VIR_DOMAIN_RUNNING_POSTCOPY',
      'post-copy failed': 'VIR_DOMAIN_RUNNING_POSTCOPY_FAILED',
    },
  },
  idle: { source: 'VIR_DOMAIN_BLOCKED', reasons: { unknown: 'VIR_DOMAIN_BLOCKED_UNKNOWN' } },
  paused: {
    source: 'VIR_DOMAIN_PAUSED',
    reasons: {
      unknown: 'VIR_DOMAIN_PAUSED_UNKNOWN',
      user: 'VIR_DOMAIN_PAUSED_USER',
      migrating: 'VIR_DOMAIN_PAUSED_MIGRATION',
      saving: 'VIR_DOMAIN_PAUSED_SAVE',
      dumping: 'VIR_DOMAIN_PAUSED_DUMP',
      'I/O error': 'VIR_DOMAIN_PAUSED_IOERROR',
      watchdog: 'VIR_DOMAIN_PAUSED_WATCHDOG',
      'from snapshot': 'VIR_DOMAIN_PAUSED_FROM_SNAPSHOT',
      'shutting down': 'VIR_DOMAIN_PAUSED_SHUTTING_DOWN',
      'creating snapshot': 'VIR_DOMAIN_PAUSED_SNAPSHOT',
      crashed: 'VIR_DOMAIN_PAUSED_CRASHED',
      'starting up': 'VIR_DOMAIN_PAUSED_STARTING_UP',
      'post-copy': 'VIR_DOMAIN_PAUSED_POSTCOPY',
      'post-copy failed': 'VIR_DOMAIN_PAUSED_POSTCOPY_FAILED',
      'api error': 'VIR_DOMAIN_PAUSED_API_ERROR',
    },
  },
  'in shutdown': {
    source: 'VIR_DOMAIN_SHUTDOWN',
    reasons: { unknown: 'VIR_DOMAIN_SHUTDOWN_UNKNOWN', user: 'VIR_DOMAIN_SHUTDOWN_USER' },
  },
  'shut off': {
    source: 'VIR_DOMAIN_SHUTOFF',
    reasons: {
      unknown: 'VIR_DOMAIN_SHUTOFF_UNKNOWN',
      shutdown: 'VIR_DOMAIN_SHUTOFF_SHUTDOWN',
      destroyed: 'VIR_DOMAIN_SHUTOFF_DESTROYED',
      crashed: 'VIR_DOMAIN_SHUTOFF_CRASHED',
      migrated: 'VIR_DOMAIN_SHUTOFF_MIGRATED',
      saved: 'VIR_DOMAIN_SHUTOFF_SAVED',
      failed: 'VIR_DOMAIN_SHUTOFF_FAILED',
      'from snapshot': 'VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT',
      daemon: 'VIR_DOMAIN_SHUTOFF_DAEMON',
    },
  },
  crashed: {
    source: 'VIR_DOMAIN_CRASHED',
    reasons: { unknown: 'VIR_DOMAIN_CRASHED_UNKNOWN', panicked: 'VIR_DOMAIN_CRASHED_PANICKED' },
  },
  pmsuspended: { source: 'VIR_DOMAIN_PMSUSPENDED', reasons: { unknown: 'VIR_DOMAIN_PMSUSPENDED_UNKNOWN' } },
} as const;
export type DomainState = keyof typeof domainStates;
export type DomainReason = { [S in DomainState]: keyof (typeof domainStates)[S]['reasons'] }[DomainState];

/** The jobs of a domain, with the operations of libvirt that each value stands for (virDomainJobOperation). */
export const domainJobs = {
  none: 'no job, or the domain is not running (VIR_ERR_OPERATION_INVALID)',
  outgoing: 'VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT',
  incoming:
    'VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN, or VIR_ERR_OPERATION_UNSUPPORTED: a destination refuses job statistics while a migration comes in',
  other: 'every other VIR_DOMAIN_JOB_OPERATION: start, save, restore, snapshot, dump, backup',
  unknown: 'the query failed or timed out',
} as const;
export type DomainJob = keyof typeof domainJobs;

/** The lifecycle events (virDomainEventType). Each has its constant and its details with their constants. */
export const lifecycleEvents = {
  Defined: {
    source: 'VIR_DOMAIN_EVENT_DEFINED',
    details: {
      Added: 'VIR_DOMAIN_EVENT_DEFINED_ADDED',
      Updated: 'VIR_DOMAIN_EVENT_DEFINED_UPDATED',
      Renamed: 'VIR_DOMAIN_EVENT_DEFINED_RENAMED',
      Snapshot: 'VIR_DOMAIN_EVENT_DEFINED_FROM_SNAPSHOT',
    },
  },
  Undefined: {
    source: 'VIR_DOMAIN_EVENT_UNDEFINED',
    details: { Removed: 'VIR_DOMAIN_EVENT_UNDEFINED_REMOVED', Renamed: 'VIR_DOMAIN_EVENT_UNDEFINED_RENAMED' },
  },
  Started: {
    source: 'VIR_DOMAIN_EVENT_STARTED',
    details: {
      Booted: 'VIR_DOMAIN_EVENT_STARTED_BOOTED',
      Migrated: 'VIR_DOMAIN_EVENT_STARTED_MIGRATED',
      Restored: 'VIR_DOMAIN_EVENT_STARTED_RESTORED',
      Snapshot: 'VIR_DOMAIN_EVENT_STARTED_FROM_SNAPSHOT',
      'Event wakeup': 'VIR_DOMAIN_EVENT_STARTED_WAKEUP',
      Recreation: 'VIR_DOMAIN_EVENT_STARTED_RECREATION',
    },
  },
  Suspended: {
    source: 'VIR_DOMAIN_EVENT_SUSPENDED',
    details: {
      Paused: 'VIR_DOMAIN_EVENT_SUSPENDED_PAUSED',
      Migrated: 'VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED',
      'I/O Error': 'VIR_DOMAIN_EVENT_SUSPENDED_IOERROR',
      Watchdog: 'VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG',
      Restored: 'VIR_DOMAIN_EVENT_SUSPENDED_RESTORED',
      Snapshot: 'VIR_DOMAIN_EVENT_SUSPENDED_FROM_SNAPSHOT',
      'API error': 'VIR_DOMAIN_EVENT_SUSPENDED_API_ERROR',
      'Post-copy': 'VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY',
      'Post-copy Error': 'VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY_FAILED',
    },
  },
  Resumed: {
    source: 'VIR_DOMAIN_EVENT_RESUMED',
    details: {
      Unpaused: 'VIR_DOMAIN_EVENT_RESUMED_UNPAUSED',
      Migrated: 'VIR_DOMAIN_EVENT_RESUMED_MIGRATED',
      Snapshot: 'VIR_DOMAIN_EVENT_RESUMED_FROM_SNAPSHOT',
      'Post-copy': 'VIR_DOMAIN_EVENT_RESUMED_POSTCOPY',
      'Post-copy Error': 'VIR_DOMAIN_EVENT_RESUMED_POSTCOPY_FAILED',
    },
  },
  Stopped: {
    source: 'VIR_DOMAIN_EVENT_STOPPED',
    details: {
      Shutdown: 'VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN',
      Destroyed: 'VIR_DOMAIN_EVENT_STOPPED_DESTROYED',
      Crashed: 'VIR_DOMAIN_EVENT_STOPPED_CRASHED',
      Migrated: 'VIR_DOMAIN_EVENT_STOPPED_MIGRATED',
      Saved: 'VIR_DOMAIN_EVENT_STOPPED_SAVED',
      Failed: 'VIR_DOMAIN_EVENT_STOPPED_FAILED',
      Snapshot: 'VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT',
      Recreation: 'VIR_DOMAIN_EVENT_STOPPED_RECREATION',
    },
  },
  Shutdown: {
    source: 'VIR_DOMAIN_EVENT_SHUTDOWN',
    details: {
      Finished: 'VIR_DOMAIN_EVENT_SHUTDOWN_FINISHED',
      'Finished after guest request': 'VIR_DOMAIN_EVENT_SHUTDOWN_GUEST',
      'Finished after host request': 'VIR_DOMAIN_EVENT_SHUTDOWN_HOST',
    },
  },
  PMSuspended: {
    source: 'VIR_DOMAIN_EVENT_PMSUSPENDED',
    details: { Memory: 'VIR_DOMAIN_EVENT_PMSUSPENDED_MEMORY', Disk: 'VIR_DOMAIN_EVENT_PMSUSPENDED_DISK' },
  },
  Crashed: {
    source: 'VIR_DOMAIN_EVENT_CRASHED',
    details: {
      Panicked: 'VIR_DOMAIN_EVENT_CRASHED_PANICKED',
      Crashloaded: 'VIR_DOMAIN_EVENT_CRASHED_CRASHLOADED',
    },
  },
} as const;
export type LifecycleEvent = keyof typeof lifecycleEvents;
export type LifecycleDetail = { [E in LifecycleEvent]: keyof (typeof lifecycleEvents)[E]['details'] }[LifecycleEvent];

/** Returns the reasons of a state. */
export function reasonsOf(state: DomainState): readonly DomainReason[] {
  return Object.keys(domainStates[state].reasons) as DomainReason[];
}

/** Returns the details of a lifecycle event. */
export function detailsOf(event: LifecycleEvent): readonly LifecycleDetail[] {
  return Object.keys(lifecycleEvents[event].details) as LifecycleDetail[];
}

export const stateWords = Object.keys(domainStates) as DomainState[];
export const reasonWords = [...new Set(stateWords.flatMap(reasonsOf))];
export const jobWords = Object.keys(domainJobs) as DomainJob[];
export const eventWords = Object.keys(lifecycleEvents) as LifecycleEvent[];
export const detailWords = [...new Set(eventWords.flatMap(detailsOf))];
