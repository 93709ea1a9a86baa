import { sha256 } from '../../log/chain.ts';
import type { LedgerNames } from './world.ts';

/** A recording, identified by its name and start time. */
type Recording = { readonly name: string; readonly t: number };
/** Returns true if another recording or the live site already uses an attempt id. */
type IsTaken = (migration: string) => boolean;

/** Keeps all names as recorded. An attempt id in use is qualified with the recording's name. */
export function asRecorded({ name: scenario, t }: Recording, isTaken: IsTaken): LedgerNames {
  return {
    vm: (vm) => vm,
    name: (name) => name,
    volume: (volume) => volume,
    migration: (id) => firstFree([id, `${scenario}/${id}`], `${scenario}@${t}/${id}`, isTaken),
    cluster: undefined,
  };
}

/** Gives each recording its own VMs and attempts, so that many recordings with the same guest can share a ledger. */
export function apart({ name: scenario, t }: Recording, isTaken: IsTaken): LedgerNames {
  return {
    vm: (vm) => uuidFrom(`${scenario}/${vm}`),
    name: (name) => `${name} (${scenario})`,
    volume: (volume) => `${scenario}/${volume}`,
    migration: (id) => firstFree([`${scenario}/${id}`], `${scenario}@${t}/${id}`, isTaken),
    cluster: scenario,
  };
}

function firstFree(wished: readonly string[], otherwise: string, isTaken: IsTaken): string {
  return wished.find((id) => !isTaken(id)) ?? otherwise;
}

/** Derives a UUID of version 8 (RFC 9562, vendor-defined) from a text. */
function uuidFrom(text: string): string {
  const hex = sha256(text);
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  );
}
