import { z } from 'zod';
import type { App, Service } from './service.ts';
import { Problem, problems } from './shapes.ts';

/** Health and metrics. `/healthz` says that the process runs, `/readyz` that the service accepts inputs. */

const Ready = z.object({ ready: z.literal(true), position: z.string() });

export function addHealth(app: App, service: Service): void {
  app.get(
    '/healthz',
    {
      config: { needs: 'nothing' },
      schema: {
        summary: 'Liveness: the process runs',
        tags: ['health'],
        security: [],
        response: { 200: z.object({ alive: z.literal(true) }) },
      },
    },
    async () => ({ alive: true as const }),
  );
  app.get(
    '/readyz',
    {
      config: { needs: 'nothing' },
      schema: {
        security: [],
        summary: 'Readiness: the service accepts inputs. While it is not ready, reads continue and state their age',
        tags: ['health'],
        response: { 200: Ready, 503: Problem },
      },
    },
    async () => {
      const { engine } = service;
      if (engine.fault !== null) throw engine.fault;
      return { ready: true as const, position: engine.position };
    },
  );
  app.get(
    '/metrics',
    {
      config: { needs: ['read'] },
      schema: {
        summary: 'Metrics for Prometheus',
        tags: ['health'],
        produces: ['text/plain'],
        response: { 200: z.string(), ...problems(401, 403) },
      },
    },
    async (_request, reply) => {
      const { registry } = service.metrics;
      const text = await registry.metrics();
      return reply
        .type(registry.contentType)
        .serializer((body) => String(body))
        .send(text);
    },
  );
}
