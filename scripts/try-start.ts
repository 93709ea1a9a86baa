// Starts the service as a newcomer does, looks at the verdicts it shows, and stops it: `npm start` has to work in a fresh clone.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SECONDS_MAX = 60;
const folder = mkdtempSync(join(tmpdir(), 'landfall-start-'));
const child = spawn('npm', ['start', '--silent', '--', '--port', '0', '--db', join(folder, 'ledger.db')], {
  stdio: ['ignore', 'pipe', 'inherit'],
  signal: AbortSignal.timeout(SECONDS_MAX * 1000),
});
const closed = once(child, 'close');
let text = '';
for await (const chunk of child.stdout) {
  process.stdout.write(chunk);
  text += String(chunk);
  if (text.includes('Ctrl-C')) break;
}
const url = /listens on (\S+),/.exec(text)?.[1] ?? '';
const { items } = (await (await fetch(`${url}/v1/migrations?ledger=demo`)).json()) as { items: { settled: boolean }[] };
child.kill('SIGTERM');
const [code] = await closed;
rmSync(folder, { recursive: true, force: true });
console.log(`${items.length} recorded migrations, ${items.filter(({ settled }) => settled).length} settled; it ended with ${code}`);
process.exitCode = items.length > 0 && code === 0 ? 0 : 1;
