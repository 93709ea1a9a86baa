import type { Logger } from 'pino';
import type { Time } from '../../engine/time.ts';
import { Fault, messageOf } from '../../events/fault.ts';
import type { HostRecord } from '../../events/records.ts';
import type { Agents } from '../engine/agents.ts';
import type { Engine } from '../engine/engine.ts';
import { listHosts } from '../reads/lists.ts';
import type { Reads } from '../reads/parts.ts';

/** Periodic checks of a running service. */

const AGENTS_EVERY_MS = 1000;
const DEMO_EVERY_MS = 30_000;

type Shown = { readonly reads: Reads; readonly close: () => Promise<void> };
export type Demo = { shown: Shown | null };

/** Reports silent agents to the ledger every second. A report that fails is repeated at the next check. */
export function watchAgents(
  { engine, agents, time, logger }: { engine: Engine; agents: Agents; time: Time; logger: Pick<Logger, 'warn'> },
  hosts: () => readonly HostRecord[] = () => listHosts(engine.parts),
): () => void {
  let cancel = () => {};
  const tell = (): void => {
    const known = hosts();
    agents.forgetStrangers(known);
    const inputs = engine.fault === null ? agents.changes(known) : [];
    if (inputs.length > 0) engine.submit(inputs).catch(() => agents.forgetReports());
  };
  const look = (): void => {
    cancel = time.after(AGENTS_EVERY_MS, look);
    try {
      tell();
    } catch (error) {
      // The disk cannot be read. Requests report the error, and the next check may succeed.
      logger.warn({ error: messageOf(error) }, 'hosts cannot be read');
    }
  };
  cancel = time.after(AGENTS_EVERY_MS, look);
  return () => cancel();
}

/** Opens the demo ledger as soon as its topics exist, because recordings can be played into them at any time. */
export function watchDemo(
  { demo, time }: { demo: Demo; time: Time },
  open: () => Promise<Shown | null>,
  logger: Logger,
): () => void {
  let cancel = () => {};
  let isOver = false;
  const look = async (): Promise<void> => {
    try {
      const found = await open();
      if (isOver) return await found?.close();
      demo.shown = found;
    } catch (error) {
      // A missing demo ledger is normal. Another error is logged, but must not stop the service.
      if (!(error instanceof Fault)) logger.warn({ error: messageOf(error) }, 'demo ledger cannot be opened');
      if (!isOver) cancel = time.after(DEMO_EVERY_MS, () => void look());
    }
  };
  void look();
  return () => {
    isOver = true;
    cancel();
  };
}
