import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Fault, messageOf } from '../../events/fault.ts';

/**
 * The file of credentials grants roles to clients. A line is `NAME ROLES CREDENTIAL`. A credential is the SHA-256 of a token or
 * the common name of a client certificate; the token itself is never stored. Several roles are joined by `+`:
 *
 *     dashboard    read                 sha256:9f86d081…
 *     zstack       read+ingest          sha256:60303ae2…
 *     agent-a      agent:host-a,host-b  cn:host-a.example.org
 *     alice        operate              sha256:fd61a03a…
 */

const roles = ['read', 'ingest', 'agent', 'operate'] as const;
export type Role = (typeof roles)[number];

/** The client of a request. `hosts` are the hosts an agent may report for; `names` are the names of all credentials. */
export type Principal = {
  readonly names: ReadonlySet<string>;
  /** The name of the credential; null when the service runs without credentials. */
  readonly name: string | null;
  readonly roles: ReadonlySet<Role>;
  readonly hosts: ReadonlySet<string>;
};

type Credential = Omit<Principal, 'names'> & { readonly kind: 'token' | 'certificate'; readonly secret: string };

/** The client of a service without credentials, which listens on loopback only. */
export const ANYBODY: Principal = {
  name: null,
  names: new Set(),
  roles: new Set(['read', 'ingest', 'operate']),
  hosts: new Set(),
};

const TOKEN_PREFIX = 'lf_';
const TOKEN_BYTES = 32;

export class Credentials {
  readonly #all: readonly (Credential & Principal)[];

  constructor(all: readonly Credential[]) {
    const names = new Set(all.flatMap(({ name }) => name ?? []));
    this.#all = all.map((each) => ({ ...each, names }));
  }

  static read(file: string): Credentials {
    return Credentials.parse(readText(file), file);
  }

  /** @throws Fault BAD_TOKENS with file and line. */
  static parse(text: string, file: string): Credentials {
    const all = text.split('\n').flatMap((line, index) => {
      const content = line.replace(/(^|\s)#.*$/, '').trim();
      return content === '' ? [] : [credentialOf(content, `${file}:${index + 1}`)];
    });
    requireUnique(all, file);
    return new Credentials(all);
  }

  get hasTokens(): boolean {
    return this.#all.some(({ kind }) => kind === 'token');
  }

  get hasCertificates(): boolean {
    return this.#all.some(({ kind }) => kind === 'certificate');
  }

  /** Compares the token with every stored hash, so that the response time reveals nothing about the hashes. */
  ofToken(token: string): Principal | null {
    const given = createHash('sha256').update(token).digest();
    let found: Principal | null = null;
    for (const credential of this.#all) {
      const isIt = credential.kind === 'token' && timingSafeEqual(given, Buffer.from(credential.secret, 'hex'));
      if (isIt) found = credential;
    }
    return found;
  }

  ofCertificate(commonName: string): Principal | null {
    return this.#all.find(({ kind, secret }) => kind === 'certificate' && secret === commonName) ?? null;
  }
}

/** Makes a new token and the line that grants it a role in the file of credentials. */
export function newToken(name: string, role: string): { token: string; line: string } {
  const token = `${TOKEN_PREFIX}${randomBytes(TOKEN_BYTES).toString('base64url')}`;
  const line = `${name} ${role} sha256:${createHash('sha256').update(token).digest('hex')}`;
  credentialOf(line, 'token');
  return { token, line };
}

function credentialOf(line: string, place: string): Credential {
  const [name, role, credential, ...rest] = line.split(/\s+/);
  if (name === undefined || role === undefined || credential === undefined || rest.length > 0) {
    throw bad(place, 'a line must be NAME ROLES CREDENTIAL');
  }
  const granted = role.split('+').map((part) => grantOf(part, place));
  return {
    name,
    roles: new Set(granted.map((grant) => grant.role)),
    hosts: new Set(granted.flatMap((grant) => grant.hosts)),
    ...secretOf(credential, place),
  };
}

function grantOf(text: string, place: string): { role: Role; hosts: string[] } {
  const at = text.indexOf(':');
  const named = at < 0 ? text : text.slice(0, at);
  const role = roles.find((known) => known === named);
  if (role === undefined) throw bad(place, `${JSON.stringify(named)} is not a role; the roles are ${roles.join(', ')}`);
  const hosts =
    at < 0
      ? []
      : text
          .slice(at + 1)
          .split(',')
          .filter((host) => host !== '');
  if (role === 'agent' && hosts.length === 0) throw bad(place, 'the role agent needs host names: agent:host-a,host-b');
  if (role !== 'agent' && at >= 0) throw bad(place, `only the role agent takes host names, not ${role}`);
  return { role, hosts };
}

function secretOf(text: string, place: string): Pick<Credential, 'kind' | 'secret'> {
  const hash = /^sha256:([0-9a-f]{64})$/i.exec(text)?.[1];
  if (hash !== undefined) return { kind: 'token', secret: hash.toLowerCase() };
  const commonName = /^cn:(\S+)$/.exec(text)?.[1];
  if (commonName !== undefined) return { kind: 'certificate', secret: commonName };
  throw bad(place, 'the credential must be sha256: and 64 hex digits, or cn: and a common name');
}

function requireUnique(all: readonly Credential[], file: string): void {
  const seen = new Set<string>();
  for (const { kind, secret, name } of all) {
    if (seen.has(`${kind}:${secret}`)) throw bad(file, `the credential of ${name} appears twice`);
    seen.add(`${kind}:${secret}`);
  }
}

function bad(place: string, what: string): Fault {
  return new Fault('BAD_TOKENS', `${place}: ${what}`, '`landfall token NAME --role ROLE` prints a token and its line.');
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Fault('BAD_TOKENS', `${file}: ${messageOf(error)}`, 'Check the path and its permissions.', error);
  }
}
