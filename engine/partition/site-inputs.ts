import { Configuration, type ConfigurationChange } from '../../events/configuration.ts';
import type { Cause } from '../../events/entries.ts';
import { unreachable } from '../../events/fault.ts';
import type { InputData, SiteInput } from '../../events/inputs.ts';
import type { HostRecord } from '../../events/records.ts';
import type { Stimulus } from '../../machines/fold.ts';
import { refusals } from './refusals.ts';
import { type Moment, partOf, type Workspace } from './workspace.ts';

/** Applies an input about the site: to a host record or the configuration, and to the open attempts at that host. */

export function applySiteInput(space: Workspace, input: SiteInput, cause: Cause, moment: Moment): void {
  switch (input.type) {
    case 'landfall.configuration.set.v1':
      return configure(space, input.data.change, cause, moment);
    case 'landfall.host.facts.v1':
      return hostFacts(space, input.data, cause, moment);
    case 'landfall.host.fenced.v1':
      return fence(space, input.data.host, cause, moment);
    default:
      return unreachable(input);
  }
}

function configure(space: Workspace, change: ConfigurationChange, cause: Cause, moment: Moment): void {
  const merged = Configuration.safeParse({ ...space.configuration, ...change });
  if (!merged.success) return space.refuse(null, refusals.badConfiguration(merged.error), cause, moment);
  space.configuration = merged.data;
  space.write(null, cause, moment, { configuration: merged.data });
}

/** A fenced host cannot run a guest. It stays fenced until it returns, so a host that is not registered gets a record too. */
function fence(space: Workspace, name: string, cause: Cause, moment: Moment): void {
  const unregistered = { host: name, clock: moment.clock, stream: 'lost', agent: 'silent' } as const;
  const before = space.host(name, moment.clock) ?? { ...unregistered, zone: null, cluster: null, boot: null };
  const host: HostRecord = { ...before, fenced: true };
  space.setHost(host);
  space.write(null, cause, moment, { host });
  stepEachOn(space, name, [{ type: 'fenced', host: name }], cause, moment);
}

function hostFacts(space: Workspace, data: InputData<'landfall.host.facts.v1'>, cause: Cause, moment: Moment): void {
  const before = space.host(data.host, moment.clock);
  const host = merge(before, data, moment.clock);
  space.setHost(host);
  space.write(null, cause, moment, { host });
  const rebooted = before !== undefined && before.boot !== null && before.boot !== host.boot;
  const stimuli: Stimulus[] = [];
  // Events may be lost after a reboot, while the agent was silent, and between two connections of the event stream.
  const isNewStream = before !== undefined && data.stream === 'connected';
  if (rebooted || isNewStream || host.stream === 'lost')
    stimuli.push({ type: 'stream', host: host.host, stream: 'lost' });
  // A host that is reachable again is asked at once.
  const isBackFromFencing = before?.fenced === true && host.fenced !== true;
  if (data.stream === 'connected' || data.agent === 'speaking' || isBackFromFencing)
    stimuli.push({ type: 'stream', host: host.host, stream: 'connected' });
  stepEachOn(space, host.host, stimuli, cause, moment);
}

function merge(before: HostRecord | undefined, data: InputData<'landfall.host.facts.v1'>, clock: string): HostRecord {
  return {
    host: data.host,
    clock,
    zone: data.zone ?? before?.zone ?? null,
    cluster: data.cluster ?? before?.cluster ?? null,
    boot: data.boot ?? before?.boot ?? null,
    stream: data.stream ?? (data.agent === 'silent' ? 'lost' : before?.stream) ?? 'lost',
    agent: data.agent ?? before?.agent ?? 'speaking',
    ...(before?.fenced === true && !isBack(before, data) ? { fenced: true } : {}),
  };
}

/**
 * Returns true if the facts prove that a fenced host runs again. The zone or cluster of a host, which an inventory
 * reports, proves nothing.
 */
function isBack(before: HostRecord, { boot, stream, agent }: InputData<'landfall.host.facts.v1'>): boolean {
  const isRebooted = boot !== undefined && boot !== before.boot;
  return isRebooted || stream === 'connected' || agent === 'speaking';
}

/** Steps every open attempt with this host at one end. */
function stepEachOn(space: Workspace, host: string, stimuli: readonly Stimulus[], cause: Cause, moment: Moment): void {
  let part = 1;
  for (const migration of space.attempts.openOn(moment.clock, host)) {
    for (const stimulus of stimuli)
      if (space.step(migration, stimulus, partOf(cause, part), moment, 'quiet')) part += 1;
  }
}
