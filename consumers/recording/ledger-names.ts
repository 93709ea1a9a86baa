import { sha256 } from '../../log/chain.ts';
import type { LedgerNames } from './world.ts';

/** A recording by its name and beginning: two of the same name are told apart by the time. */
type Recording = { readonly name: string; readonly t: number };
/** Whether another recording, or the live service, has used an attempt's id already. */
type IsTaken = (migration: string) => boolean;

/** As recorded. An attempt's id that is taken is qualified by this recording's name. */
export function asRecorded({ name: scenario, t }: Recording, isTaken: IsTaken): LedgerNames {
  return {
    vm: (vm) => vm,
    name: (name) => name,
    volume: (volume) => volume,
    migration: (id) => firstFree([id, `${scenario}/${id}`], `${scenario}@${t}/${id}`, isTaken),
    cluster: undefined,
  };
}

/** A world of its own: the same guest in two recordings becomes two VMs, so that many recordings can share one ledger. */
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

/** A UUID of version 8 (RFC 9562: vendor's own) from a text. */
function uuidFrom(text: string): string {
  const hex = sha256(text);
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  );
}
