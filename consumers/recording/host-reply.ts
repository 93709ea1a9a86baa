import { Fault } from '../../events/fault.ts';
import type { Domain } from '../../events/inputs.ts';
import type { ProbeLine } from './schema.ts';

/** A host's recorded answer: a complete listing, or an error. */
export type HostReply = { ok: boolean; domains: Record<string, Domain>; error?: string; boot?: string };

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
