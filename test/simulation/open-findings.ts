/**
 * Seeds that end in a violation today, each with what is known of it. None of them is by design: they are work that is open.
 * Others may not join them: a seed that fails and is not listed here fails the test.
 */
export const openFindings: ReadonlyMap<number, string> = new Map([
  [691, 'a lock that a host took by hand, outside every attempt, is not released before another acquires it'],
  [1928, 'as 691'],
  [
    774,
    'a host refuses a release because a guest runs there that somebody moved by hand: the attempt retries for ever',
  ],
  [1015, 'as 774'],
  [1258, 'as 774'],
  [2296, 'as 774'],
  [1456, 'a guest that was moved by hand between the two answers of a round is proven on the destination it had left'],
]);
