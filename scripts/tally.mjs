// Counts the results of .ci/run: steps.tsv lists the steps, and NAME.json is the report of the step NAME.
// Plain JavaScript, so that the count also works with an older Node or after a failed npm ci.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

process.on('uncaughtException', (error) => {
  console.error(error);
  process.exit(2);
});

const folder = process.argv[2] ?? '.ci/out';

/** @type {{name: string, status: 'passed' | 'failed' | 'skipped'}[]} */
const results = [];

/** @param {string} name @param {boolean} passed */
const add = (name, passed) => results.push({ name, status: passed ? 'passed' : 'failed' });

/** Reads a report with `each`. A missing or truncated report is a failure by itself. */
function report(file, each) {
  try {
    each(JSON.parse(readFileSync(join(folder, file), 'utf8')));
  } catch (error) {
    add(`${file}: ${error.message}`, false);
  }
}

/** Each test of a vitest report; a file that failed as a whole counts as one more. */
function addTests({ testResults }) {
  for (const file of testResults) {
    for (const { fullName, status } of file.assertionResults) {
      const name = `${file.name}: ${fullName}`;
      if (status === 'passed' || status === 'failed') add(name, status === 'passed');
      else results.push({ name, status: 'skipped' });
    }
    const isFailureListed = file.assertionResults.some(({ status }) => status === 'failed');
    if (file.status === 'failed' && !isFailureListed) add(`${file.name} (as a whole)`, false);
  }
}

/** Each check of `npm run check`. */
function addChecks(checks) {
  for (const { name, passed } of checks) add(`check ${name}`, passed);
}

const REPORTS = { tests: addTests, checks: addChecks };

const failed = () => results.filter(({ status }) => status === 'failed').length;

// A step with a report counts by its report, and once more if it failed although its report lists no failure.
for (const line of readFileSync(join(folder, 'steps.tsv'), 'utf8').split('\n').filter(Boolean)) {
  const [name, code, kind] = line.split('\t');
  const failedBefore = failed();
  const each = REPORTS[kind];
  if (each === undefined) add(`step ${name}`, code === '0');
  else {
    report(`${name}.json`, each);
    if (code !== '0' && failed() === failedBefore) add(`step ${name} (exit code ${code})`, false);
  }
}

for (const status of ['skipped', 'failed']) {
  for (const result of results.filter((each) => each.status === status)) console.log(`${status}: ${result.name}`);
}
/** @param {string} status */
const count = (status) => results.filter((result) => result.status === status).length;
const skipped = count('skipped') > 0 ? `, ${count('skipped')} skipped` : '';
console.log(`${count('passed')} passed, ${count('failed')} failed${skipped}`);
process.exit(count('failed') > 0 ? 1 : 0);
