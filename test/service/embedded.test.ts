import { expect, it } from 'vitest';
import { EmbeddedEngine } from '../../service/engine/embedded.ts';
import { HandTime } from '../support/hand-time.ts';
import { MemoryLedger } from '../support/memory-ledger.ts';

it('stays stopped when stopped during a claim', async () => {
  const ledger = new MemoryLedger();
  let goOn = (): void => {};
  const horizon = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const engine = new EmbeddedEngine(
    {
      parts: [],
      claim: () => ledger.claim(),
      directory: () => ledger,
      openAttempts: () => ledger.openAttempts(),
      setHorizon: () => horizon,
      close: () => ledger.close(),
    },
    new HandTime(),
  );
  const started = engine.start();
  await Promise.resolve();
  const stopped = engine.stop();
  goOn();
  await Promise.all([started, stopped]);
  expect(engine.fault?.code).toBe('STOPPING');
});
