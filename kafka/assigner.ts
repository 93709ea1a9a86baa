import type { GroupMember, PartitionAssigner } from 'kafkajs';
import { z } from 'zod';
import kafkajs from './kafkajs.ts';

/**
 * Assigns the partitions evenly to the members of a group. A member gets a partition that it declines only if every member declines
 * the partition. Each member names its declined partitions when it joins.
 */

const NAME = 'landfall.willing';
const VERSION = 0;

const UserData = z.object({ declined: z.array(z.number().int().nonnegative()) });

// Node cannot import these members by name from kafkajs, which is a CommonJS module.
const { AssignerProtocol, PartitionAssigners } = kafkajs;
const { MemberMetadata, MemberAssignment } = AssignerProtocol;

/**
 * Returns Landfall's assigner first. The round-robin assigner serves groups that have a member of an older Landfall.
 */
export function assignersOf(declined: () => readonly number[]): PartitionAssigner[] {
  const byPreference: PartitionAssigner = ({ cluster }) => ({
    name: NAME,
    version: VERSION,
    protocol: ({ topics }) => {
      const userData = Buffer.from(JSON.stringify({ declined: declined() }));
      return { name: NAME, metadata: MemberMetadata.encode({ version: VERSION, topics, userData }) };
    },
    assign: ({ members, topics }) => {
      const partitionsOf = (topic: string) =>
        cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId);
      const byTopic = topics.map((topic) => ({
        topic,
        given: assignPartitions(partitionsOf(topic), members.map(preferenceOf)),
      }));
      return Promise.resolve(
        members.map(({ memberId }) => {
          const assignment = Object.fromEntries(
            byTopic.map(({ topic, given }): [string, number[]] => [topic, given.get(memberId) ?? []]),
          );
          const userData = Buffer.alloc(0);
          return { memberId, memberAssignment: MemberAssignment.encode({ version: VERSION, assignment, userData }) };
        }),
      );
    },
  });
  return [byPreference, PartitionAssigners.roundRobin];
}

export type MemberPreference = { readonly member: string; readonly declined: ReadonlySet<number> };

/** Assigns each partition to the willing member with the fewest partitions, or to any member if all decline the partition. */
export function assignPartitions(
  partitions: readonly number[],
  members: readonly MemberPreference[],
): Map<string, number[]> {
  const given = new Map<string, number[]>(
    members
      .map(({ member }) => member)
      .toSorted()
      .map((member) => [member, []]),
  );
  const isWilling = (member: string, partition: number) =>
    members.some((each) => each.member === member && !each.declined.has(partition));
  // Declined partitions come first, so that the rest can even out the numbers.
  const isDeclined = (partition: number) => members.some(({ declined }) => declined.has(partition));
  const ordered = [...partitions.filter(isDeclined), ...partitions.filter((partition) => !isDeclined(partition))];
  for (const partition of ordered) {
    const all = [...given.entries()];
    const willing = all.filter(([member]) => isWilling(member, partition));
    const [first, ...others] = willing.length > 0 ? willing : all;
    if (first === undefined) break;
    const [, least] = others.reduce((best, each) => (each[1].length < best[1].length ? each : best), first);
    least.push(partition);
  }
  return given;
}

function preferenceOf({ memberId, memberMetadata }: GroupMember): MemberPreference {
  return { member: memberId, declined: new Set(declinedIn(memberMetadata)) };
}

/** Metadata that cannot be parsed declines nothing. */
function declinedIn(metadata: Buffer): number[] {
  try {
    const text = MemberMetadata.decode(metadata)?.userData.toString() ?? '';
    return UserData.parse(JSON.parse(text)).declined;
  } catch {
    return [];
  }
}
