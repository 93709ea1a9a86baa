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
    question: z.string().min(1).max(512),
    host: Host,
    ok: z.boolean(),
    error: z.string().max(65_536).optional(),
    /**
     * State and reason of the domain as the host reported them, if the vocabulary lacks one of them; `ok` is then false.
     */
    unknownWords: z.string().min(1).max(512).optional(),
    domain: Domain.nullable(),
    /** True if a QEMU process has the VM's UUID although libvirt does not run the VM; absent if processes cannot be seen. */
    strayProcess: z.boolean().optional(),
    /**
     * Volumes of the VM whose lease a process on this host holds; absent if the agent does not see leases. Locks that Landfall
     * moves by its commands are not listed.
     */
    leases: z.array(z.string().min(1).max(1024)).max(256).optional(),
    /** The disks in the domain's definition, as the agent sees them; absent if it does not look. Landfall adds unknown ones. */
    disks: z
      .array(z.strictObject({ volume: z.string().min(1).max(1024), shareable: z.boolean().default(false) }))
      .max(256)
      .optional(),
    /** The host's boot id; absent if unknown. */
    boot: z.string().max(255).optional(),
    /** Time of the sample on the host's clock; shown to people, never compared. */
    sampledAt: z.iso.datetime({ offset: true }).optional(),
  })
  .refine(({ ok, unknownWords }) => !ok || unknownWords === undefined, {
    path: ['unknownWords'],
    message: 'must be absent if ok is true: an answer in unknown words proves nothing',
  });
export type Answered = z.infer<typeof Answered>;

const Declared = z.strictObject({
  name: z.string().max(255),
  host: Host.nullable(),
  power: Power.default('unknown'),
  volumes: z.array(Volume).max(256).default([]),
});

const Started = z.strictObject({
  migration: MigrationId,
  source: Host,
  destination: Host,
  flags: z.array(z.string().max(4096)).max(256).default([]),
  /** The guest's state on the source before the call. The default is the recorded state. */
  origin: z.enum(['running', 'paused', 'stopped']).optional(),
  /** True if the migration leaves the guest paused on the destination. */
  leavePaused: z.boolean().default(false),
  /** True if the migration copies the disks: source and destination then have different volumes. */
  storageCopied: z.boolean().default(false),
  /** The volumes of the VM on the destination, if storage is copied. A volume that the source has too is one on shared storage. */
  destinationVolumes: z.array(Volume).max(256).optional(),
  /** `drive` sends commands; `observe` records the steps of a verdict without sending commands. */
  effects: z.enum(['drive', 'observe']).default('drive'),
});

/**
 * Why a call failed. `libvirt`: libvirt itself returned an error; a failed wrapper such as ssh is not one. `connection`: the
 * connection between caller and libvirtd broke. `caller-timeout`: the caller was killed by its own limit. `caller-lost`: the
 * caller died and reported nothing. `not-started`: the orchestrator failed before it called libvirt, so nothing was called.
 */
export const CallError = z.strictObject({
  kind: z.enum(['libvirt', 'connection', 'caller-timeout', 'caller-lost', 'not-started']),
  code: z.string().max(255).optional(),
  message: z.string().max(65_536),
});
export type CallError = z.infer<typeof CallError>;

const Returned = z
  .strictObject({ migration: MigrationId, ok: z.boolean(), error: CallError.optional() })
  .refine((data) => data.ok === (data.error === undefined), {
    path: ['error'],
    message: 'must be set for a failed call and absent for a successful one',
  });

const Lifecycle = z
  .strictObject({
    host: Host,
    event: z.enum(eventWords).describe("libvirt's lifecycle event, in the words of `virsh event`"),
    detail: z.enum(detailWords).describe('detail of the event, in the words of `virsh event`'),
  })
  .superRefine(({ event, detail }, context) =>
    requireWord(context, 'detail', detail, detailsOf(event), `a detail of event ${event}`),
  );

const Holders = z.strictObject({ volume: z.string().min(1).max(1024), holders: z.array(Holder).max(1024) });
const LeaseExpired = z.strictObject({ volume: z.string().min(1).max(1024), host: Host });
/** A command id is built from an attempt's id, a verdict's number, a kind, a volume and a host. */
const COMMAND_ID_MAX = 2048;
const Acknowledged = z.strictObject({
  command: z.string().min(1).max(COMMAND_ID_MAX),
  ok: z.boolean(),
  error: z.string().max(65_536).optional(),
});
const Requested = z.strictObject({
  action: z.enum(['migrate', 'start', 'stop', 'ha-restart']),
  host: Host.optional(),
});
const Resolution = z
  .strictObject({
    migration: MigrationId,
    /** The host that has the guest, according to the operator. */
    host: Host.optional(),
    /** The guest is stopped on every host, according to the operator. Landfall destroys nothing. */
    stopped: z.literal(true).optional(),
    /** A step of the verdict that is stuck. It counts as done from now on, and the attempt stays as it is otherwise. */
    command: z.string().min(1).max(COMMAND_ID_MAX).optional(),
    reason: z.string().min(1).max(4096),
    /** The operator attests that the other side was checked and does not run the guest. */
    attest: z.boolean(),
    operator: z.string().min(1).max(255),
  })
  .refine((data) => [data.host, data.stopped, data.command].filter((given) => given !== undefined).length === 1, {
    path: ['host'],
    message: 'must be set, unless `stopped` or `command` is set instead',
  });
const OperatorAction = z.strictObject({
  action: z.string().min(1).max(255),
  ok: z.boolean(),
  error: z.string().max(65_536).optional(),
});

const HostFacts = z.strictObject({
  host: Host,
  zone: z.string().max(255).optional(),
  cluster: z.string().max(255).optional(),
  boot: z.string().max(255).optional(),
  /**
   * The state of the host's lifecycle event stream. After `lost`, the host's open attempts cannot prove that the guest
   * never ran.
   */
  stream: z.enum(['connected', 'lost']).optional(),
  /** True if the host's agent sends reports. */
  agent: z.enum(['speaking', 'silent']).optional(),
});
const HostFenced = z.strictObject({ host: Host, by: z.string().max(255) });
const ConfigurationSet = z.strictObject({ change: ConfigurationChange, operator: z.string().min(1).max(255) });

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
