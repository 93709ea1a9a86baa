import { randomUUID } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { Configuration, ConfigurationChange, defaultConfiguration } from '../../events/configuration.ts';
import { Fault } from '../../events/fault.ts';
import { hostLacksGuest } from '../../events/resolution-faults.ts';
import { isOneChoice, ONE_CHOICE, resolutionFields } from '../../events/inputs.ts';
import { isResolving } from '../../machines/resolution.ts';
import { attemptState, migrationView } from '../../projections/attempts.ts';
import { attemptsWithEarlierSettings } from '../../projections/earlier-settings.ts';
import { configuration } from '../../projections/site.ts';
import type { Principal } from '../access/credentials.ts';
import { type Submission, submissionOf } from '../engine/engine.ts';
import { partOfAttempt, type Reads, unknownAttempt } from '../reads/parts.ts';
import { label } from './read-reply.ts';
import { type App, readsOf, type Service } from './service.ts';
import { LedgerQuery, MigrationParams, MigrationShape, problems } from './shapes.ts';

/** Operator actions: settling a contested attempt and changing settings. Both are inputs recorded with the operator's name. */

const SOURCE = 'landfall:http';
const Operator = z.string().min(1).max(255).describe('the operator; when tokens are in use, the name of the token');
const Resolution = z
  .strictObject({ ...resolutionFields, operator: Operator.optional() })
  .refine(isOneChoice, ONE_CHOICE);

export function addResolution(app: App, service: Service): void {
  app.post(
    '/v1/migrations/:id/resolution',
    {
      config: { needs: ['operate'] },
      schema: {
        summary: 'Settle a contested or provisional attempt, or a stuck step',
        description:
          'A named host is asked first. The reply waits for its answer, but not longer than the limit of a question.',
        tags: ['operators'],
        params: MigrationParams,
        body: Resolution,
        response: { 200: MigrationShape, ...problems(400, 401, 403, 404, 409, 413, 415, 422, 503) },
      },
    },
    async ({ params: { id }, body, principal }) => {
      const { engine } = service;
      const { db } = partOfAttempt(engine.parts, id);
      const found = attemptState(db, id);
      if (found === null) throw unknownAttempt(id);
      const { vm, clock } = found.state.attempt;
      const data = { ...body, migration: id, operator: operatorOf(principal, body.operator) };
      await take(service, submitted('landfall.migration.resolved.v1', data, vm), clock);
      await concluded(db, id);
      const view = migrationView(db, id);
      if (view === null) throw unknownAttempt(id);
      return view;
    },
  );
}

const POLL_MS = 50;
/** Time beyond the limit of a question until the entry of its end is readable. */
const MARGIN_MS = 5000;

/**
 * Waits until the named host has answered, or the limit of its question has passed. @throws Fault HOST_LACKS_GUEST if the host
 * answered that it lacks the guest.
 */
async function concluded(db: DatabaseSync, migration: string): Promise<void> {
  const started = performance.now();
  for (;;) {
    const state = attemptState(db, migration)?.state;
    if (state === undefined) return;
    const { resolving, configuration: limits } = state.attempt;
    if (resolving?.lack !== undefined) throw hostLacksGuest(resolving.host, resolving.lack);
    if (!isResolving(state) || performance.now() - started > limits.questionLimitSeconds * 1000 + MARGIN_MS) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

export function addConfiguration(app: App, service: Service): void {
  app.get(
    '/v1/config',
    {
      config: { needs: ['read'] },
      schema: {
        summary: 'The settings that decisions use',
        tags: ['operators'],
        querystring: LedgerQuery,
        response: { 200: Configuration, ...problems(400, 401, 403, 404) },
      },
    },
    async ({ query: { ledger } }, reply) => {
      label(reply, service, ledger);
      return configurationOf(readsOf(service, ledger));
    },
  );
  app.put(
    '/v1/config',
    {
      config: { needs: ['operate'] },
      schema: {
        summary: 'Change settings of the running service; omitted settings keep their values',
        tags: ['operators'],
        querystring: z.strictObject({ operator: Operator.optional() }),
        body: ConfigurationChange,
        response: { 200: ChangedConfiguration, ...problems(400, 401, 403, 413, 415, 422, 503) },
      },
    },
    async ({ body, query, principal }) => {
      await configure(service, body, operatorOf(principal, query.operator));
      const { parts } = service.engine;
      const settings = configurationOf(parts);
      const keeping = parts.flatMap(({ db }) => attemptsWithEarlierSettings(db, settings));
      return { ...settings, attemptsWithEarlierSettings: keeping };
    },
  );
}

const ChangedConfiguration = Configuration.safeExtend({
  attemptsWithEarlierSettings: z
    .array(z.string())
    .describe('open attempts that keep the earlier settings, because their calls have returned'),
});

/** Changes settings by an entry of the ledger. @throws Fault BAD_CONFIGURATION. */
export async function configure(
  service: Pick<Service, 'engine'>,
  change: ConfigurationChange,
  operator: string,
): Promise<void> {
  await take(service, submitted('landfall.configuration.set.v1', { change, operator }, null));
}

/** @throws Fault with the refusal's code. */
async function take({ engine }: Pick<Service, 'engine'>, submission: Submission, clock?: string): Promise<void> {
  const [receipt] = await engine.submit([submission], { clock });
  if (receipt?.outcome === 'pending') {
    const remedy = 'Check its effect before you send it again.';
    throw new Fault('NOT_DECIDED', 'the input is durable but not decided yet', remedy);
  }
  const refusal = receipt?.refusal;
  if (refusal !== undefined && refusal !== null) throw new Fault(refusal.code, refusal.message, refusal.remedy);
}

/** Returns the settings in force. They are equal in every partition. */
function configurationOf([part]: Reads): Configuration {
  return part === undefined ? defaultConfiguration : configuration(part.db);
}

function submitted(type: string, data: unknown, vm: string | null): Submission {
  const event = {
    specversion: '1.0',
    id: randomUUID(),
    source: SOURCE,
    type,
    ...(vm === null ? {} : { subject: vm }),
    data,
  };
  return submissionOf(event);
}

function operatorOf({ name }: Principal, given: string | undefined): string {
  if (name === null) return given ?? 'operator';
  if (given === undefined || given === name) return name;
  throw new Fault(
    'FORBIDDEN',
    `operator: ${name} cannot speak for somebody else`,
    'Leave it out: the token names you.',
  );
}
