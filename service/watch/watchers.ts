import type { Logger } from 'pino';
import type { Time } from '../../engine/time.ts';
import { Fault, messageOf } from '../../events/fault.ts';
import type { HostRecord } from '../../events/records.ts';
import type { Agents } from '../engine/agents.ts';
import type { Engine } from '../engine/engine.ts';
import { listHosts } from '../reads/lists.ts';
import type { Reads } from '../reads/parts.ts';

/** What a running service looks at again and again. */

const AGENTS_EVERY_MS = 1000;
const DEMO_EVERY_MS = 30_000;

type Shown = { readonly reads: Reads; readonly close: () => Promise<void> };
export type Demo = { shown: Shown | null };

/** Tells the ledger of agents that fall silent. What cannot be told just now is told at the next look. */
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
      // A disk that cannot be read: requests are told so, and the next look may succeed.
      logger.warn({ error: messageOf(error) }, 'the hosts cannot be read');
    }
  };
  cancel = time.after(AGENTS_EVERY_MS, look);
  return () => cancel();
}

/** Recordings may be played into topics of their own at any time: from then on they are shown. */
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
      // There are none, as a rule. Whatever else it is: nobody is served worse for want of a demo.
      if (!(error instanceof Fault)) logger.warn({ error: messageOf(error) }, 'the recordings cannot be shown');
      if (!isOver) cancel = time.after(DEMO_EVERY_MS, () => void look());
    }
  };
  void look();
  return () => {
    isOver = true;
    cancel();
  };
}
