/** Every fault the simulated world knows, by name, so that each can be switched off. */
export const faultKinds = [
  // libvirt and its migration
  'queued',
  'destination-full',
  'perform-fails',
  'finish-fails',
  'finish-reply-lost',
  'source-resumes-after-lost-reply',
  'shell-lingers',
  'post-copy',
  'post-copy-fails',
  'caller-killed',
  'connection-broken',
  // hosts and guests
  'libvirtd-restart',
  'host-reboot',
  'qemu-crash',
  'guest-paused',
  'io-error',
  'moved-on',
  'started-elsewhere',
  'host-fenced',
  'lease-expired',
  // agents and the network
  'question-lost',
  'answer-lost',
  'answer-late',
  'answer-repeated',
  'event-late',
  'event-repeated',
  'stream-cut',
  'listing-failed',
  'job-query-times-out',
  'listing-slow',
  'listing-races',
  'command-lost',
  'command-late',
  'acknowledgement-lost',
  // lock manager and hooks
  'lock-refused',
  'hook-fails',
  // the service
  'service-crash',
  'disk-error',
  'clock-back',
  'clock-forward',
  // people
  'second-migration',
  'operator',
] as const;
export type FaultKind = (typeof faultKinds)[number];
export const everyFault: ReadonlySet<FaultKind> = new Set(faultKinds);
