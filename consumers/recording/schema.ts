import { z } from 'zod';
import { Holder, Host, VmId } from '../../events/vocabulary.ts';

/**
 * Schemas of the recorded lines: observations of agents on real hosts, in the recorder's time. recordings/README.md
 * explains each kind.
 */

/** The largest time that a Date can represent, in milliseconds. */
const MS_MAX = 8.64e15;
const t = z.number().nonnegative().max(MS_MAX);
const host = Host;

/** One domain in the texts of virsh. */
const RecordedDomain = z.strictObject({
  name: z.string().max(255),
  state: z.string().max(64),
  reason: z.string().max(255),
  /** The number of libvirt's operation, `none`, or libvirt's error message. */
  job: z.string().max(4096),
});

/** A volume by its name, or with the information that several hosts may use it at a time. */
const RecordedVolume = z.union([
  z.string().min(1).max(1024),
  z.looseObject({ volume: z.string().min(1).max(1024), shareable: z.boolean().optional() }),
]);

const Scenario = z.looseObject({
  kind: z.literal('scenario'),
  t,
  name: z
    .string()
    .min(1)
    .max(200)
    .refine((name) => name.isWellFormed(), 'is not well-formed Unicode'),
  vm: VmId.optional(),
  vms: z.array(VmId).optional(),
  /** All volumes of the VM, or the volumes of each VM by its UUID or name. Default: vmN.img is the only disk of vmN. */
  volumes: z
    .union([z.array(RecordedVolume).max(256), z.record(z.string(), z.array(RecordedVolume).max(256))])
    .optional(),
});
const VirshEvent = z.looseObject({ kind: z.literal('virsh-event'), t, host, line: z.string() });
const StreamLost = z.looseObject({ kind: z.literal('stream-lost'), t, host });
const Probe = z.looseObject({
  kind: z.literal('probe'),
  t,
  host,
  asked: t,
  same: z.literal(true).optional(),
  ok: z.boolean().optional(),
  domains: z.record(z.string(), RecordedDomain).optional(),
  error: z.string().optional(),
  boot: z.string().optional(),
});
const Lock = z.looseObject({ kind: z.literal('lock'), t, volume: z.string().min(1), holders: z.array(Holder) });
const Api = z.looseObject({
  kind: z.literal('api'),
  t,
  action: z.string().min(1),
  phase: z.enum(['start', 'end']).optional(),
  vm: VmId.optional(),
  migrationId: z.string().min(1).max(200).optional(),
  source: host.optional(),
  destination: host.optional(),
  flags: z.array(z.string()).optional(),
  ok: z.boolean().optional(),
  rc: z.union([z.number(), z.string(), z.null()]).optional(),
  error: z.string().nullish(),
});
/** Lab actions and the true ending of a recording. Agents cannot see them, so verdicts must not use them. */
const Lab = z.looseObject({ kind: z.literal('lab'), t });
const Truth = z.looseObject({
  kind: z.literal('truth'),
  t,
  vm: VmId.optional(),
  qemu_alive: z.unknown().optional(),
  domstate: z.unknown().optional(),
});

export const recordedKinds = [
  'scenario',
  'virsh-event',
  'stream-lost',
  'probe',
  'lock',
  'api',
  'lab',
  'truth',
] as const;

export const RecordedLine = z.discriminatedUnion('kind', [
  Scenario,
  VirshEvent,
  StreamLost,
  Probe,
  Lock,
  Api,
  Lab,
  Truth,
]);
export type RecordedLine = z.infer<typeof RecordedLine>;
export type ScenarioLine = z.infer<typeof Scenario>;
export type RecordedDomain = z.infer<typeof RecordedDomain>;
export type ProbeLine = z.infer<typeof Probe>;
export type ApiLine = z.infer<typeof Api>;
export type TruthLine = z.infer<typeof Truth>;
