/** For `expect.poll`: what has to become so, on a machine that may have other things to do. */
export const EVENTUALLY = { timeout: 20_000, interval: 20 } as const;
