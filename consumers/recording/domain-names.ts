import { Fault } from '../../events/fault.ts';
import { detailsOf, eventWords, type LifecycleDetail, type LifecycleEvent } from '../../events/libvirt.ts';

/**
 * Maps domain names to UUIDs per host. `virsh event` reports only names, and two hosts may use one name for different
 * VMs. An event with an unlisted name waits for the host's next listing; later events of the host wait too, which keeps
 * their order.
 */
export type NamedEvent = { line: number; t: number; name: string } & Lifecycle;
type Lifecycle = { event: LifecycleEvent; detail: LifecycleDetail };
export type MappedEvent = NamedEvent & { vm: string };

class HostNames {
  listed = new Map<string, string>();
  lastKnown = new Map<string, string>();
  waiting: NamedEvent[] = [];
}

export class DomainNames {
  readonly #hosts = new Map<string, HostNames>();
  /** The number of events that no listing could map to a UUID. */
  unmapped = 0;

  /** Returns the event with its UUID, or nothing while the name is unlisted. */
  event(host: string, event: NamedEvent): MappedEvent[] {
    const names = this.#of(host);
    const vm = names.waiting.length === 0 ? names.listed.get(event.name) : undefined;
    if (vm !== undefined) return [{ ...event, vm }];
    names.waiting.push(event);
    return [];
  }

  /** Takes a complete listing that began at `asked` and returns the events that it maps. */
  listing(host: string, asked: number, domains: Readonly<Record<string, { name: string }>>): MappedEvent[] {
    const names = this.#of(host);
    names.listed = new Map(Object.entries(domains).map(([vm, { name }]) => [name, vm.toLowerCase()]));
    for (const [name, vm] of names.listed) names.lastKnown.set(name, vm);
    const mapped: MappedEvent[] = [];
    while (names.waiting[0] !== undefined) {
      const event = names.waiting[0];
      const vm = names.listed.get(event.name) ?? names.lastKnown.get(event.name);
      const newerListing = asked >= event.t;
      if (vm === undefined && !newerListing) break;
      names.waiting.shift();
      if (vm === undefined) this.unmapped += 1;
      else mapped.push({ ...event, vm });
    }
    return mapped;
  }

  #of(host: string): HostNames {
    const names = this.#hosts.get(host) ?? new HostNames();
    this.#hosts.set(host, names);
    return names;
  }
}

const EVENT = /^\d{4}-\S+ \S+: event '/;

/** Returns true for the first line of an event of any kind. */
export function isEventLine(line: string): boolean {
  return EVENT.test(line);
}

const LIFECYCLE = /^\S+ \S+: event 'lifecycle' for domain '(.*)': (\S+)(?: (.+))?$/;

/**
 * Parses a lifecycle event of `virsh event`. Returns null for other events and for indented continuation lines.
 * @throws Fault BAD_RECORDING if libvirt has no such event or detail.
 */
export function parseVirshEvent(line: string): ({ name: string } & Lifecycle) | null {
  const match = LIFECYCLE.exec(line.trimEnd());
  const [, name, word, detail] = match ?? [];
  if (name === undefined || word === undefined) return null;
  const event = eventWords.find((known) => known === word);
  if (event === undefined) throw unknownWord(word, 'a lifecycle event of libvirt', eventWords);
  const known = detailsOf(event).find((each) => each === detail);
  if (known === undefined) throw unknownWord(detail ?? '', `a detail of event ${event}`, detailsOf(event));
  return { name, event, detail: known };
}

function unknownWord(word: string, role: string, allowed: readonly string[]): Fault {
  const message = `line: ${JSON.stringify(word)} is not ${role}`;
  return new Fault('BAD_RECORDING', message, `Use one of: ${allowed.join(', ')}.`);
}
