import type { Attempt, Step } from '../events/attempt.ts';
import type { Command } from '../events/commands.ts';
import type { InputData } from '../events/inputs.ts';
import type { DomainJob } from '../events/libvirt.ts';
import type { Verdict } from '../events/verdict.ts';
import type { Holder, Volume } from '../events/vocabulary.ts';
import { verdictPhrase } from '../machines/status-words.ts';

/** The texts of timeline items. */

export function declaredText({ name, host, power, volumes }: InputData<'landfall.vm.declared.v1'>): string {
  const place = host === null ? 'no host named' : `on ${host}`;
  return `declared as ${name}, ${place}, ${power}${volumes.length === 0 ? '' : `, volumes ${volumes.map(volumeText).join(', ')}`}`;
}

function volumeText({ volume, shareable }: Volume): string {
  return shareable ? `${volume} (shareable)` : volume;
}

export function resolutionText(data: InputData<'landfall.migration.resolved.v1'>): string {
  const { operator, host, command, reason } = data;
  if (command !== undefined) return `${operator} says that step ${command} is done: ${reason}`;
  return `${operator} says it is ${host === undefined ? 'stopped' : `on ${host}`}: ${reason}`;
}

export function returnedText({ ok, error }: InputData<'landfall.migration.returned.v1'>): string {
  if (ok) return 'the call succeeded; both hosts are asked to verify it';
  const told = error?.message === undefined || error.message === '' ? '' : `: ${error.message}`;
  switch (error?.kind) {
    case 'caller-timeout':
      return `the caller gave up${told}`;
    case 'caller-lost':
      return `the caller died and reported nothing${told}`;
    case 'not-started':
      return `the orchestrator never called libvirt${told}`;
    case 'connection':
      return `the connection between caller and libvirtd broke${told}`;
    case 'libvirt':
    case undefined:
      return `the call failed${told}`;
  }
}

export function answeredText(data: InputData<'landfall.host.answered.v1'>): string {
  const { ok, error, unknownWords, domain, strayProcess } = data;
  if (unknownWords !== undefined) return `answered in words that Landfall does not know: ${unknownWords}`;
  if (!ok) return `could not say${error === undefined ? '' : `: ${error}`}`;
  const stray = strayProcess === true ? ', though a QEMU process there carries its UUID' : '';
  if (domain === null) return `absent: not in the listing${stray}`;
  return `${domain.state} (${domain.reason}), ${jobTexts[domain.job]}${stray}`;
}

const jobTexts: Readonly<Record<DomainJob, string>> = {
  none: 'no job',
  outgoing: 'outgoing migration',
  incoming: 'incoming migration',
  other: 'a job other than a migration',
  unknown: 'job unknown',
};

export function holdersText(volume: string, holders: readonly Holder[]): string {
  if (holders.length === 0) return `${volume}: held by no host`;
  return `${volume}: held by ${holders.map(({ host, mode }) => `${host} (${mode})`).join(', ')}`;
}

export function verdictText(verdict: Verdict): string {
  const { row, certainty, error, supersedes, resolution } = verdict;
  const by = resolution === null ? `row ${row}` : `by ${resolution.operator}: ${resolution.reason}`;
  const replaces = supersedes === null ? '' : `; replaces verdict ${supersedes}`;
  return `verdict ${verdict.number}: ${verdictPhrase(verdict)} (${by}, ${certainty})${replaces}${error === null ? '' : `. ${error}`}`;
}

const subject = ({ kind, volume, host }: Pick<Step, 'kind' | 'volume' | 'host'>): string =>
  [kind, ...(volume === null ? [] : [volume]), ...(host === null ? [] : [`on ${host}`])].join(' ');

export function commandText(command: Command): string {
  const again = command.try > 1 ? `, try ${command.try}` : '';
  const token = command.volume === null ? '' : ` with token ${command.token}`;
  return `${subject(command)}: sent${token}${again}`;
}

export function acknowledgedText(
  step: Step | undefined,
  { command, ok, error }: InputData<'landfall.command.acknowledged.v1'>,
): string {
  const what = step === undefined ? command : subject(step);
  return ok ? `${what}: done` : `${what}: refused${error === undefined ? '' : ` (${error})`}`;
}

/** Describes the commands that an observed attempt would have sent. */
export function observedText(steps: readonly Step[]): string {
  return `would follow, were this attempt not only observed: ${steps.map(subject).join(', ')}`;
}

export function settledText({ verdicts, supersededBy }: Attempt): string {
  return verdicts.at(-1)?.contested === true
    ? `ended unsettled: ${supersededBy ?? 'another migration'} took the VM over`
    : 'settled';
}
