/** Splits items, in order, into parts of at most `bytesMax` each. An item above the limit is a part of its own. */
export function splitBySize<T>(items: readonly T[], bytesMax: number, bytesOf: (item: T) => number): T[][] {
  const parts: T[][] = [];
  let room = 0;
  for (const item of items) {
    const bytes = bytesOf(item);
    const part = parts.at(-1);
    if (part === undefined || bytes > room) {
      parts.push([item]);
      room = bytesMax - bytes;
    } else {
      part.push(item);
      room -= bytes;
    }
  }
  return parts;
}
