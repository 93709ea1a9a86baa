// Starts the lab with one guest on host-a, prints what a person can type, and removes the lab at Ctrl-C. See docs/lab.md.
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { LabError } from '../test/lab/errors.ts';
import type { Guest } from '../test/lab/guest.ts';
import { type Lab, startLab } from '../test/lab/lab.ts';

const HELP = `npm run lab [-- --hosts 3] [-- --no-virtlockd]
Starts two (or three) libvirt hosts in namespaces of this machine, with one guest on host-a. Ctrl-C removes them.`;

function instructions(lab: Lab, guest: Guest): string {
  const [a, b] = [lab.host('host-a'), lab.host('host-b')];
  const hosts = lab.hosts.map(({ name, uri, peerUri }) => `  ${name}  ${uri}\n          among the hosts: ${peerUri}`);
  return `The lab runs in ${lab.path}. Its hosts:
${hosts.join('\n')}

The guest ${guest.name} (${guest.uuid}) runs on host-a. Examples for another terminal:
  virsh -c '${a.uri}' list --all
  virsh -c '${b.uri}' event --all --loop --timestamp
  virsh -c '${a.uri}' migrate --live --p2p --unsafe --bandwidth 1 \\
    --migrateuri tcp://${b.address} ${guest.name} ${b.peerUri}
  kill -KILL "$(pgrep -f '^virsh.* migrate')"    # kills the caller; the migration goes on
  kill -KILL ${a.libvirtd.pid ?? ''}    # kills the libvirtd of host-a
  nsenter -n -m -u -t ${a.virtlockd?.pid ?? a.libvirtd.pid ?? ''} bash    # a shell on host-a

Logs: ${lab.path}/host-a/log. Press Ctrl-C to stop the lab and remove everything.`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      hosts: { type: 'string', default: '2' },
      'no-virtlockd': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(HELP);
  if (values.hosts !== '2' && values.hosts !== '3')
    throw new Error(`--hosts ${values.hosts}: must be 2 or 3.\n${HELP}`);
  const stopped = Promise.race((['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((signal) => once(process, signal)));
  const lab = await startLab({ hosts: values.hosts === '2' ? 2 : 3, virtlockd: !values['no-virtlockd'] });
  try {
    const guest = lab.guest({ name: 'demo' });
    const started = lab.host('host-a').startGuest(guest);
    if ((await Promise.race([started.then(() => 'started'), stopped])) === 'started') {
      console.log(instructions(lab, guest));
      // A pending promise does not keep Node.js alive, and the lab's processes are detached.
      const alive = setInterval(() => undefined, 60_000);
      await stopped;
      clearInterval(alive);
    }
  } finally {
    await lab.stop();
    console.log('The lab is removed.');
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof LabError ? error.message : error);
  process.exitCode = 1;
}
// A guest that was still starting is waited for by a timer.
process.exit();
