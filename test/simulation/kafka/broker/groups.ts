import { assignPartitions } from '../../../../kafka/assigner.ts';
import type { GroupOffset } from '../../../../kafka/port.ts';
import { BrokerError } from './errors.ts';
import type { Network } from './network.ts';

export type JoinRequest = {
  readonly member: string | null;
  readonly client: string;
  readonly topics: readonly string[];
  readonly declined: readonly number[];
  readonly sessionTimeoutMs: number;
};

/** The reply to a join. */
export type Joined = {
  readonly member: string;
  readonly generation: number;
  readonly assignment: ReadonlyMap<string, readonly number[]>;
};

type Member = {
  readonly id: string;
  request: JoinRequest;
  seenAt: number;
  /** The reply to a join that waits for the rest of the group. */
  waiting: { resolve: (joined: Joined) => void; reject: (error: BrokerError) => void } | null;
};

type Group = {
  generation: number;
  isRebalancing: boolean;
  members: Map<string, Member>;
  assignments: Map<string, ReadonlyMap<string, readonly number[]>>;
  offsets: Map<string, number>;
  /** Counts the rebalances, so that a time limit ends only the rebalance that it was set for. */
  rebalances: number;
};

/** The group coordinator: members, generations, rebalances and offsets. */
export class GroupCoordinator {
  readonly #network: Network;
  readonly #partitionsOf: (topic: string) => number;
  readonly #groups = new Map<string, Group>();
  #members = 0;

  constructor(network: Network, partitionsOf: (topic: string) => number) {
    this.#network = network;
    this.#partitionsOf = partitionsOf;
  }

  /** Resolves when every member has joined the new generation, or was removed. */
  join(name: string, request: JoinRequest): Promise<Joined> {
    const group = this.#group(name);
    const member = this.#member(group, request);
    const isLeader = group.members.keys().next().value === member.id;
    const isKnown = group.assignments.has(member.id) && !group.isRebalancing;
    // A member that joins again without a change gets its assignment again. If the leader joins again, the group
    // rebalances.
    if (isKnown && !isLeader && isSame(member.request.declined, request.declined)) {
      return Promise.resolve(this.#joined(group, member));
    }
    member.request = request;
    member.waiting?.reject(new BrokerError('REBALANCE_IN_PROGRESS'));
    return new Promise((resolve, reject) => {
      member.waiting = { resolve, reject };
      this.#rebalance(group);
      this.#completeIfAllJoined(group);
    });
  }

  heartbeat(name: string, id: string, generation: number): void {
    const group = this.#group(name);
    const member = this.#requireMember(group, id, generation);
    member.seenAt = this.#network.now();
    if (group.isRebalancing) throw new BrokerError('REBALANCE_IN_PROGRESS');
  }

  leave(name: string, id: string): void {
    this.#remove(this.#group(name), id);
  }

  /** Commits the offset of a member. @throws BrokerError if the member is not in the current generation. */
  commit({ group: name, topic, partition, next }: GroupOffset, id: string, generation: number): void {
    const group = this.#group(name);
    this.#requireMember(group, id, generation);
    group.offsets.set(`${topic}/${partition}`, next);
  }

  /** Commits the offset of a transaction. */
  commitInTransaction({ group, topic, partition, next }: GroupOffset): void {
    this.#group(group).offsets.set(`${topic}/${partition}`, next);
  }

  offset(name: string, topic: string, partition: number): number | null {
    return this.#group(name).offsets.get(`${topic}/${partition}`) ?? null;
  }

  clients(name: string): string[] {
    return [...this.#group(name).members.values()].map(({ request }) => request.client);
  }

  /** The client that the group has assigned the partition to; null during a rebalance. */
  assignee(name: string, topic: string, partition: number): string | null {
    const group = this.#group(name);
    if (group.isRebalancing) return null;
    const [id] = [...group.assignments].find(([, topics]) => topics.get(topic)?.includes(partition) === true) ?? [];
    return id === undefined ? null : (group.members.get(id)?.request.client ?? null);
  }

  #group(name: string): Group {
    const known = this.#groups.get(name);
    if (known !== undefined) return known;
    const group: Group = {
      generation: 0,
      isRebalancing: false,
      members: new Map(),
      assignments: new Map(),
      offsets: new Map(),
      rebalances: 0,
    };
    this.#groups.set(name, group);
    return group;
  }

  #member(group: Group, request: JoinRequest): Member {
    const now = this.#network.now();
    if (request.member !== null) {
      const member = group.members.get(request.member);
      if (member === undefined) throw new BrokerError('UNKNOWN_MEMBER_ID');
      member.seenAt = now;
      return member;
    }
    this.#members += 1;
    const member: Member = { id: `${request.client}-${this.#members}`, request, seenAt: now, waiting: null };
    group.members.set(member.id, member);
    this.#expireLater(group, member);
    return member;
  }

  #requireMember(group: Group, id: string, generation: number): Member {
    const member = group.members.get(id);
    if (member === undefined) throw new BrokerError('UNKNOWN_MEMBER_ID');
    if (!group.isRebalancing && generation !== group.generation) throw new BrokerError('ILLEGAL_GENERATION');
    return member;
  }

  /** A member that waits for the end of a join counts as alive. */
  #expireLater(group: Group, member: Member): void {
    const { sessionTimeoutMs } = member.request;
    const silentMs = member.waiting === null ? this.#network.now() - member.seenAt : 0;
    if (silentMs >= sessionTimeoutMs) return this.#remove(group, member.id);
    this.#network.after(sessionTimeoutMs - silentMs, () => {
      if (group.members.get(member.id) === member) this.#expireLater(group, member);
    });
  }

  #remove(group: Group, id: string): void {
    const member = group.members.get(id);
    if (member === undefined) return;
    group.members.delete(id);
    group.assignments.delete(id);
    member.waiting?.reject(new BrokerError('UNKNOWN_MEMBER_ID'));
    if (group.members.size === 0) {
      group.isRebalancing = false;
      return;
    }
    this.#rebalance(group);
    this.#completeIfAllJoined(group);
  }

  #rebalance(group: Group): void {
    if (group.isRebalancing) return;
    group.isRebalancing = true;
    group.rebalances += 1;
    const nth = group.rebalances;
    const limitMs = 2 * Math.max(...[...group.members.values()].map(({ request }) => request.sessionTimeoutMs));
    this.#network.after(limitMs, () => {
      if (!group.isRebalancing || group.rebalances !== nth) return;
      for (const [id, { waiting }] of group.members) if (waiting === null) group.members.delete(id);
      this.#complete(group);
    });
  }

  #completeIfAllJoined(group: Group): void {
    if (group.isRebalancing && [...group.members.values()].every(({ waiting }) => waiting !== null))
      this.#complete(group);
  }

  #complete(group: Group): void {
    group.isRebalancing = false;
    group.generation += 1;
    group.assignments = this.#assignmentsOf(group);
    for (const member of group.members.values()) {
      const { waiting } = member;
      member.waiting = null;
      member.seenAt = this.#network.now();
      waiting?.resolve(this.#joined(group, member));
    }
  }

  #assignmentsOf(group: Group): Group['assignments'] {
    const members = [...group.members.values()];
    const assignments = new Map(members.map(({ id }): [string, Map<string, number[]>] => [id, new Map()]));
    for (const topic of new Set(members.flatMap(({ request }) => request.topics))) {
      const partitions = Array.from({ length: this.#partitionsOf(topic) }, (_, partition) => partition);
      const preferences = members
        .filter(({ request }) => request.topics.includes(topic))
        .map(({ id, request }) => ({ member: id, declined: new Set(request.declined) }));
      for (const [id, given] of assignPartitions(partitions, preferences)) assignments.get(id)?.set(topic, given);
    }
    return assignments;
  }

  #joined(group: Group, { id }: Member): Joined {
    return { member: id, generation: group.generation, assignment: group.assignments.get(id) ?? new Map() };
  }
}

const isSame = (one: readonly number[], other: readonly number[]): boolean => one.join() === other.join();
