import { pino } from 'pino';
import { Guard } from '../../service/access/guard.ts';
import { buildApp } from '../../service/app.ts';
import type { Service } from '../../service/http/service.ts';

/** Generates docs/openapi.json from the schemas of the service's routes. No request is made, so the routes need no service. */
export async function openApiText(): Promise<string> {
  const noService = {} as Service;
  const logger = pino({ level: 'silent' });
  const app = await buildApp(noService, { logger, guard: new Guard(null), requestsPerSecondMax: 1 });
  const text = `${JSON.stringify(app.swagger(), null, 2)}\n`;
  await app.close();
  return text;
}
