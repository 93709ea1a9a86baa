/** Moments as people and scripts write them. */

const ISO = /^(\d{4}-\d{2}-(\d{2}))(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(Z|[+-]\d{2}:\d{2})?)?$/i;
/** The last moment that a Date can name. */
const MS_MAX = 8.64e15;

/** ISO 8601, in UTC where it names no zone, or milliseconds since the epoch; null where it is neither. */
export function parseMoment(text: string): number | null {
  const ms = /^\d{12,16}$/.test(text) ? Number(text) : parseIso(text.trim());
  return Number.isNaN(ms) || ms > MS_MAX ? null : ms;
}

function parseIso(text: string): number {
  const [, date, day, time = '00:00', zone = 'Z'] = ISO.exec(text) ?? [];
  if (date === undefined) return Number.NaN;
  // Date takes 30 February for 2 March.
  const isDay = new Date(`${date}T00:00Z`).getUTCDate() === Number(day);
  return isDay ? Date.parse(`${date}T${time}${zone}`) : Number.NaN;
}
