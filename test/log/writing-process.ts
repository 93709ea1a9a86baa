import { SqliteLedger } from '../../log/sqlite/ledger.ts';
import { entriesOf } from '../support/entries.ts';

/** Commits to the ledger file in its argument until it is killed, and prints each acknowledged sequence. */
const ledger = await SqliteLedger.open({ file: process.argv[2] ?? '', mode: 'write', machineVersion: 'test' });
const owner = await ledger.claim(0);
console.log('open');
for (let round = 0; ; round += 1) {
  const commits = Array.from({ length: 8 }, async (_, nth) => {
    const { sequence } = await owner.commit({
      entries: entriesOf(`r${round}-${nth}`, 5),
      inputPositions: [{ stream: 's', offset: round }],
    });
    console.log(String(sequence));
  });
  await Promise.all(commits);
}
