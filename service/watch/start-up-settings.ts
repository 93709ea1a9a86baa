import type { Logger } from 'pino';
import type { Time } from '../../engine/time.ts';
import type { ConfigurationChange } from '../../events/configuration.ts';
import { Fault, messageOf } from '../../events/fault.ts';
import { configuration } from '../../projections/site.ts';
import type { ClusterEngine } from '../engine/cluster.ts';
import type { Engine } from '../engine/engine.ts';
import { configure } from '../http/operator-routes.ts';

/** Applies start-up settings that decisions use: by an entry of the ledger, when the settings in force differ. */

export type StartUpOptions = {
  readonly wanted: ConfigurationChange;
  readonly engine: Engine;
  /** The engine when it is one of several instances; null for the embedded ledger. */
  readonly cluster: Pick<ClusterEngine, 'isCopied'> | null;
  readonly time: Time;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
};

const OPERATOR = 'start-up settings';
const COPY_LOOK_MS = 200;
const RETRY_MS = 5000;

/**
 * Applies the settings. With several instances it continues in the background, because the settings in force are unknown until
 * the ledger is copied, and the owners of the partitions decide the change. It retries until the settings are in force.
 * @returns a function that cancels the background work.
 * @throws Fault BAD_CONFIGURATION when the settings conflict with the settings in force. Several instances log it instead.
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
  /** True when the change is durable, so that it is not sent again. */
  let isSent = false;
  const later = (ms: number): void => {
    if (!isOver) cancel = time.after(ms, () => void look());
  };
  const look = async (): Promise<void> => {
    try {
      if (!cluster.isCopied) return later(COPY_LOOK_MS);
      if (!differs(options)) {
        if (isSent) logger.info({ wanted }, 'start-up settings in force');
        return;
      }
      if (isSent) return later(RETRY_MS);
      await configure(options, wanted, OPERATOR);
      logger.info({ wanted }, 'start-up settings in force');
    } catch (error) {
      if (isOver) return;
      const code = error instanceof Fault ? error.code : null;
      isSent ||= code === 'NOT_DECIDED';
      if (code?.startsWith('BAD_') === true) {
        logger.error({ wanted, code, error: messageOf(error) }, 'start-up settings refused');
        return;
      }
      logger.warn({ wanted, code, error: messageOf(error) }, 'start-up settings not in force yet; retrying');
      later(RETRY_MS);
    }
  };
  void look();
  return () => {
    isOver = true;
    cancel();
  };
}

/** True if any partition has other settings in force. */
function differs({ wanted, engine }: StartUpOptions): boolean {
  return engine.parts.some(({ db }) => {
    const inForce = configuration(db);
    return Object.entries(wanted).some(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(inForce[name as keyof typeof inForce]),
    );
  });
}
