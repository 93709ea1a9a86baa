import type { Entry } from '../../events/entries.ts';
import { ENTRY_VERSION } from '../../events/entry-version.ts';
import { sha256 } from '../../log/chain.ts';
import { VM, vmOf } from './builders.ts';

/** Builders of plain entries, for tests of ledgers that do not depend on the contents of entries. */

export { VM, vmOf } from './builders.ts';

/** Returns an entry of an input that changed nothing. */
export function entryOfInput(id: string, changes: Partial<Entry> & { content?: string; source?: string } = {}): Entry {
  const { content = id, source = 'agent://one', ...rest } = changes;
  return {
    v: ENTRY_VERSION,
    time: 1_790_000_000_000,
    clock: 'wall',
    vm: VM,
    cause: {
      kind: 'input',
      type: 'landfall.host.answered.v1',
      source,
      id,
      digest: sha256(content),
      data: { content },
    },
    attempt: null,
    timers: {},
    verdict: null,
    record: null,
    host: null,
    configuration: null,
    questions: [],
    commands: [],
    refusal: null,
    ...rest,
  };
}

/** Returns an entry caused by a due timer. */
export function entryOfTimer(migration: string, changes: Partial<Entry> = {}): Entry {
  const dueAt = 1_790_000_000_000;
  return entryOfInput('unused', {
    cause: { kind: 'timer', migration, timer: 'deadline', generation: 1, dueAt },
    ...changes,
  });
}

/** Returns an entry of a malformed input. */
export function entryOfMalformed(id: string, text: string): Entry {
  const cause = { kind: 'malformed', source: 'queue', id, digest: sha256(text), stream: 's', offset: 1 } as const;
  return entryOfInput(id, {
    vm: null,
    cause: { ...cause, text, bytes: Buffer.byteLength(text) },
    refusal: { code: 'BAD_EVENT', message: 'not JSON', remedy: 'Send JSON.' },
  });
}

/** Returns `count` entries of inputs with different VMs; their ids count from `prefix-1`. */
export function entriesOf(prefix: string, count: number): Entry[] {
  return Array.from({ length: count }, (_, index) => entryOfInput(`${prefix}-${index + 1}`, { vm: vmOf(index + 1) }));
}
