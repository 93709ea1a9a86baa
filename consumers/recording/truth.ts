import type { Power } from '../../events/vocabulary.ts';
import type { TruthLine } from './schema.ts';

/** Where a recording's closing `truth` line says the guest ended. For comparisons only: no verdict may know it. */
export function witnessedBy(truth: TruthLine): { host: string; power: Power } | null {
  const alive = isRecord(truth.qemu_alive) ? truth.qemu_alive : {};
  const states = isRecord(truth.domstate) ? truth.domstate : {};
  const hosts = Object.keys(alive).filter((host) => alive[host] === true);
  const stateOf = (host: string) => {
    const state = states[host];
    return typeof state === 'string' ? state : '';
  };
  const running = hosts.filter((host) => stateOf(host).startsWith('running'));
  // A copy that is paused in the middle of a migration is what is left behind, not the guest.
  const kept = hosts.filter((host) => stateOf(host) !== 'paused (migrating)');
  const host = only(running) ?? only(kept) ?? only(hosts);
  if (host === undefined) return null;
  return { host, power: stateOf(host).startsWith('running') ? 'running' : 'paused' };
}

const only = (hosts: string[]) => (hosts.length === 1 ? hosts[0] : undefined);
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
