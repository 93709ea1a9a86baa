import { readFileSync } from 'node:fs';
import { Fault, messageOf } from '../../events/fault.ts';
import type { TlsOptions } from '../app.ts';
import type { Settings } from '../settings.ts';
import { Credentials } from './credentials.ts';

/** The credentials and the TLS options that the settings name. */

/**
 * Returns null when the service runs without credentials. @throws Fault UNGUARDED when a public address has no usable
 * credential.
 */
export function credentialsFor({ host, tokens, tlsClientCa }: Settings): Credentials | null {
  const credentials = tokens === undefined ? null : Credentials.read(tokens);
  const isGuarded =
    credentials?.hasTokens === true || (credentials?.hasCertificates === true && tlsClientCa !== undefined);
  if (isGuarded || (isLoopback(host) && credentials === null)) return credentials;
  throw new Fault(
    'UNGUARDED',
    tokens === undefined
      ? `a service without tokens must listen on a loopback address, not on ${host}`
      : `no client can use a credential of ${tokens}${credentials?.hasCertificates === true ? ' without tlsClientCa' : ''}`,
    'Give --tokens FILE with lines of `landfall token`, or use TLS with --tls-client-ca and cn: lines.',
  );
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Undefined when the service uses plain HTTP. @throws Fault BAD_SETTING when a file cannot be read. */
export function tlsFor({ tlsCert, tlsKey, tlsClientCa, tokens }: Settings): TlsOptions | undefined {
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  const pair = { cert: readPem(tlsCert, 'tlsCert'), key: readPem(tlsKey, 'tlsKey') };
  if (tlsClientCa === undefined) return { ...pair, requestCert: false, rejectUnauthorized: false };
  // When tokens are accepted too, a client without a certificate can authenticate with a token.
  const alsoTokens = tokens !== undefined && Credentials.read(tokens).hasTokens;
  return { ...pair, ca: readPem(tlsClientCa, 'tlsClientCa'), requestCert: true, rejectUnauthorized: !alsoTokens };
}

function readPem(file: string, setting: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Fault('BAD_SETTING', `${setting}: ${messageOf(error)}`, 'Check the path and its permissions.', error);
  }
}
