/** Options for `expect.poll`: a long timeout, because the machine may be busy. */
export const EVENTUALLY = { timeout: 20_000, interval: 20 } as const;
