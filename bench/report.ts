/** Defines the result of a benchmark and prints it. A figure is printed beside its floor from the same run. */

export type Figure = {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The best value that the machine reaches without Landfall's own work. */
  readonly floor?: { readonly name: string; readonly value: number };
  /** The goal of the project for this figure. */
  readonly goal?: { readonly atLeast: number } | { readonly below: number };
  readonly note?: string;
};

export type Result = {
  readonly benchmark: string;
  /** Describes the measured work in one or two sentences. */
  readonly workload: string;
  readonly figures: readonly Figure[];
  readonly notMeasured: readonly string[];
};

/** One benchmark. Each benchmark runs in its own process, so it starts with an empty heap. */
export type Benchmark = { readonly summary: string; run(options: Options): Promise<Result> };
export type Options = {
  /** The folder for the ledgers. */
  readonly folder: string;
  /** Use the sizes named in the project's goals; the default sizes are smaller. */
  readonly full: boolean;
};

const HEADINGS = ['figure', 'value', 'floor', 'of the floor', 'goal', ''];

export function resultText({ benchmark, workload, figures, notMeasured }: Result): string {
  const rows = figures.map(rowOf);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (row: readonly string[]) =>
    `  ${row.map((cell, column) => (column === 0 || column > 3 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ')}`.trimEnd();
  return [
    `${benchmark}: ${workload}`,
    line(HEADINGS),
    ...rows.map(line),
    ...notMeasured.map((words) => `  not measured: ${words}`),
  ].join('\n');
}

function rowOf({ name, value, unit, floor, goal, note }: Figure): string[] {
  const share = floor === undefined ? '' : ratio(value, floor.value);
  const floorText = floor === undefined ? '' : `${digits(floor.value)} (${floor.name})`;
  return [name, `${digits(value)} ${unit}`, floorText, share, goalText(value, goal), note ?? ''];
}

function ratio(value: number, floor: number): string {
  const times = value / floor;
  return times > 2 ? `${times.toFixed(1)}×` : `${Math.round(times * 100)} %`;
}

function goalText(value: number, goal: Figure['goal']): string {
  if (goal === undefined) return '';
  const [met, words] =
    'below' in goal
      ? [value < goal.below, `< ${digits(goal.below)}`]
      : [value >= goal.atLeast, `≥ ${digits(goal.atLeast)}`];
  return `${words} ${met ? 'met' : 'MISSED'}`;
}

function digits(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
