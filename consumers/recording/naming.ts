import { sha256 } from '../../log/chain.ts';
import type { Naming } from './world.ts';

/** As recorded. An attempt's id that another recording has used already is qualified by this recording's name. */
export function asRecorded(scenario: string, isTaken: (migration: string) => boolean): Naming {
  return {
    vm: (vm) => vm,
    name: (name) => name,
    volume: (volume) => volume,
    migration: (id) => (isTaken(id) ? `${scenario}/${id}` : id),
    cluster: undefined,
  };
}

/** A world of its own: the same guest in two recordings becomes two VMs, so that many recordings can share one ledger. */
export function apart(scenario: string): Naming {
  return {
    vm: (vm) => uuidFrom(`${scenario}/${vm}`),
    name: (name) => `${name} (${scenario})`,
    volume: (volume) => `${scenario}/${volume}`,
    migration: (id) => `${scenario}/${id}`,
    cluster: scenario,
  };
}

/** A UUID of version 8 (RFC 9562: vendor's own) from a text. */
function uuidFrom(text: string): string {
  const hex = sha256(text);
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  );
}
