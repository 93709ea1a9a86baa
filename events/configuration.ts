import { z } from 'zod';

/**
 * The settings that take part in decisions. They are changed by an input, kept in the ledger, and fixed for an attempt when
 * its call returns. Times are in seconds, as an operator types them.
 */
const DAY = 86_400;
/** As whoever sets them may give them: the clocks of deadlines count milliseconds, and a hundredth is below any sense. */
const seconds = (max: number) => z.number().min(0.01).max(max).multipleOf(0.001);
/** As a ledger may hold them, which earlier versions wrote too. */
const recorded = (max: number) => z.number().positive().max(max);

const shapeOf = <S extends z.ZodType>(time: (max: number) => S) => ({
  /** How often both hosts are asked again while nothing decides. */
  recheckIntervalSeconds: time(7 * DAY),
  /** How long after the call returned the last round is asked. */
  recheckTimeoutSeconds: time(7 * DAY),
  /** After this long without an answer a question's answer is `unknown`. */
  questionLimitSeconds: time(7 * DAY),
  /** First wait before an unacknowledged or refused command is sent again; it doubles with each try, up to 64 times. */
  commandRetrySeconds: time(7 * DAY),
  /** Error codes of the call after which a rollback asks the origin for the VM's state once more. */
  askOriginErrorCodes: z.array(z.string().min(1).max(255)).max(1000),
  /** How long the identity of a consumed input is remembered. */
  dedupHorizonSeconds: time(366 * DAY),
  /** How many identities are remembered at most; the horizon ends at whichever limit comes first. */
  dedupHorizonCount: z.number().int().min(1000).max(100_000_000),
});

/** The settings as they are given. */
export const ConfigurationFields = z.strictObject(shapeOf(seconds));
const RecordedFields = z.strictObject(shapeOf(recorded));

/** The whole configuration as it is in force: every field present, and consistent with the others. */
export const Configuration = RecordedFields.superRefine((value, context) => {
  if (value.recheckIntervalSeconds > value.recheckTimeoutSeconds) {
    context.addIssue({
      code: 'custom',
      path: ['recheckIntervalSeconds'],
      message: `recheck interval (${value.recheckIntervalSeconds} s) must not exceed the timeout (${value.recheckTimeoutSeconds} s)`,
    });
  }
});
export type Configuration = z.infer<typeof Configuration>;

/** The settings that are fixed for an attempt when its call returns. */
export const AttemptConfiguration = RecordedFields.pick({
  recheckIntervalSeconds: true,
  recheckTimeoutSeconds: true,
  questionLimitSeconds: true,
  commandRetrySeconds: true,
  askOriginErrorCodes: true,
});
export type AttemptConfiguration = z.infer<typeof AttemptConfiguration>;

export function forAttempt(configuration: Configuration): AttemptConfiguration {
  const {
    recheckIntervalSeconds,
    recheckTimeoutSeconds,
    questionLimitSeconds,
    commandRetrySeconds,
    askOriginErrorCodes,
  } = configuration;
  return {
    recheckIntervalSeconds,
    recheckTimeoutSeconds,
    questionLimitSeconds,
    commandRetrySeconds,
    askOriginErrorCodes,
  };
}

/** A change of some fields. Whether the whole stays consistent is checked against the configuration it is merged into. */
export const ConfigurationChange = ConfigurationFields.partial();
export type ConfigurationChange = z.infer<typeof ConfigurationChange>;

export const defaultConfiguration: Configuration = Object.freeze({
  recheckIntervalSeconds: 10,
  recheckTimeoutSeconds: 300,
  questionLimitSeconds: 5,
  commandRetrySeconds: 5,
  askOriginErrorCodes: [],
  dedupHorizonSeconds: 7 * 86_400,
  dedupHorizonCount: 1_000_000,
});
