import { type Configuration, defaultConfiguration } from '../../events/configuration.ts';
import type { Style } from './style.ts';
import { type Cell, cell, table } from './table.ts';
import { clean } from './text.ts';
import { duration } from './time.ts';

/** Formats `landfall config get`: each setting with its value, default and meaning. */

export type Settings = { readonly [K in keyof Configuration]?: Configuration[K] | undefined };

const meanings: Readonly<Record<keyof Configuration, string>> = {
  recheckIntervalSeconds: 'how often both hosts are asked again while there is no verdict',
  recheckTimeoutSeconds: 'the time of the last round after the call returned',
  questionLimitSeconds: 'the time without an answer after which a host is unknown',
  commandRetrySeconds: 'the first wait before a command is sent again; each wait doubles',
  askOriginErrorCodes: 'error codes after which a rollback asks the origin again',
  dedupHorizonSeconds: 'how long a consumed input is remembered',
  dedupHorizonCount: 'how many consumed inputs are remembered at most',
};

const columns = [
  { header: 'SETTING' },
  { header: 'VALUE', align: 'right' },
  { header: '' },
  { header: 'DEFAULT', align: 'right' },
  { header: 'MEANING', flex: true },
] as const;

export function configurationTable(settings: Settings, style: Style): string {
  const keys = (Object.keys(meanings) as (keyof Configuration)[]).filter((key) => settings[key] !== undefined);
  return table(
    columns,
    keys.map((key) => row(key, settings[key])),
    style,
  );
}

function row(key: keyof Configuration, value: Settings[keyof Configuration]): Cell[] {
  const [now, usual] = [valueText(value), valueText(defaultConfiguration[key])];
  const inWords = key.endsWith('Seconds') && typeof value === 'number' && value >= 60 ? duration(value * 1000) : '';
  return [
    key,
    now === usual ? now : cell(now, 'accent'),
    cell(inWords, 'dim'),
    cell(usual, 'dim'),
    cell(meanings[key], 'dim'),
  ];
}

/** Formats a value as `config set` accepts it. */
function valueText(value: Settings[keyof Configuration]): string {
  if (value === undefined) return '–';
  return typeof value === 'number' ? String(value) : value.length === 0 ? 'none' : value.join(',');
}

/** Names the open attempts that a change of the settings does not reach. */
export function keepingText(attempts: readonly string[]): string {
  const shown = attempts.slice(0, 10).map(clean).join(', ');
  const more = attempts.length > 10 ? ` and ${attempts.length - 10} more` : '';
  return `These open attempts keep the earlier settings, because their calls have returned: ${shown}${more}.`;
}
