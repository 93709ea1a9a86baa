// Adds up what .ci/run left in its folder: tests.json (vitest), check.json (npm run check) and steps.tsv (name, exit code).
// Plain JavaScript, so that it counts on any Node, also where npm ci failed.
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

/** Reads a report with `each`. One that is missing or torn is a failure by itself. */
function report(file, each) {
  try {
    each(JSON.parse(readFileSync(join(folder, file), 'utf8')));
  } catch (error) {
    add(`${file}: ${error.message}`, false);
  }
}

report('tests.json', ({ testResults }) => {
  for (const file of testResults) {
    for (const { fullName, status } of file.assertionResults) {
      const name = `${file.name}: ${fullName}`;
      if (status === 'passed' || status === 'failed') add(name, status === 'passed');
      else results.push({ name, status: 'skipped' });
    }
    const isFailureListed = file.assertionResults.some(({ status }) => status === 'failed');
    if (file.status === 'failed' && !isFailureListed) add(`${file.name} (as a whole)`, false);
  }
});

report('check.json', (checks) => {
  for (const { name, passed } of checks) add(`check ${name}`, passed);
});

// A step with a report of its own counts by that, and once more only where it failed without saying so.
const REPORTED = ['tests', 'check'];
const isFailureKnown = results.some(({ status }) => status === 'failed');
for (const line of readFileSync(join(folder, 'steps.tsv'), 'utf8').split('\n').filter(Boolean)) {
  const [name, code] = line.split('\t');
  if (!REPORTED.includes(name)) add(`step ${name}`, code === '0');
  else if (code !== '0' && !isFailureKnown) add(`step ${name} (exit code ${code})`, false);
}

for (const status of ['skipped', 'failed']) {
  for (const result of results.filter((each) => each.status === status)) console.log(`${status}: ${result.name}`);
}
/** @param {string} status */
const count = (status) => results.filter((result) => result.status === status).length;
const skipped = count('skipped') > 0 ? `, ${count('skipped')} skipped` : '';
console.log(`${count('passed')} passed, ${count('failed')} failed${skipped}`);
process.exit(count('failed') > 0 ? 1 : 0);
