import type { Answer } from '../../events/attempt.ts';
import type { CallError } from '../../events/inputs.ts';
import { type Role, readAnswer } from '../../machines/presence.ts';
import type { HostAnswer, View } from '../../policies/view.ts';

/** Builds a world of hosts whose answers depend on the time after the return. */

export const S = 'host-a';
export const D = 'host-b';

/** Possible answers of real hosts: state, reason, job. */
const sayings = {
  running: ['running', 'booted', 'none'],
  moving: ['running', 'booted', 'outgoing'],
  arrived: ['running', 'migrated', 'none'],
  paused: ['paused', 'user', 'none'],
  switching: ['paused', 'migrating', 'outgoing'],
  leftover: ['paused', 'migrating', 'none'],
  shell: ['paused', 'migrating', 'incoming'],
  newShell: ['paused', 'starting up', 'incoming'],
  broken: ['paused', 'I/O error', 'none'],
  postcopy: ['running', 'post-copy', 'none'],
  off: ['shut off', 'migrated', 'none'],
} as const;
export type Saying = keyof typeof sayings | 'absent' | 'error';

export function answerOf(saying: Saying): Pick<Answer, 'ok' | 'domain' | 'error'> {
  if (saying === 'error') return { ok: false, domain: null, error: 'timed out after 3 s' };
  if (saying === 'absent') return { ok: true, domain: null };
  const [state, reason, job] = sayings[saying];
  return { ok: true, domain: { name: 'vm1', state, reason, job } };
}

export const agentError: CallError = { kind: 'libvirt', message: 'operation aborted' };
export const callerTimeout: CallError = { kind: 'caller-timeout', message: '' };

/** Answers by milliseconds after the return. */
type Says = Readonly<Record<number, Saying>>;
type World = {
  source?: Says | Saying;
  destination?: Says | Saying;
  elsewhere?: Readonly<Record<string, Saying>>;
} & Partial<Pick<View, 'callError' | 'origin' | 'recorded'>>;

export function world({ source, destination, elsewhere = {}, ...rest }: World = {}): View {
  const hosts: Readonly<Record<string, Says | Saying>> = {
    [S]: source ?? 'error',
    [D]: destination ?? 'error',
    ...elsewhere,
  };
  return {
    source: S,
    destination: D,
    others: Object.keys(elsewhere),
    callError: agentError,
    origin: 'running',
    recorded: null,
    ask: (host, afterMs) => answer(hosts[host] ?? 'error', roleOf(host), afterMs),
    ...rest,
  };
}

function answer(says: Says | Saying, role: Role, afterMs: number): HostAnswer {
  const answer: Answer = { asked: 1, arrived: 2, ...answerOf(typeof says === 'string' ? says : latest(says, afterMs)) };
  const { presence, job, words } = readAnswer(answer, { role, handedOver: false, ran: false, sourceBoot: null });
  return { presence, job, words, at: afterMs };
}

function latest(says: Says, afterMs: number): Saying {
  return Object.entries(says).findLast(([from]) => Number(from) <= afterMs)?.[1] ?? 'error';
}

const roleOf = (host: string): Role => (host === S ? 'source' : host === D ? 'destination' : 'other');
