import type { Power } from '../../events/vocabulary.ts';
import type { RecordedLine, TruthLine } from './schema.ts';

/** How recordings ended, by their closing `truth` lines. For comparisons only: no verdict may know it. */

export type Ending = { host: string; power: Power };

/** Collects the endings of one recording: a truth line tells of its VM, and so of that VM's last migration only. */
export class Endings {
  /** The last migration of each VM, by the id it is recorded with. */
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

/** Where a truth line says the guest ended; null where it does not tell: on no host, on several, or torn between two. */
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
  // A copy that is paused in the middle of a migration is what is left behind, not the guest.
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
