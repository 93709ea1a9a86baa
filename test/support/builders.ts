import { randomUUID } from 'node:crypto';

/** Builders of VMs, hosts and events that all tests share. */

/** Returns the UUID of the VM with this number. */
export const vmOf = (number: number): string => `0b51c7a2-7d0e-4c55-9a2e-${String(number).padStart(12, '0')}`;

/** The VM of a test that needs only one. */
export const VM = vmOf(1);

/** The hosts of a test: a migration moves a guest from SOURCE to DESTINATION. */
const SOURCE = 'host-a';
const DESTINATION = 'host-b';

/** Envelope fields of an event. `subject: null` makes an event about a host or the configuration. */
export type Envelope = { id?: string; source?: string; subject?: string | null; time?: string };

/**
 * Returns a CloudEvent about VM unless the envelope names another subject. `type` is the name without `landfall.` and
 * `.v1`.
 */
export function cloudEvent(type: string, data: unknown, { id, source, subject, time }: Envelope = {}): CloudEvent {
  const isAboutSite = type.startsWith('host.f') || type.startsWith('configuration.');
  const about = subject ?? (subject === null || isAboutSite ? undefined : VM);
  return {
    specversion: '1.0',
    id: id ?? randomUUID(),
    source: source ?? 'test',
    type: `landfall.${type}.v1`,
    ...(about !== undefined && { subject: about }),
    ...(time !== undefined && { time }),
    data,
  };
}

export type CloudEvent = Record<string, unknown> & { readonly id: string; readonly source: string };

/** The declaration of a running VM on SOURCE with one volume. */
export const declared = (vm = VM): CloudEvent =>
  cloudEvent(
    'vm.declared',
    { name: 'web', host: SOURCE, power: 'running', volumes: [{ volume: 'vol-1' }] },
    { subject: vm },
  );

/** The start of a migration from SOURCE to DESTINATION. */
export const started = (migration: string, vm = VM): CloudEvent =>
  cloudEvent('migration.started', { migration, source: SOURCE, destination: DESTINATION }, { subject: vm });

/** The return of a migration call that libvirt failed. */
export const returned = (migration: string, vm = VM): CloudEvent =>
  cloudEvent(
    'migration.returned',
    { migration, ok: false, error: { kind: 'libvirt', message: 'operation failed' } },
    { subject: vm },
  );
