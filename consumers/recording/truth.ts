import type { Power } from '../../events/vocabulary.ts';
import type { RecordedLine, TruthLine } from './schema.ts';

/** Reads the `truth` lines at the end of recordings. They serve comparisons only; no verdict may use them. */

export type Ending = { host: string; power: Power };

/** Collects the endings of one recording. A truth line describes its VM, so it belongs to the VM's last migration. */
export class Endings {
  /** The recorded id of each VM's last migration. */
  readonly #last = new Map<string, string>();
  #onlyVm: string | undefined;
  readonly byMigration = new Map<string, Ending>();

  take(line: RecordedLine): void {
    if (line.kind === 'scenario') this.#onlyVm = line.vm ?? (line.vms?.length === 1 ? line.vms[0] : undefined);
    if (line.kind === 'api' && line.action === 'migrate' && line.migrationId !== undefined) {
      this.#last.set(line.vm ?? this.#onlyVm ?? '', line.migrationId);
    }
    if (line.kind !== 'truth') return;
    const migration = this.#last.get(line.vm ?? this.#onlyVm ?? '');
    const ending = endingOf(line);
    if (migration !== undefined && ending !== null) this.byMigration.set(migration, ending);
  }
}

/** Returns the guest's final host; null if a truth line names no host, several hosts, or a torn guest. */
function endingOf(truth: TruthLine): Ending | null {
  const alive = isRecord(truth.qemu_alive) ? truth.qemu_alive : {};
  const states = isRecord(truth.domstate) ? truth.domstate : {};
  const stateOf = (host: string) => {
    const state = states[host];
    return typeof state === 'string' ? state : '';
  };
  const hosts = Object.keys(alive).filter(
    (host) => alive[host] === true && !stateOf(host).endsWith('(post-copy failed)'),
  );
  const running = hosts.filter((host) => stateOf(host).startsWith('running'));
  // A copy paused during a migration is a leftover, not the guest.
  const kept = hosts.filter((host) => stateOf(host) !== 'paused (migrating)');
  const host = only(running) ?? only(kept) ?? only(hosts);
  return host === undefined ? null : { host, power: powerOf(stateOf(host)) };
}

function powerOf(state: string): Power {
  if (state.startsWith('running')) return 'running';
  return state === 'paused (I/O error)' ? 'broken' : 'paused';
}

const only = (hosts: string[]) => (hosts.length === 1 ? hosts[0] : undefined);
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
