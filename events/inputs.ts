import { z } from 'zod';
import { ConfigurationChange } from './configuration.ts';
import { detailsOf, detailWords, eventWords, jobWords, reasonsOf, reasonWords, stateWords } from './libvirt.ts';
import { Holder, Host, MigrationId, Power, Volume } from './vocabulary.ts';

/**
 * One schema for the data of each type of input. An input is a CloudEvent (cloud-event.ts). Its `type` is a key of `vmInputs`
 * or of `siteInputs`. The `subject` of a VM input is the VM's UUID; site inputs have no subject.
 */

/** One domain as libvirt on its host describes it. docs/vocabulary.md lists the values and their sources. */
export const Domain = z
  .strictObject({
    name: z.string().max(255).describe('name of the domain'),
    state: z.enum(stateWords).describe('state, in the words of `virsh domstate`'),
    reason: z.enum(reasonWords).describe('reason of the state, in the words of `virsh domstate --reason`'),
    job: z.enum(jobWords).describe('running job; a query that failed or timed out is `unknown`'),
  })
  .superRefine(({ state, reason }, context) =>
    requireWord(context, 'reason', reason, reasonsOf(state), `a reason of state ${state}`),
  );
export type Domain = z.infer<typeof Domain>;

/** Refuses a reason of another state or a detail of another event, and names the allowed values. */
function requireWord(
  context: z.RefinementCtx,
  field: string,
  word: string,
  allowed: readonly string[],
  role: string,
): void {
  if (!allowed.includes(word))
    context.addIssue({
      code: 'custom',
      path: [field],
      message: `${JSON.stringify(word)} is not ${role}; use one of: ${allowed.join(', ')}`,
    });
}

/**
 * One host's answer to one question about one VM. `ok: false` means unknown; `domain: null` means absent from a complete
 * listing.
 */
const Answered = z
  .strictObject({
    question: z.string().min(1).max(512).describe('The id of the question.'),
    host: Host.describe('The host that answers.'),
    ok: z.boolean().describe('False if the host cannot tell. This counts as unknown, not as absent.'),
    error: z.string().max(65_536).optional().describe('The reason why the host cannot tell.'),
    unknownWords: z
      .string()
      .min(1)
      .max(512)
      .optional()
      .describe('State and reason as the host reported them, if the vocabulary lacks one of them; `ok` is then false.'),
    domain: Domain.nullable().describe('The VM in the listing; null if the listing is complete and lacks the VM.'),
    strayProcess: z
      .boolean()
      .optional()
      .describe(
        'True if a QEMU process has the UUID of the VM although libvirt does not run the VM; absent if processes cannot be seen.',
      ),
    leases: z
      .array(z.string().min(1).max(1024).describe('The name of the volume.'))
      .max(256)
      .optional()
      .describe(
        'Volumes of the VM whose lease a process on this host holds; absent if the agent does not see leases. Locks that Landfall moves by its commands are not listed.',
      ),
    disks: z
      .array(
        z.strictObject({
          volume: z.string().min(1).max(1024).describe('The name of the volume.'),
          shareable: z.boolean().default(false).describe('True if several hosts may use the volume at once.'),
        }),
      )
      .max(256)
      .optional()
      .describe(
        'The disks in the definition of the domain; absent if the agent does not look. Landfall adds unknown ones.',
      ),
    boot: z.string().max(255).optional().describe('The id of the current boot of the host; absent if unknown.'),
    sampledAt: z.iso
      .datetime({ offset: true })
      .optional()
      .describe('The time of the sample on the clock of the host; shown to people, never compared.'),
  })
  .refine(({ ok, unknownWords }) => !ok || unknownWords === undefined, {
    path: ['unknownWords'],
    message: 'must be absent if ok is true: an answer in unknown words proves nothing',
  });
export type Answered = z.infer<typeof Answered>;

const Declared = z.strictObject({
  name: z.string().max(255).describe('The name of the VM.'),
  host: Host.nullable().describe('The host of the VM; null if it has none.'),
  power: Power.default('unknown').describe('The power of the guest.'),
  volumes: z.array(Volume).max(256).default([]).describe('The volumes of the VM.'),
});

const Started = z.strictObject({
  migration: MigrationId.describe('The id of this call, chosen by its caller and used once.'),
  source: Host.describe('The host that the guest leaves.'),
  destination: Host.describe('The host that the guest moves to.'),
  flags: z
    .array(z.string().max(4096).describe('One flag.'))
    .max(256)
    .default([])
    .describe('The flags of the call, for people only.'),
  origin: z
    .enum(['running', 'paused', 'stopped'])
    .optional()
    .describe('The state of the guest on the source before the call; the recorded state if absent.'),
  leavePaused: z.boolean().default(false).describe('True if the migration leaves the guest paused on the destination.'),
  storageCopied: z
    .boolean()
    .default(false)
    .describe('True if the migration copies the disks: source and destination then have different volumes.'),
  destinationVolumes: z
    .array(Volume)
    .max(256)
    .optional()
    .describe(
      'The volumes of the VM on the destination, if storage is copied. A volume that the source has too is one on shared storage.',
    ),
  effects: z
    .enum(['drive', 'observe'])
    .default('drive')
    .describe('`drive` sends commands; `observe` records the steps of a verdict without sending commands.'),
});

/**
 * Why a call failed. `libvirt`: libvirt itself returned an error; a failed wrapper such as ssh is not one. `connection`: the
 * connection between caller and libvirtd broke. `caller-timeout`: the caller was killed by its own limit. `caller-lost`: the
 * caller died and reported nothing. `not-started`: the orchestrator failed before it called libvirt, so nothing was called.
 */
export const CallError = z.strictObject({
  kind: z
    .enum(['libvirt', 'connection', 'caller-timeout', 'caller-lost', 'not-started'])
    .describe(
      '`libvirt`: libvirt itself returned an error. `connection`: the connection to libvirt broke. `caller-timeout`: the caller stopped waiting. `caller-lost`: the caller died. `not-started`: libvirt was never called.',
    ),
  code: z.string().max(255).optional().describe('The code of the error, if known.'),
  message: z.string().max(65_536).describe('The text of the error.'),
});
export type CallError = z.infer<typeof CallError>;

const Returned = z
  .strictObject({
    migration: MigrationId.describe('The id of the call.'),
    ok: z.boolean().describe('True if the call succeeded; then there is no `error`.'),
    error: CallError.optional().describe('The error of a failed call.'),
  })
  .refine((data) => data.ok === (data.error === undefined), {
    path: ['error'],
    message: 'must be set for a failed call and absent for a successful one',
  });

const Lifecycle = z
  .strictObject({
    host: Host.describe('The host that sent the event.'),
    event: z.enum(eventWords).describe("libvirt's lifecycle event, in the words of `virsh event`"),
    detail: z.enum(detailWords).describe('detail of the event, in the words of `virsh event`'),
  })
  .superRefine(({ event, detail }, context) =>
    requireWord(context, 'detail', detail, detailsOf(event), `a detail of event ${event}`),
  );

const VolumeName = z.string().min(1).max(1024).describe('The name of the volume.');
const Holders = z.strictObject({
  volume: VolumeName,
  holders: z.array(Holder).max(1024).describe('The holders of the lease; an empty list if the lease is free.'),
});
const LeaseExpired = z.strictObject({
  volume: VolumeName,
  host: Host.describe('The host whose lease expired.'),
});
/** A command id is built from an attempt's id, a verdict's number, a kind, a volume and a host. */
const COMMAND_ID_MAX = 2048;
const Acknowledged = z.strictObject({
  command: z.string().min(1).max(COMMAND_ID_MAX).describe('The id of the command.'),
  ok: z.boolean().describe('False if the command was refused or failed; Landfall sends it again later.'),
  error: z.string().max(65_536).optional().describe('The reason why the command was refused or failed.'),
});
const Requested = z.strictObject({
  action: z.enum(['migrate', 'start', 'stop', 'ha-restart']).describe('The action that the orchestrator wants to do.'),
  host: Host.optional().describe('The host that the action concerns.'),
});
/** The fields of a resolution that the operator fills in. */
export const resolutionFields = {
  host: Host.optional().describe('The host that has the guest, according to the operator. Landfall asks it first.'),
  stopped: z
    .literal(true)
    .optional()
    .describe('The guest is stopped on every host, according to the operator. Landfall destroys nothing.'),
  command: z
    .string()
    .min(1)
    .max(COMMAND_ID_MAX)
    .optional()
    .describe('The id of a stuck step, which counts as done from now on; the attempt stays as it is otherwise.'),
  reason: z.string().min(1).max(4096).describe('The reason of the operator, stored with the verdict.'),
  attest: z
    .boolean()
    .describe(
      'The operator attests that no other host runs the guest, or that the effect of the step has taken place. Must be true.',
    ),
};
type Choice = {
  readonly host?: string | undefined;
  readonly stopped?: true | undefined;
  readonly command?: string | undefined;
};

/** Returns whether a resolution says exactly one thing: the host, that the guest is stopped, or that a step is done. */
export function isOneChoice({ host, stopped, command }: Choice): boolean {
  return [host, stopped, command].filter((given) => given !== undefined).length === 1;
}
export const ONE_CHOICE = { path: ['host'], message: 'must be set, unless `stopped` or `command` is set instead' };

const Resolution = z
  .strictObject({
    migration: MigrationId.describe('The id of the attempt.'),
    ...resolutionFields,
    operator: z.string().min(1).max(255).describe('The name of the operator.'),
  })
  .refine(isOneChoice, ONE_CHOICE);
const OperatorAction = z.strictObject({
  action: z.string().min(1).max(255).describe('The action of the operator, in words of the site.'),
  ok: z.boolean().describe('True if the action succeeded.'),
  error: z.string().max(65_536).optional().describe('The error of a failed action.'),
});

const HostFacts = z.strictObject({
  host: Host.describe('The name of the host.'),
  zone: z.string().max(255).optional().describe('The zone of the host.'),
  cluster: z
    .string()
    .max(255)
    .optional()
    .describe('The cluster of the host. Landfall searches for a lost guest in the cluster of the source.'),
  boot: z.string().max(255).optional().describe('The id of the current boot of the host.'),
  stream: z
    .enum(['connected', 'lost'])
    .optional()
    .describe(
      'The lifecycle event stream of the host. After `lost`, the open attempts of the host cannot prove that the guest never ran. Send `connected` once for each connection.',
    ),
  agent: z.enum(['speaking', 'silent']).optional().describe('Whether the agent of the host sends reports.'),
});
const HostFenced = z.strictObject({
  host: Host.describe('The host that was fenced and cannot write any more.'),
  by: z.string().max(255).describe('The fencing device or the operator.'),
});
const ConfigurationSet = z.strictObject({
  change: ConfigurationChange.describe('The settings that change.'),
  operator: z.string().min(1).max(255).describe('The operator who changes them.'),
});

/** Inputs about one VM; `subject` is the VM's UUID. */
export const vmInputs = {
  'landfall.vm.declared.v1': Declared,
  'landfall.vm.requested.v1': Requested,
  'landfall.migration.started.v1': Started,
  'landfall.migration.returned.v1': Returned,
  'landfall.migration.resolved.v1': Resolution,
  'landfall.operator.acted.v1': OperatorAction,
  'landfall.host.answered.v1': Answered,
  'landfall.host.lifecycle.v1': Lifecycle,
  'landfall.volume.holders.v1': Holders,
  'landfall.volume.lease-expired.v1': LeaseExpired,
  'landfall.command.acknowledged.v1': Acknowledged,
} as const;

/** Inputs about the site. Every partition receives them. */
export const siteInputs = {
  'landfall.host.facts.v1': HostFacts,
  'landfall.host.fenced.v1': HostFenced,
  'landfall.configuration.set.v1': ConfigurationSet,
} as const;

export const inputSchemas = { ...vmInputs, ...siteInputs } as const;
export type InputType = keyof typeof inputSchemas;
export type VmInputType = keyof typeof vmInputs;
export type SiteInputType = keyof typeof siteInputs;
export type InputData<T extends InputType> = z.infer<(typeof inputSchemas)[T]>;

/** Pairs of type and data, so that a switch over `type` narrows `data`. */
type VmMatter = { [T in VmInputType]: { type: T; data: InputData<T> } }[VmInputType];
type SiteMatter = { [T in SiteInputType]: { type: T; data: InputData<T> } }[SiteInputType];
export type Matter = VmMatter | SiteMatter;

/** The origin of an input. `source` and `id` together are the idempotency key. */
type Origin = { source: string; id: string; time?: string | undefined; trace?: string | undefined };

/** A validated input. `digest` is the SHA-256 of its content in hex; it detects an identity reused with other content. */
export type VmInput = Origin & VmMatter & { vm: string; digest: string };
export type SiteInput = Origin & SiteMatter & { vm: null; digest: string };
export type Input = VmInput | SiteInput;

export function isVmInputType(type: string): type is VmInputType {
  return Object.hasOwn(vmInputs, type);
}
export function isInputType(type: string): type is InputType {
  return Object.hasOwn(inputSchemas, type);
}
