/** Parses times that people and scripts write. */

const ISO = /^(\d{4}-\d{2}-(\d{2}))(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(Z|[+-]\d{2}:\d{2})?)?$/i;
/** The latest time that a Date can represent, in milliseconds since the epoch. */
const MS_MAX = 8.64e15;

/** Parses ISO 8601 (UTC if no zone is given) or milliseconds since the epoch. Returns null for any other text. */
export function parseMoment(text: string): number | null {
  const ms = /^\d{12,16}$/.test(text) ? Number(text) : parseIso(text.trim());
  return Number.isNaN(ms) || ms > MS_MAX ? null : ms;
}

function parseIso(text: string): number {
  const [, date, day, time = '00:00', zone = 'Z'] = ISO.exec(text) ?? [];
  if (date === undefined) return Number.NaN;
  // Date.parse reads 30 February as 2 March, so the day is compared with the input.
  const isDay = new Date(`${date}T00:00Z`).getUTCDate() === Number(day);
  return isDay ? Date.parse(`${date}T${time}${zone}`) : Number.NaN;
}
