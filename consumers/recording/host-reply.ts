import { Fault } from '../../events/fault.ts';
import type { Question } from '../../events/commands.ts';
import type { Answered } from '../../events/inputs.ts';
import { domainOfVirsh } from '../../events/virsh.ts';
import type { Power } from '../../events/vocabulary.ts';
import { powerOf } from '../../machines/power.ts';
import { readAnswer } from '../../machines/presence.ts';
import type { ProbeLine, RecordedDomain } from './schema.ts';

/** A host's recorded answer: a complete listing, or an error. */
export type HostReply = { ok: boolean; domains: Record<string, RecordedDomain>; error?: string; boot?: string };

/** Returns the reply of a probe line; `same` repeats the host's last reply. @throws Fault BAD_RECORDING. */
export function replyOf(line: ProbeLine, last: HostReply | null): HostReply {
  if (line.same === true) {
    if (last === null)
      throw new Fault(
        'BAD_RECORDING',
        'same: the host has no earlier answer',
        'Write the full answer in the first probe of a host.',
      );
    return last;
  }
  const answer: HostReply = { ok: line.ok ?? false, domains: line.domains ?? {} };
  // An answer without a domain list is not an empty list.
  if (answer.ok && line.domains === undefined) answer.ok = false;
  if (line.error !== undefined) answer.error = line.error;
  if (line.boot !== undefined) answer.boot = line.boot;
  return answer;
}

/**
 * Returns the answer to a question, in libvirt's vocabulary (`data`) and as the recording contains it (`recorded`).
 * @param reply null if the recording has no reply of the host.
 */
export function answerOf(
  { question, host }: Question,
  reply: HostReply | null,
  domain: RecordedDomain | null,
): { data: Answered; recorded: unknown } {
  const error = reply === null ? 'the recording holds no answer of this host' : reply.error;
  const base = {
    question,
    host,
    ok: reply?.ok ?? false,
    ...(error === undefined ? {} : { error }),
    ...(reply?.boot === undefined ? {} : { boot: reply.boot }),
  };
  const recorded = { ...base, domain };
  if (domain === null) return { data: { ...base, domain }, recorded };
  const mapped = domainOfVirsh(domain);
  const data = 'domain' in mapped ? { ...base, ...mapped } : { ...base, ...mapped, ok: false, domain: null };
  return { data, recorded };
}

/** Returns the guest's power according to a listing. */
export function powerIn(domain: RecordedDomain): Power {
  const mapped = domainOfVirsh(domain);
  if (!('domain' in mapped)) return 'unknown';
  const answer = { asked: 0, arrived: 0, ok: true, ...mapped };
  return powerOf(readAnswer(answer, { role: 'other', handedOver: false, ran: false, sourceBoot: null }));
}
