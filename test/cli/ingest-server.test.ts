import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { declared, serve, started, VM } from '../service/harness.ts';
import { commandLine } from '../support/command-line.ts';
import { recording, scratchFolder } from '../support/landfall.ts';

describe('landfall ingest --server', () => {
  it('sends CloudEvents to a running service and prints each outcome', async () => {
    const one = await serve();
    const { url } = one;
    const folder = scratchFolder();
    const file = join(folder, 'events.ndjson');
    const letters = join(folder, 'letters.ndjson');
    const [first, second] = [started('m-1'), started('m-1')];
    const lines = [declared(), first, first, '{"torn', second].map((each) =>
      typeof each === 'string' ? each : JSON.stringify(each),
    );
    writeFileSync(file, `${lines.join('\n')}\n`);
    const ended = await commandLine(['ingest', '--server', url, file]);
    expect([ended.code, ended.err]).toEqual([2, expect.stringContaining('acknowledged before the error: 3')]);
    const flags = ['--server', url, '--skip-bad', '--dead-letters', letters];
    const went = await commandLine(['ingest', ...flags, file]);
    expect(went.err).toContain('5 lines read: 3 already known, 1 refused, 1 unreadable');
    expect(went.err).toContain(`${file}:5: `);
    expect(went.code).toBe(0);
    const kept = readFileSync(letters, 'utf8').trim().split('\n');
    expect(kept.map((line) => (JSON.parse(line) as { code: string }).code)).toEqual(['BAD_JSON', 'ATTEMPT_EXISTS']);
    expect((await one.get(`/v1/vms/${VM}`)).body['host']).toBe('host-a');
    const played = await commandLine(['ingest', '--server', url, recording('abort')]);
    expect([played.code, played.err]).toEqual([2, expect.stringContaining('is a recording')]);
  });
});
