import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type AuditView, commandJson, commandLine } from '../support/command-line.ts';
import { cloudEvent, ndjson, VM } from '../support/events.ts';
import { landfall, scratchFolder } from '../support/landfall.ts';

/** A live migration told as CloudEvents through `ingest -`: judged from answers, then carried out command by command. */

type Question = { question: string; host: string };
type Command = { command: string; kind: string; host: string | null };
type Explained = { state: { value: unknown }; entries: { entry: { questions: Question[]; commands: Command[] } }[] };

const MIGRATION = 'job-9';
const site = (host: string) =>
  cloudEvent('host.facts', { host, cluster: 'c1', boot: `boot-${host}`, stream: 'connected' }, { subject: null });
const domain = (state: string, reason: string) => ({ name: 'db-7', state, reason, job: 'none' });

it('a call that lost its connection after the guest had moved: completed, and the lock follows', {
  timeout: 90_000,
}, async () => {
  const db = join(scratchFolder(), 'ledger.db');
  const tell = async (...events: object[]) => {
    const ran = await landfall(['ingest', '-', '--db', db], { stdin: ndjson(...events) });
    expect(ran).toMatchObject({ code: 0, stderr: expect.stringContaining('taken in') });
    return ran.stdout;
  };
  const explained = () => commandJson<Explained>(['explain', MIGRATION, '--db', db]);
  const asked = async () => (await explained()).entries.flatMap(({ entry }) => entry.questions);

  await tell(
    site('host-a'),
    site('host-b'),
    cloudEvent('vm.declared', { name: 'db-7', host: 'host-a', power: 'running', volumes: [{ volume: 'pool/db-7' }] }),
    cloudEvent('volume.holders', { volume: 'pool/db-7', holders: [{ host: 'host-a', mode: 'exclusive' }] }),
    cloudEvent('migration.started', { migration: MIGRATION, source: 'host-a', destination: 'host-b' }),
  );
  expect((await asked()).map(({ question, host }) => [question, host])).toEqual([
    [`${MIGRATION}/q1`, 'host-a'],
    [`${MIGRATION}/q2`, 'host-b'],
  ]);
  await tell(
    cloudEvent('host.lifecycle', { host: 'host-a', event: 'Suspended', detail: 'Migrated' }),
    cloudEvent('host.lifecycle', { host: 'host-b', event: 'Resumed', detail: 'Migrated' }),
    cloudEvent('migration.returned', {
      migration: MIGRATION,
      ok: false,
      error: { kind: 'connection', message: 'end of file while reading data' },
    }),
  );

  // An agent: it answers what it is asked, until nothing is asked any more, and does what it is told.
  const done = new Set<string>();
  const acknowledged: string[] = [];
  let printed = '';
  for (let round = 0; round < 12; round += 1) {
    const { entries } = await explained();
    const questions = entries.flatMap(({ entry }) => entry.questions).filter(({ question }) => !done.has(question));
    const commands = entries.flatMap(({ entry }) => entry.commands).filter(({ command }) => !done.has(command));
    if (questions.length + commands.length === 0) break;
    for (const { question } of questions) done.add(question);
    for (const { command, kind } of commands) {
      if (!done.has(command)) acknowledged.push(kind);
      done.add(command);
    }
    printed += await tell(
      ...questions.map(({ question, host }) =>
        cloudEvent('host.answered', {
          question,
          host,
          ok: true,
          domain: host === 'host-b' ? domain('running', 'migrated') : null,
          boot: `boot-${host}`,
        }),
      ),
      ...commands.map(({ command }) => cloudEvent('command.acknowledged', { command, ok: true })),
    );
  }
  expect(printed).toMatch(/✔ {2}job-9 .*completed on host-b/);
  const [attempt] = await commandJson<object[]>(['migrations', '--db', db]);
  expect(attempt).toMatchObject({
    state: 'Completed',
    settled: true,
    contested: false,
    verdict: { host: 'host-b', certainty: 'proven' },
  });
  expect(acknowledged).toContain('release-lock');
  // Invariant 6: the release is acknowledged before the acquire is sent.
  expect(acknowledged.indexOf('release-lock')).toBeLessThan(acknowledged.indexOf('acquire-lock'));
  const [status] = await commandJson<object[]>(['status', VM, '--db', db]);
  expect(status).toMatchObject({ host: 'host-b', lastHost: 'host-a', power: 'running', migration: null });
  expect((await commandJson<AuditView>(['audit', '--db', db])).findings).toEqual([]);
  expect((await commandLine(['history', 'db-7', '--db', db])).out).toContain('host-b');
});
