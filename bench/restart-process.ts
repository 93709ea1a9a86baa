/** The process that the restart benchmark starts, times and kills. */

export type Ready = {
  readonly totalMs: number;
  readonly modulesMs: number;
  readonly claimMs: number;
  readonly partitionMs: number;
  readonly openCount: number;
  readonly entries: number;
  readonly rssMib: number;
};

const NOTHING: Ready = { totalMs: 0, modulesMs: 0, claimMs: 0, partitionMs: 0, openCount: 0, entries: 0, rssMib: 0 };

const [task, file = '', count = '0'] = process.argv.slice(2);
switch (task) {
  case 'empty':
    report(NOTHING);
    break;
  case 'ready':
    report(await becomeReady());
    break;
  case 'leave-open':
    await leaveOpen(Number(count));
    report(NOTHING);
    break;
  default:
    throw new Error(`unknown task ${task}`);
}

/** The parent process kills this process when it receives the message. */
function report(ready: Ready): void {
  process.send?.(ready);
}

async function becomeReady(): Promise<Ready> {
  const { Driver } = await import('../engine/driver.ts');
  const { SqliteLedger } = await import('../log/sqlite/ledger.ts');
  const { MACHINE_VERSION } = await import('../machines/version.ts');
  const { directory } = await import('../projections/directory.ts');
  const { PROJECTIONS } = await import('./landfall.ts');
  // performance.now() counts from the start of the process.
  const modulesMs = performance.now();
  const ledger = await SqliteLedger.open({
    file,
    mode: 'write',
    projections: [PROJECTIONS],
    machineVersion: MACHINE_VERSION,
  });
  const owner = await ledger.claim(0);
  const claimedMs = performance.now();
  const { partition } = new Driver(owner, directory(ledger.readConnection()));
  partition.nextDueAt('wall');
  return {
    totalMs: 0,
    modulesMs,
    claimMs: claimedMs - modulesMs,
    partitionMs: performance.now() - claimedMs,
    openCount: partition.openCount,
    entries: owner.claimedHead.sequence,
    rssMib: process.memoryUsage.rss() / 2 ** 20,
  };
}

async function leaveOpen(attempts: number): Promise<void> {
  const { open, take } = await import('./landfall.ts');
  const { failed, newAttempt, started } = await import('./workload.ts');
  const { driver } = await open(file.replace(/\/[^/]*$/, ''), 'restart');
  for (let left = attempts; left > 0; left -= 1024) {
    for (const attempt of Array.from({ length: Math.min(1024, left) }, newAttempt)) {
      take(driver, started(attempt), Date.now(), 'wall');
      take(driver, failed(attempt), Date.now(), 'wall');
    }
    await driver.flush();
  }
}
