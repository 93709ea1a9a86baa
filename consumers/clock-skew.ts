/**
 * Counts event times that differ much from the local clock. An event's `time` decides nothing, so the event is
 * accepted; the report warns of a wrong clock once per file.
 */

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const AHEAD_MAX_MS = HOUR_MS;
const BEHIND_MAX_MS = 365 * DAY_MS;

export class ClockSkew {
  #first: string | null = null;
  #count = 0;

  observe(time: string | undefined, place: string, now: number): void {
    if (time === undefined) return;
    const ahead = Date.parse(time) - now;
    if (ahead <= AHEAD_MAX_MS && ahead >= -BEHIND_MAX_MS) return;
    this.#count += 1;
    this.#first ??= `time ${time} (${place}) is ${spanText(Math.abs(ahead))} ${ahead > 0 ? 'ahead of' : 'behind'} this machine's clock`;
  }

  report(print: (text: string) => void): void {
    if (this.#first === null) return;
    const more = this.#count === 1 ? '' : `, and ${this.#count - 1} more like it`;
    print(`${this.#first}${more}. Decisions do not use event times; check the producer's clock.`);
  }
}

function spanText(ms: number): string {
  if (ms >= 2 * 365 * DAY_MS) return `${Math.round(ms / (365.25 * DAY_MS))} years`;
  return ms >= 2 * DAY_MS ? `${Math.round(ms / DAY_MS)} days` : `${Math.round(ms / HOUR_MS)} hours`;
}
