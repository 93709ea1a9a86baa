import type { Attempt } from '../../events/attempt.ts';

/**
 * Returns true if a command id belongs to an attempt of this VM. An acknowledgement may arrive after its attempt has settled, or
 * after a newer verdict has replaced the steps of the command's verdict.
 */
export function isCommandOf(command: string, vm: string, attemptOf: (migration: string) => Attempt | null): boolean {
  return candidates(command).some(({ migration, verdict }) => {
    const attempt = attemptOf(migration);
    if (attempt === null || attempt.vm !== vm) return false;
    const isReplaced = verdict >= 1 && verdict < attempt.verdicts.length;
    return isReplaced || attempt.steps.some((step) => step.command === command);
  });
}

/**
 * Yields each attempt and verdict number that a command id may name. Names may contain the separator, so there can be
 * several.
 */
function candidates(command: string): { migration: string; verdict: number }[] {
  return [...command.matchAll(/(?<=.)\/v(\d{1,9})\/[a-z-]+(?=\/|$)/g)].map(({ index, 1: number }) => ({
    migration: command.slice(0, index),
    verdict: Number(number),
  }));
}
