import type { GroupMember, PartitionAssigner } from 'kafkajs';
import { z } from 'zod';
import kafkajs from './kafkajs.ts';

/**
 * Shares the partitions out evenly among the members, except that nobody is given one that it declines, as long as somebody
 * else would take it. Members say at each join what they decline.
 */

const NAME = 'landfall.willing';
const VERSION = 0;

const Word = z.object({ declined: z.array(z.number().int().nonnegative()) });

// No names that Node finds in its exports.
const { AssignerProtocol, PartitionAssigners } = kafkajs;
const { MemberMetadata, MemberAssignment } = AssignerProtocol;

/** Ours first; the other is for groups in which an older Landfall is a member still. */
export function assignersOf(declined: () => readonly number[]): PartitionAssigner[] {
  const willing: PartitionAssigner = ({ cluster }) => ({
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
  return [willing, PartitionAssigners.roundRobin];
}

export type MemberPreference = { readonly member: string; readonly declined: ReadonlySet<number> };

/** Each partition to whoever has the fewest so far. One that all decline is given nevertheless: its owner says why it is down. */
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
  // Those that somebody declines first, so that the others even it out.
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

/** What cannot be read declines nothing. */
function declinedIn(metadata: Buffer): number[] {
  try {
    const text = MemberMetadata.decode(metadata)?.userData.toString() ?? '';
    return Word.parse(JSON.parse(text)).declined;
  } catch {
    return [];
  }
}
