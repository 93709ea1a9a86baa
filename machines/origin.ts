import type { Attempt } from '../events/attempt.ts';
import type { Reading } from './presence.ts';
import { isOneOf, LANDED } from './table.ts';

/** The first answers during the call tell an unknown origin, and correct one that is recorded as stopped. */
export function originAfter({ origin, returnedAt }: Attempt, reading: Reading): Attempt['origin'] {
  const isOpen = origin === 'unknown' || (origin === 'stopped' && isOneOf(LANDED, reading.presence));
  return isOpen && returnedAt === null ? originFrom(reading) : origin;
}

function originFrom(reading: Reading): Attempt['origin'] {
  if (reading.presence === 'executing') return 'running';
  if (reading.presence === 'suspended' || reading.presence === 'broken') return 'paused';
  return reading.presence === 'off' ? 'stopped' : 'unknown';
}
