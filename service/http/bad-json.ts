import type { FastifyRequest } from 'fastify';
import { Fault, messageOf } from '../../events/fault.ts';

/** The errors of bodies that cannot be parsed. */

/** The first bytes of a gzip stream. */
const GZIP = Buffer.from([0x1f, 0x8b]);

/** Returns the error of a body that is compressed although no header says so; null for another body. */
export function gzipFault(bytes: Buffer): Fault | null {
  return bytes.subarray(0, GZIP.length).equals(GZIP) ? compressed('gzip') : null;
}

/** Returns the error of a body that is not accepted as JSON. @param error the error of the parser. */
export function badJson(text: string, error: Error): Fault {
  const of = (message: string, remedy: string) => new Fault('BAD_JSON', message, remedy, error);
  if (text.trim() === '') return of('the body is empty', 'Send JSON.');
  const syntax = syntaxErrorOf(text);
  // Fastify's parser refuses valid JSON only because of these keys.
  if (syntax === null) {
    const message = 'the body has the key __proto__, or constructor with the key prototype, which no value may have';
    return of(message, 'Rename or remove the key.');
  }
  const position = /position \d+/.exec(syntax)?.[0];
  return of(
    position === undefined ? 'the body is not JSON' : `the body is not JSON at ${position}`,
    'Send valid JSON.',
  );
}

function syntaxErrorOf(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

/** Refuses a compressed body before it is read. @throws Fault UNSUPPORTED_TYPE. */
export async function requireUncompressed({ method, headers }: FastifyRequest): Promise<void> {
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? '';
  if (method === 'GET' || method === 'HEAD' || encoding === '' || encoding === 'identity') return;
  throw compressed(encoding);
}

function compressed(encoding: string): Fault {
  return new Fault(
    'UNSUPPORTED_TYPE',
    `the body is compressed (${encoding.slice(0, 40)}), which is not accepted`,
    'Send the body uncompressed, without the header Content-Encoding.',
  );
}
