// Tests `npm start` in a fresh clone: starts the service, reads its recorded verdicts, and stops the service.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SECONDS_MAX = 60;
const folder = mkdtempSync(join(tmpdir(), 'landfall-start-'));
const child = spawn('npm', ['start', '--silent', '--', '--port', '0', '--db', join(folder, 'ledger.db')], {
  stdio: ['ignore', 'pipe', 'inherit'],
  detached: true,
});
const ended = once(child, 'exit');
// Ctrl-C in a terminal sends the signal to the whole process group, npm included.
const stop = () => process.kill(-(child.pid ?? 0), 'SIGINT');
const late = setTimeout(stop, SECONDS_MAX * 1000);
let text = '';
for await (const chunk of child.stdout) {
  process.stdout.write(chunk);
  text += String(chunk);
  if (text.includes('Ctrl-C')) break;
}
const url = /listens on (\S+),/.exec(text)?.[1] ?? '';
const { items } = (await (await fetch(`${url}/v1/migrations?ledger=demo`)).json()) as { items: { settled: boolean }[] };
clearTimeout(late);
stop();
await ended;
rmSync(folder, { recursive: true, force: true });
console.log(`${items.length} recorded migrations, ${items.filter(({ settled }) => settled).length} settled`);
// The exit code of npm after a signal varies between npm versions, so it is ignored.
process.exit(items.length > 0 ? 0 : 1);
