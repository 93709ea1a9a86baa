import type { Answer, Attempt } from '../events/attempt.ts';
import type { InputData } from '../events/inputs.ts';
import type { Evidence } from '../events/verdict.ts';
import type { Reading } from './presence.ts';
import { GONE, isOneOf } from './table.ts';

/**
 * How the guest ended on the source while it moved, from events and answers. A guest that shuts itself down needs running CPUs, so
 * it had not handed over; a destroyed or crashed one may have.
 */
type How = NonNullable<Attempt['sourceEnd']>['how'];

/** libvirt's reasons of the state `shut off`; events name them with a capital. `migrated` is a hand-over and no end. */
const ends: Readonly<Record<string, How>> = {
  shutdown: 'shut-down',
  destroyed: 'ended',
  crashed: 'ended',
  failed: 'ended',
};

function endOf(reason: string): How | undefined {
  const word = reason.toLowerCase();
  return Object.hasOwn(ends, word) ? ends[word] : undefined;
}

/** Records an event of the source: the guest ended there, or it runs there again. */
export function endAfterEvent(attempt: Attempt, { event, detail }: InputData<'landfall.host.lifecycle.v1'>): Attempt {
  if (event === 'Started' || event === 'Resumed') return withoutEnd(attempt);
  const how = event === 'Stopped' ? endOf(detail) : undefined;
  return how === undefined ? attempt : { ...attempt, sourceEnd: { how, sequence: attempt.sequence } };
}

/**
 * Records an answer of the source. `shut off` counts only if this attempt had seen the guest there or on its way. A guest that is
 * there refutes an earlier end, if its question was asked after that end.
 */
export function endAfterAnswer(attempt: Attempt, { presence }: Reading, { asked, domain }: Answer): Attempt {
  if (presence === 'unknown') return attempt;
  const { sourceEnd, sequence } = attempt;
  if (!isOneOf(GONE, presence))
    return sourceEnd !== undefined && asked > sourceEnd.sequence ? withoutEnd(attempt) : attempt;
  const wasThere = attempt.seenAtSource || attempt.outgoingSeen || attempt.shell.started;
  if (domain === null || !wasThere || sourceEnd !== undefined) return attempt;
  const how = domain.state === 'crashed' ? 'ended' : endOf(domain.reason);
  return how === undefined ? attempt : { ...attempt, sourceEnd: { how, sequence } };
}

function withoutEnd(attempt: Attempt): Attempt {
  const { sourceEnd: _, ...rest } = attempt;
  return rest;
}

type Facts = Pick<Evidence, 'sourceEnd' | 'cold'>;
type Sides = Pick<Evidence, 'source' | 'destination' | 'ran' | 'others'>;

/** Returns these findings as evidence for the table. */
export function endingOf(attempt: Attempt, sides: Sides): Facts {
  const sourceEnd = endBeforeHandOver(attempt, sides);
  const cold = coldOf(attempt, sides);
  return { ...(sourceEnd === undefined ? {} : { sourceEnd }), ...(cold === undefined ? {} : { cold }) };
}

/** The end counts if the guest had not handed over: the destination can then only have a shell of it. */
function endBeforeHandOver({ sourceEnd, twoCopies, leftover }: Attempt, { source, ran }: Sides): Evidence['sourceEnd'] {
  if (sourceEnd === undefined || (source.presence !== 'absent' && source.presence !== 'off')) return undefined;
  const neverRan = sourceEnd.how === 'shut-down' ? ran !== 'yes' : ran === 'no';
  return neverRan && twoCopies !== true && leftover !== true ? sourceEnd.how : undefined;
}

/**
 * A guest that was stopped before the call moves as a definition: no job, no shell, no running CPUs. It is where its definition
 * is. If both hosts have one, the call's result decides.
 */
function coldOf(attempt: Attempt, { source, destination, ran, others }: Sides): Evidence['cold'] {
  const { origin, outgoingSeen, shell, returnedAt, callError } = attempt;
  if (origin !== 'stopped' || outgoingSeen || shell.started || ran === 'yes') return undefined;
  // A guest that ran on a third host, or is defined there, may have left from there.
  const isElsewhere = others.some(({ presence }) => presence !== 'absent' && presence !== 'unknown');
  if (isElsewhere || attempt.seenOn !== undefined) return undefined;
  const isDefinedAtDestination = destination.presence === 'off';
  const succeeded = returnedAt !== null && callError === null;
  // A fenced source counts as gone without an answer, but its definition may still be there.
  const isUndefinedAtSource = source.presence === 'absent' && source.question !== null;
  if (isDefinedAtDestination && (isUndefinedAtSource || succeeded)) return 'moved';
  const isOnSourceAlone = destination.presence === 'absent' || callError?.kind === 'not-started';
  const hasFailed = isDefinedAtDestination && callError?.kind === 'libvirt';
  return source.presence === 'off' && (isOnSourceAlone || hasFailed) ? 'stayed' : undefined;
}
