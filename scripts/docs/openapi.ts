import { pino } from 'pino';
import { Guard } from '../../service/access/guard.ts';
import { buildApp } from '../../service/app.ts';
import type { Service } from '../../service/http/service.ts';

/** docs/openapi.json: what the service's routes say of themselves. No request is made, so there is nothing behind them. */
export async function openApiText(): Promise<string> {
  const nothing = {} as Service;
  const logger = pino({ level: 'silent' });
  const app = await buildApp(nothing, { logger, guard: new Guard(null), requestsPerSecondMax: 1 });
  const text = `${JSON.stringify(app.swagger(), null, 2)}\n`;
  await app.close();
  return text;
}
