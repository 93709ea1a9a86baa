import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type AuditView, commandJson, commandLine } from '../support/command-line.ts';
import { cloudEvent, VM, writeEvents } from '../support/events.ts';
import { scratchFolder } from '../support/landfall.ts';

/** A live migration as CloudEvents: Landfall decides from the answers, then issues the commands one by one. */

type Question = { question: string; host: string };
type Command = { command: string; kind: string; host: string | null };
type Explained = { state: { value: unknown }; entries: { entry: { questions: Question[]; commands: Command[] } }[] };

const MIGRATION = 'job-9';
const site = (host: string) =>
  cloudEvent('host.facts', { host, cluster: 'c1', boot: `boot-${host}`, stream: 'connected' }, { subject: null });
const domain = (state: string, reason: string) => ({ name: 'db-7', state, reason, job: 'none' });

describe('a migration whose call lost its connection', () => {
  it('is completed, and its lock moves to the destination', async () => {
    const folder = scratchFolder();
    const db = join(folder, 'ledger.db');
    const ingest = async (...events: object[]) => {
      const ran = await commandLine(['ingest', writeEvents(join(folder, 'events.ndjson'), ...events), '--db', db]);
      expect(ran).toMatchObject({ code: 0, err: expect.stringContaining('accepted') });
      return ran.out;
    };
    const explained = () => commandJson<Explained>(['explain', MIGRATION, '--db', db]);
    const asked = async () => (await explained()).entries.flatMap(({ entry }) => entry.questions);

    await ingest(
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
    await ingest(
      cloudEvent('host.lifecycle', { host: 'host-a', event: 'Suspended', detail: 'Migrated' }),
      cloudEvent('host.lifecycle', { host: 'host-b', event: 'Resumed', detail: 'Migrated' }),
      cloudEvent('migration.returned', {
        migration: MIGRATION,
        ok: false,
        error: { kind: 'connection', message: 'end of file while reading data' },
      }),
    );

    // The agent answers every question and acknowledges every command, until there are no new ones.
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
      printed += await ingest(
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
    // Invariant 6: release-lock is acknowledged before acquire-lock is sent.
    expect(acknowledged.indexOf('release-lock')).toBeLessThan(acknowledged.indexOf('acquire-lock'));
    const [status] = await commandJson<object[]>(['status', VM, '--db', db]);
    expect(status).toMatchObject({ host: 'host-b', lastHost: 'host-a', power: 'running', migration: null });
    expect((await commandJson<AuditView>(['audit', '--db', db])).findings).toEqual([]);
    expect((await commandLine(['history', 'db-7', '--db', db])).out).toContain('host-b');
  });
});
