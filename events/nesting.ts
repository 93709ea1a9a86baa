import { Fault } from './fault.ts';

/** How deep arrays and objects may lie in each other. Whatever walks over a value that was taken in need not fear for its stack. */
const NESTING_MAX = 64;

/** @param name what the value is called where it is refused. @throws Fault BAD_JSON naming the member that nests deeper. */
export function requireShallow(value: unknown, name = ''): void {
  if (!isDeep(value, NESTING_MAX)) return;
  // The limit of its members is one less.
  const [key] = Object.entries(value ?? {}).find(([, member]) => isDeep(member, NESTING_MAX - 1)) ?? [];
  const path = [name, key].filter((part) => part !== undefined && part !== '').join('.');
  throw new Fault(
    'BAD_JSON',
    `${path.slice(0, 255)}: nests deeper than ${NESTING_MAX} levels`,
    'Send what it holds flat, or as a text.',
  );
}

/** Goes no deeper than the limit, however deep the value is. */
function isDeep(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  if (Array.isArray(value)) return value.some((member) => isDeep(member, levels - 1));
  return Object.values(value).some((member) => isDeep(member, levels - 1));
}
