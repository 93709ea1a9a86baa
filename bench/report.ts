/** What a benchmark measured, and how it is printed. A figure stands beside its floor, measured in the same run. */

export type Figure = {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The same without what is measured: what the machine could do at best. */
  readonly floor?: { readonly name: string; readonly value: number };
  /** What the project asks of itself. */
  readonly goal?: { readonly atLeast: number } | { readonly below: number };
  readonly note?: string;
};

export type Result = {
  readonly benchmark: string;
  /** What was done, in a sentence or two. */
  readonly workload: string;
  readonly figures: readonly Figure[];
  readonly notMeasured: readonly string[];
};

/** One benchmark: run in a process of its own, so that none inherits another's heap. */
export type Benchmark = { readonly summary: string; run(options: Options): Promise<Result> };
export type Options = {
  /** Where ledgers are written. */
  readonly folder: string;
  /** The sizes that the project's goals name, where the default is smaller. */
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
