/** Options for `expect.poll`: a long timeout, because the machine may be busy. */
export const EVENTUALLY = { timeout: 60_000, interval: 20 } as const;
