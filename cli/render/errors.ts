import type { Fault } from '../../events/fault.ts';
import type { Style } from './style.ts';
import { clean, wrap } from './text.ts';

/** Formats an error for a terminal: its code, its message and its remedy. */

export function faultText({ code, message, remedy }: Pick<Fault, 'code' | 'message' | 'remedy'>, style: Style): string {
  const head = `${style.paint('bad', `error ${clean(code)}:`)} ${wrap(clean(message), style.width, '  ')}`;
  return remedy === ''
    ? head
    : `${head}\n  ${style.paint('accent', 'hint:')} ${wrap(clean(remedy), style.width, '        ')}`;
}
