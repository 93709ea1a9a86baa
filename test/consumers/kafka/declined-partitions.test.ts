import { describe, expect, it } from 'vitest';
import { assignersOf, assignPartitions, type MemberPreference } from '../../../kafka/assigner.ts';
import { DeclinedPartitions } from '../../../consumers/kafka/declined-partitions.ts';
import { Fault } from '../../../events/fault.ts';
import kafkajs, { type Cluster } from '../../../kafka/kafkajs.ts';

/** A member declines a partition that it cannot decide, and the group assigns it to another member. */

const behind = new Fault('CLOCK_BEHIND', 'behind', 'Set it right.');

function setUp() {
  const obstacles = new Map<number, Fault>();
  const declining = new DeclinedPartitions((partition) => obstacles.get(partition) ?? null);
  /** Checks once per second. @returns the seconds until a change was reported, or null. */
  const changesWithin = (seconds: number, from: number, down: readonly number[]) => {
    for (let second = 0; second <= seconds; second += 1) if (declining.look(down, from + second * 1000)) return second;
    return null;
  };
  return { obstacles, declining, changesWithin };
}

describe('DeclinedPartitions', () => {
  it('declines a partition after its fault has lasted for some time', () => {
    const { obstacles, declining, changesWithin } = setUp();
    expect(changesWithin(60, 0, [0, 1])).toBe(null);
    obstacles.set(1, behind);
    obstacles.set(2, behind);
    expect(changesWithin(60, 100_000, [0, 1])).toBe(5);
    expect([declining.partitions, declining.fault]).toEqual([[1], behind]);
    expect(changesWithin(600, 200_000, [0, 1])).toBe(null);
  });

  it('does not decline a partition with a short fault', () => {
    const { obstacles, changesWithin } = setUp();
    for (let from = 0; from < 100_000; from += 10_000) {
      obstacles.set(0, behind);
      expect(changesWithin(4, from, [0])).toBe(null);
      obstacles.clear();
      expect(changesWithin(4, from + 5000, [0])).toBe(null);
    }
  });

  it('accepts a declined partition again after a growing delay', () => {
    const { obstacles, declining, changesWithin } = setUp();
    const waits: (number | null)[] = [];
    for (let round = 0, from = 0; round < 4; round += 1, from += 500_000) {
      obstacles.set(0, behind);
      expect(changesWithin(10, from, [0])).toBe(5);
      obstacles.clear();
      waits.push(changesWithin(300, from + 5000, []));
      expect(declining.partitions).toEqual([]);
    }
    expect(waits).toEqual([10, 20, 40, 80]);
  });
});

describe('assignPartitions', () => {
  const will = (member: string, ...declined: number[]): MemberPreference => ({ member, declined: new Set(declined) });
  const shares = (...members: MemberPreference[]) => Object.fromEntries(assignPartitions([0, 1, 2, 3, 4, 5], members));

  it('distributes partitions evenly if no member declines any', () => {
    expect(shares(will('b'), will('a'))).toEqual({ a: [0, 2, 4], b: [1, 3, 5] });
    expect(shares(will('a'))).toEqual({ a: [0, 1, 2, 3, 4, 5] });
  });

  it('gives declined partitions to members that accept them', () => {
    expect(shares(will('a', 0, 2), will('b'))).toEqual({ a: [1, 3, 4], b: [0, 2, 5] });
    expect(shares(will('a', 0, 1, 2, 3, 4, 5), will('b'))).toEqual({ a: [], b: [0, 1, 2, 3, 4, 5] });
  });

  it('assigns a partition even if all members decline it', () => {
    const given = shares(will('a', 3), will('b', 3));
    expect(
      Object.values(given)
        .flat()
        .toSorted((one, other) => one - other),
    ).toEqual([0, 1, 2, 3, 4, 5]);
  });
});

describe('the metadata of a group member', () => {
  it('contains the declined partitions, or none if it is unreadable', async () => {
    const { MemberMetadata, MemberAssignment } = kafkajs.AssignerProtocol;
    const partitionIds = [{ partitionId: 0 }, { partitionId: 1 }];
    const cluster = { findTopicPartitionMetadata: () => partitionIds } as unknown as Cluster;
    const made = (declined: number[]) => {
      const [ours] = assignersOf(() => declined);
      return ours?.({ cluster, groupId: 'g', logger: null as never });
    };
    const topics = ['inputs'];
    const older = MemberMetadata.encode({ version: 0, topics, userData: Buffer.from('?') });
    const members = [
      { memberId: 'old', memberMetadata: older },
      { memberId: 'new', memberMetadata: made([0])?.protocol({ topics }).metadata ?? older },
    ];
    const given = (await made([])?.assign({ members, topics })) ?? [];
    const decoded = given.map(({ memberId, memberAssignment }) => [
      memberId,
      { ...MemberAssignment.decode(memberAssignment)?.assignment },
    ]);
    expect(Object.fromEntries(decoded)).toEqual({ old: { inputs: [0] }, new: { inputs: [1] } });
  });
});
