import type { InputType } from '../../events/inputs.ts';
import type { Topics } from '../../kafka/options.ts';

/** The texts of docs/asyncapi.json that no schema contains. */

export const inputTexts: Readonly<Record<InputType, string>> = {
  'landfall.vm.declared.v1': 'Name, host, power and volumes of a VM.',
  'landfall.vm.requested.v1': 'Asks if an action on a VM is allowed now.',
  'landfall.migration.started.v1': 'A migration call begins.',
  'landfall.migration.returned.v1': 'A migration call ended, however it ended.',
  'landfall.migration.resolved.v1': 'An operator settles a provisional or contested attempt, or a stuck step.',
  'landfall.operator.acted.v1': 'An operator did something to the VM. It decides nothing.',
  'landfall.host.answered.v1': 'The answer of a host to one question.',
  'landfall.host.lifecycle.v1': 'A lifecycle event of libvirt.',
  'landfall.volume.holders.v1': 'The holders of the lease of a volume, as its lock manager reports them.',
  'landfall.volume.lease-expired.v1': 'The lock manager reports that the lease of a host expired.',
  'landfall.command.acknowledged.v1': 'The result of one command.',
  'landfall.host.facts.v1': 'Facts about a host that changed.',
  'landfall.host.fenced.v1': 'A host was fenced and cannot write any more.',
  'landfall.configuration.set.v1': 'An operator changes settings that affect decisions.',
};

export const channelTexts: Readonly<Record<keyof Topics, { readonly title: string; readonly description: string }>> = {
  inputs: {
    title: 'Inputs',
    description:
      'CloudEvents in JSON, one per record, at most 1 MiB. An input about a VM has the UUID of the VM as its key and is in the partition that Kafka’s default partitioner (murmur2) gives this key. An input about the site has no key and is sent to every partition. Any producer may write here; a record that is no valid input becomes a dead letter.',
  },
  ledger: {
    title: 'The ledger',
    description:
      'The entries of the ledger, one transaction for each commit. Only instances of Landfall write here. The number of partitions must never change, and nothing may be deleted.',
  },
  commands: {
    title: 'Questions and commands',
    description:
      'The work of the agents and of the orchestrator, sent at least once and in the order of each partition of the ledger. The key is the host; a record for the orchestrator has no key. Receivers reply through the inputs.',
  },
  deadLetters: {
    title: 'Dead letters',
    description: 'Inputs that were refused or could not be read, sent at least once; the headers contain the reason.',
  },
};
