import type { Attempt } from '../../events/attempt.ts';

/**
 * Whether a command id belongs to an attempt of this VM. An acknowledgement may arrive after its attempt has settled, or after a
 * newer verdict has replaced the steps of its verdict.
 */
export function isCommandOf(command: string, vm: string, attemptOf: (migration: string) => Attempt | null): boolean {
  return candidates(command).some(({ migration, verdict }) => {
    const attempt = attemptOf(migration);
    if (attempt === null || attempt.vm !== vm) return false;
    const isReplaced = verdict >= 1 && verdict < attempt.verdicts.length;
    return isReplaced || attempt.steps.some((step) => step.command === command);
  });
}

/** The attempt and the number of its verdict. Names may contain the separator, so there can be several candidates. */
function candidates(command: string): { migration: string; verdict: number }[] {
  return [...command.matchAll(/(?<=.)\/v(\d{1,9})\/[a-z-]+(?=\/|$)/g)].map(({ index, 1: number }) => ({
    migration: command.slice(0, index),
    verdict: Number(number),
  }));
}
