import { Fault } from './fault.ts';

/** The largest nesting depth of arrays and objects. It protects recursive functions from a stack overflow. */
const NESTING_MAX = 64;

/** @param name the value's name in the error message. @throws Fault BAD_JSON naming the member that nests too deep. */
export function requireShallow(value: unknown, name = ''): void {
  if (!isDeep(value, NESTING_MAX)) return;
  // A member of the value may nest one level less deep than the value.
  const [key] = Object.entries(value ?? {}).find(([, member]) => isDeep(member, NESTING_MAX - 1)) ?? [];
  const path = [name, key].filter((part) => part !== undefined && part !== '').join('.');
  throw new Fault(
    'BAD_JSON',
    `${path.slice(0, 255)}: nests deeper than ${NESTING_MAX} levels`,
    'Send a flatter structure, or the nested part as text.',
  );
}

/** Returns whether the value nests deeper than `levels`. The recursion stops at the limit. */
function isDeep(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  if (Array.isArray(value)) return value.some((member) => isDeep(member, levels - 1));
  return Object.values(value).some((member) => isDeep(member, levels - 1));
}
