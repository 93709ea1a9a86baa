import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './programs.ts';
import type { Properties } from './properties.ts';

/** The kafkajs options for the listener with TLS and passwords. */
export type Security = {
  /** `cert` and `key` belong to a client, for brokers that require one (`listener.name.secure.ssl.client.auth=required`). */
  readonly ssl: { readonly ca: string; readonly cert: string; readonly key: string };
  readonly scram: { readonly mechanism: 'scram-sha-512'; readonly username: string; readonly password: string };
  readonly plain: { readonly mechanism: 'plain'; readonly username: string; readonly password: string };
  /** The paths of the PEM files with the certificates and the key. */
  readonly files: { readonly ca: string; readonly cert: string; readonly key: string };
};

const SCRAM_USER = { username: 'landfall', password: 'scram-secret' };
const PLAIN_USER = { username: 'landfall-plain', password: 'plain-secret' };
const SANS = 'subjectAltName=IP:127.0.0.1,DNS:localhost\n';
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
const LIFE = ['-days', '2'];

/** Creates a certificate authority and certificates for the brokers and for one client. */
export async function makeSecurity(folder: string): Promise<Security> {
  const authority = ['-subj', '/CN=landfall test authority', '-keyout', 'ca.key', '-out', 'ca.pem'];
  await run('openssl', ['req', '-x509', ...NEW_KEY, ...LIFE, ...authority], folder);
  writeFileSync(join(folder, 'sans'), SANS);
  for (const name of ['broker', 'client']) {
    const request = ['-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`];
    await run('openssl', ['req', ...NEW_KEY, ...request], folder);
    const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'sans'];
    await run('openssl', ['x509', '-req', '-in', `${name}.csr`, ...signing, ...LIFE, '-out', `${name}.pem`], folder);
  }
  const text = (name: string) => readFileSync(join(folder, name), 'utf8');
  writeFileSync(join(folder, 'broker-store.pem'), text('broker.key') + text('broker.pem'));
  return {
    ssl: { ca: text('ca.pem'), cert: text('client.pem'), key: text('client.key') },
    scram: { mechanism: 'scram-sha-512', ...SCRAM_USER },
    plain: { mechanism: 'plain', ...PLAIN_USER },
    files: { ca: join(folder, 'ca.pem'), cert: join(folder, 'client.pem'), key: join(folder, 'client.key') },
  };
}

/** Returns the settings of a broker's listener SECURE. */
export function securityProperties(folder: string): Properties {
  const modules = 'org.apache.kafka.common.security';
  const users = `user_${PLAIN_USER.username}="${PLAIN_USER.password}"`;
  const settings = {
    'sasl.enabled.mechanisms': 'SCRAM-SHA-512,PLAIN',
    'scram-sha-512.sasl.jaas.config': `${modules}.scram.ScramLoginModule required;`,
    'plain.sasl.jaas.config': `${modules}.plain.PlainLoginModule required ${users};`,
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': join(folder, 'broker-store.pem'),
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': join(folder, 'ca.pem'),
  };
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [`listener.name.secure.${name}`, value]));
}

/** The options that format the storage with the SCRAM user, so that the user exists at the first start. */
export const SCRAM_FORMAT = [
  '--add-scram',
  `SCRAM-SHA-512=[name=${SCRAM_USER.username},password=${SCRAM_USER.password}]`,
] as const;
