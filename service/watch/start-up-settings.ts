import type { Logger } from 'pino';
import type { Time } from '../../engine/time.ts';
import type { ConfigurationChange } from '../../events/configuration.ts';
import { Fault, messageOf } from '../../events/fault.ts';
import { configuration } from '../../projections/site.ts';
import type { ClusterEngine } from '../engine/cluster.ts';
import type { Engine } from '../engine/engine.ts';
import { configure } from '../http/operator-routes.ts';

/**
 * Settings that were given at the start and take part in decisions are applied like an operator's: by an entry, where what is
 * in force is different.
 */

export type StartUpOptions = {
  readonly wanted: ConfigurationChange;
  readonly engine: Engine;
  /** The same, where it is one of several instances. */
  readonly cluster: Pick<ClusterEngine, 'isCopied'> | null;
  readonly time: Time;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
};

const OPERATOR = 'start-up settings';
const COPY_LOOK_MS = 200;
const RETRY_MS = 5000;

/**
 * Where others share the work it is not waited for: what is in force is not known before the ledger was copied, and those
 * decide it who own the partitions. It is tried until it is durable.
 * @returns what gives it up.
 * @throws Fault BAD_CONFIGURATION where they do not fit what is in force; with several instances that is logged.
 */
export async function applyStartUpSettings(options: StartUpOptions): Promise<() => void> {
  if (options.cluster !== null) return applyLater(options, options.cluster);
  if (differs(options)) await configure(options, options.wanted, OPERATOR);
  return () => {};
}

function applyLater(options: StartUpOptions, cluster: Pick<ClusterEngine, 'isCopied'>): () => void {
  const { time, wanted, logger } = options;
  let cancel = () => {};
  let isOver = false;
  /** It is durable, so it is not sent again. */
  let isSent = false;
  const later = (ms: number): void => {
    if (!isOver) cancel = time.after(ms, () => void look());
  };
  const look = async (): Promise<void> => {
    try {
      if (!cluster.isCopied) return later(COPY_LOOK_MS);
      if (!differs(options)) {
        if (isSent) logger.info({ wanted }, 'the start-up settings are in force');
        return;
      }
      if (isSent) return later(RETRY_MS);
      await configure(options, wanted, OPERATOR);
      logger.info({ wanted }, 'the start-up settings are in force');
    } catch (error) {
      if (isOver) return;
      const code = error instanceof Fault ? error.code : null;
      isSent ||= code === 'NOT_DECIDED';
      if (code?.startsWith('BAD_') === true) {
        logger.error({ wanted, code, error: messageOf(error) }, 'the start-up settings are refused');
        return;
      }
      logger.warn({ wanted, code, error: messageOf(error) }, 'the start-up settings are not in force yet');
      later(RETRY_MS);
    }
  };
  void look();
  return () => {
    isOver = true;
    cancel();
  };
}

/** They are to be in force in every partition. */
function differs({ wanted, engine }: StartUpOptions): boolean {
  return engine.parts.some(({ db }) => {
    const inForce = configuration(db);
    return Object.entries(wanted).some(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(inForce[name as keyof typeof inForce]),
    );
  });
}
