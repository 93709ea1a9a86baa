import { setTimeout as wait } from 'node:timers/promises';

/** The longest wait for the end of a connection. */
const CLOSE_MS = 3000;

/** Resolves with the result of `work`. @throws the error that `late` makes if the work takes longer than `ms`. */
export async function within<T>(ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  const over = Promise.withResolvers<never>();
  const timer = setTimeout(() => over.reject(late()), ms);
  try {
    return await Promise.race([work, over.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves when `work` has ended in any way, or after 3 s. Never rejects. */
export async function briefly(work: Promise<unknown>): Promise<void> {
  const ended = work.then(
    () => {},
    () => {},
  );
  await Promise.race([ended, wait(CLOSE_MS, undefined, { ref: false })]);
}
