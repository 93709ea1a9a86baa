import { expect } from 'vitest';

const MS_MAX = 20_000;

/** What has to become so, on a machine that may have other things to do. */
export const eventually = <T>(what: () => T) => expect.poll(what, { timeout: MS_MAX, interval: 20 });
