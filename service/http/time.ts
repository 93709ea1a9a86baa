/** A moment as people and scripts write it: ISO 8601, or milliseconds since the epoch; null where it is neither. */
export function parseTime(text: string): number | null {
  const ms = /^\d{12,15}$/.test(text) ? Number(text) : Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}
