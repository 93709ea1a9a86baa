import { z } from 'zod';

/**
 * Settings that affect decisions. An input changes them, the ledger stores them, and an attempt uses the values at the time
 * when its call returned. Times are in seconds.
 */
const DAY = 86_400;
/** The range an operator may set. Timers count milliseconds; intervals below 0.01 s are not useful. */
const seconds = (max: number) => z.number().min(0.01).max(max).multipleOf(0.001);
/** The range a ledger may contain. Earlier versions accepted smaller values. */
const recorded = (max: number) => z.number().positive().max(max);

const shapeOf = <S extends z.ZodType>(time: (max: number) => S) => ({
  recheckIntervalSeconds: time(7 * DAY).describe(
    'The interval of the questions to both hosts while the attempt is undecided.',
  ),
  recheckTimeoutSeconds: time(7 * DAY).describe('The time from the return of the call to the final round.'),
  questionLimitSeconds: time(7 * DAY).describe('The time after which an unanswered question counts as `unknown`.'),
  commandRetrySeconds: time(7 * DAY).describe(
    'The first wait before an unacknowledged or refused command is sent again. The wait doubles with each try, up to 64 times the first.',
  ),
  askOriginErrorCodes: z
    .array(z.string().min(1).max(255).describe('One error code.'))
    .max(1000)
    .describe('Error codes of the call for which a rollback asks the source for the state of the VM once more.'),
  dedupHorizonSeconds: time(366 * DAY).describe('The time for which the identity of a consumed input is remembered.'),
  dedupHorizonCount: z
    .number()
    .int()
    .min(1000)
    .max(100_000_000)
    .describe('The largest number of remembered identities. Older ones are forgotten when either limit is reached.'),
});

/** The settings as an operator may set them. */
export const ConfigurationFields = z.strictObject(shapeOf(seconds));
const RecordedFields = z.strictObject(shapeOf(recorded));

/** The complete configuration in force, with consistent values. */
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

/** The settings that an attempt copies when its call returns. */
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

/** A change of some settings. Consistency is checked after the change is merged into the configuration. */
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
