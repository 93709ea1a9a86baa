import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { declared, serve, VM } from '../../service/harness.ts';
import { landfall, scratchFolder } from '../../support/landfall.ts';
import { canStartClusters, type Cluster, startCluster, uniqueName } from './brokers/index.ts';
import { eventually } from './instances.ts';

/** The brokers accept only TLS connections with a client certificate and a password. */

describe.skipIf(!(await canStartClusters()))('Brokers with TLS and SASL', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({
      withSecurity: true,
      properties: { 'listener.name.secure.ssl.client.auth': 'required' },
    });
    return () => cluster.stop();
  });

  type Access = Record<string, string>;
  const prefix = uniqueName('secure');
  /** The settings for SCRAM read the password from a file; the settings for PLAIN contain the password. */
  const accesses = (): { scram: Access; plain: Access } => {
    const { files, scram, plain } = cluster.security;
    const passwordFile = join(scratchFolder(), 'password');
    writeFileSync(passwordFile, `${scram.password}\n`);
    const certificates = { kafkaCa: files.ca, kafkaCert: files.cert, kafkaKey: files.key };
    const brokers = { kafkaBrokers: cluster.secure.join(','), kafkaPrefix: prefix };
    return {
      scram: {
        ...brokers,
        ...certificates,
        kafkaSasl: scram.mechanism,
        kafkaUsername: scram.username,
        kafkaPasswordFile: passwordFile,
      },
      plain: {
        ...brokers,
        ...certificates,
        kafkaSasl: plain.mechanism,
        kafkaUsername: plain.username,
        kafkaPassword: plain.password,
      },
    };
  };
  const init = (access: Access) => {
    const settings = Object.entries(access).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
    const size = ['--partitions', '1', '--replication-factor', '1', '--min-insync-replicas', '1'];
    return landfall(['kafka', 'init', ...size, ...settings]);
  };

  it('decide inputs over SCRAM and over PLAIN', async () => {
    const { scram, plain } = accesses();
    const made = await init(scram);
    expect([made.code, made.stderr]).toEqual([0, '']);
    for (const [index, access] of [scram, plain].entries()) {
      const folder = scratchFolder();
      const one = await serve({ ...access, kafkaInstance: 'one', kafkaSessionSeconds: 6 }, folder);
      await eventually(async () => ((await one.get('/readyz')).status === 200 ? true : null));
      const { status } = await one.post(index === 0 ? declared(VM) : { ...declared(VM), id: 'plain' });
      expect(status).toBe(202);
      expect((await one.get(`/v1/vms/${VM}`)).body['host']).toBe('host-a');
      await one.stop();
    }
  });

  it.each<[string, (access: Access) => Access, RegExp]>([
    ['a wrong password', (access) => ({ ...access, kafkaPassword: 'wrong' }), /KAFKA_DENIED[\s\S]*kafkaSasl/],
    [
      'a certificate of an unknown authority',
      (access) => ({ ...access, kafkaCa: access['kafkaCert'] ?? '' }),
      /KAFKA_TLS[\s\S]*certificate/,
    ],
    ['no client certificate', ({ kafkaCert: _cert, kafkaKey: _key, ...access }) => access, /KAFKA_TLS[\s\S]*kafkaCert/],
    ['a connection without TLS', (access) => withoutTls(access), /KAFKA_FAILED/],
    [
      'a certificate file that does not exist',
      (access) => ({ ...access, kafkaCa: '/none.pem' }),
      /BAD_SETTING[\s\S]*kafkaCa/,
    ],
  ])('refuse %s with a fault within seconds', async (_what, changed, words) => {
    const began = Date.now();
    const { code, stderr } = await init(changed(accesses().plain));
    expect([code, stderr]).toEqual([2, expect.stringMatching(words)]);
    expect(stderr).not.toContain('plain-secret');
    expect(Date.now() - began).toBeLessThan(60_000);
  });
});

function withoutTls({ kafkaCa: _ca, kafkaCert: _cert, kafkaKey: _key, ...access }: Record<string, string>) {
  return access;
}
