/**
 * Seeds that end in a violation today, each with what is known of it. None of them is by design: they are work that is open.
 * Others may not join them: a seed that fails and is not listed here fails the test.
 */
export const openFindings: ReadonlyMap<number, string> = new Map();
