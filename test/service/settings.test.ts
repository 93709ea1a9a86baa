import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readSettings, variableOf } from '../../service/settings.ts';
import { scratchFolder } from '../support/landfall.ts';

function file(value: unknown): string {
  const path = join(scratchFolder(), 'landfall.json');
  writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value));
  return path;
}

it('prefers flags, then the environment, then the file, then defaults', () => {
  const sources = {
    flags: { port: '1' },
    env: { LANDFALL_PORT: '2', LANDFALL_HOST: '::1', LANDFALL_RECHECK_INTERVAL_SECONDS: '4' },
    file: file({ port: 3, host: 'localhost', logLevel: 'warn', askOriginErrorCodes: ['A'] }),
  };
  const expected = {
    port: 1,
    host: '::1',
    logLevel: 'warn',
    recheckIntervalSeconds: 4,
    askOriginErrorCodes: ['A'],
    shutdownSeconds: 10,
  };
  expect(readSettings(sources)).toMatchObject(expected);
});

it.each([
  [{ flags: { port: 'x' }, env: {} }, /^--port: port: /],
  [{ flags: { tlsCert: 'a' }, env: {} }, /tlsCert and tlsKey/],
  [{ flags: {}, env: { LANDFALL_PORT: 'tcp://10.0.0.1:7070' } }, /^environment LANDFALL_PORT: port: /],
  [{ flags: {}, env: { LANDFALL_RECORDINGS: 'maybe' } }, /^environment LANDFALL_RECORDINGS: recordings: /],
  [{ flags: { agentSilentSeconds: '1e-9' }, env: {} }, /^--agent-silent-seconds: agentSilentSeconds: .*>=0.1/],
  [{ flags: { shutdownSeconds: '1.00001' }, env: {} }, /^--shutdown-seconds: shutdownSeconds: .*0\.001/],
  [{ flags: { recheckIntervalSeconds: 0.001 }, env: {} }, /recheckIntervalSeconds: .*>=0.01/],
  [{ flags: { colour: 'red' }, env: {} }, /^--colour: colour: no such setting/],
])('names the source and the invalid setting: %j', (sources, message) => {
  expect(() => readSettings(sources)).toThrow(message);
});

it.each([
  ['{"port":"7070"}', /port: /],
  ['{"prot":1}', /prot: no such setting/],
  ['[1]', /is not a JSON object/],
  ['{', /landfall\.json: /],
])('names the file with an invalid setting: %s', (text, message) => {
  const path = file(text);
  expect(() => readSettings({ flags: {}, env: {}, file: path })).toThrow(message);
  expect(() => readSettings({ flags: {}, env: {}, file: path })).toThrow(path);
});

it('derives an environment variable from each setting', () => {
  expect(variableOf('tlsClientCa')).toBe('LANDFALL_TLS_CLIENT_CA');
});
