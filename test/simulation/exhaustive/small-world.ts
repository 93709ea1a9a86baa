import type { CallError, Domain, InputData } from '../../../events/inputs.ts';
import type { LifecycleDetail, LifecycleEvent } from '../../../events/libvirt.ts';

/**
 * One migration on two hosts, reduced to the facts that an observer can distinguish. The world is plain data and each move
 * returns a new world, so every interleaving can be explored from every state.
 */
export const S = 'alpha';
export const D = 'beta';

export type Small = {
  /**
   * The phase of libvirt's migration. `cancelled`: it ended before the switch-over; `stuck`: it ended after it and left the
   * source paused.
   */
  readonly phase: 'queued' | 'outgoing' | 'performing' | 'switched' | 'finished' | 'confirmed' | 'cancelled' | 'stuck';
  /** True while the source's QEMU process exists. */
  readonly source: boolean;
  readonly destination: 'none' | 'shell' | 'guest';
  /** True once the destination's CPUs ran. */
  readonly ran: boolean;
  /** The result of the call, once it returned. */
  readonly call: 'open' | 'returned' | 'killed';
  readonly down: { readonly [S]: boolean; readonly [D]: boolean };
};

export const begin: Small = {
  phase: 'queued',
  source: true,
  destination: 'none',
  ran: false,
  call: 'open',
  down: { [S]: false, [D]: false },
};

/** The result of a move: the new world, the events it causes, and the return of the call if it ends. */
export type Move = {
  readonly name: string;
  readonly fault: boolean;
  readonly world: Small;
  readonly events?: readonly Told[];
  readonly returns?: CallError | null;
};
export type Told =
  | { readonly host: string; readonly event: LifecycleEvent; readonly detail: LifecycleDetail }
  | { readonly host: string; readonly stream: 'lost' | 'connected' };

const told = (host: string, event: LifecycleEvent, detail: LifecycleDetail): Told => ({ host, event, detail });
const LIBVIRT: CallError = { kind: 'libvirt', message: 'migration failed' };
const CONNECTION: CallError = { kind: 'connection', message: 'the connection broke' };

export function movesOf(world: Small): Move[] {
  return [...progress(world), ...failures(world), ...restarts(world)];
}

const returning = (world: Small, error: CallError | null) => (world.call === 'open' ? { returns: error } : {});
const closed = (world: Small): Small => (world.call === 'open' ? { ...world, call: 'returned' } : world);

/** libvirt's phases one by one. Each phase needs both daemons. */
function progress(world: Small): Move[] {
  const go = (name: string, next: Partial<Small>, events: Told[] = [], returns?: null): Move[] => {
    const after = { ...world, ...next };
    if (returns === undefined) return [{ name, fault: false, world: after, events }];
    return [{ name, fault: false, world: closed(after), events, ...returning(world, null) }];
  };
  if (world.down[S] || world.down[D]) return [];
  switch (world.phase) {
    case 'queued':
      return world.source
        ? go('begin', { phase: 'outgoing' })
        : [
            {
              name: 'refused',
              fault: false,
              world: closed({ ...world, phase: 'cancelled' }),
              ...returning(world, LIBVIRT),
            },
          ];
    case 'outgoing':
      return go('prepare', { phase: 'performing', destination: 'shell' }, [told(D, 'Started', 'Migrated')]);
    case 'performing':
      return go('switch over', { phase: 'switched' }, [told(S, 'Suspended', 'Migrated')]);
    case 'switched':
      return go('finish', { phase: 'finished', destination: 'guest', ran: true }, [told(D, 'Resumed', 'Migrated')]);
    case 'finished':
      return go('confirm', { phase: 'confirmed', source: false }, [told(S, 'Stopped', 'Migrated')], null);
    case 'cancelled':
    case 'stuck':
      return world.destination === 'shell'
        ? go('end the shell', { destination: 'none' }, [told(D, 'Stopped', 'Failed')])
        : [];
    case 'confirmed':
      return [];
  }
}

function failures(world: Small): Move[] {
  const { phase } = world;
  const fault = (name: string, next: Partial<Small>, error: CallError, events: Told[] = []): Move => {
    const over = !['confirmed', 'cancelled', 'stuck'].includes(phase);
    const after = over ? closed({ ...world, ...next }) : { ...world, ...next };
    return { name, fault: true, world: after, events, ...(over ? returning(world, error) : {}) };
  };
  const moves: Move[] = [];
  if (phase === 'queued' || phase === 'outgoing' || phase === 'performing')
    moves.push(fault('fail', { phase: 'cancelled' }, LIBVIRT));
  if (phase === 'switched') moves.push(fault('finish never called', { phase: 'stuck' }, LIBVIRT));
  if (phase === 'finished') moves.push(fault('reply lost', { phase: 'stuck' }, LIBVIRT));
  // A p2p migration continues without its caller. The loss of the caller of a managed migration is a fault of libvirt,
  // which the moves above contain.
  if (world.call === 'open' && phase !== 'confirmed') {
    const killed: CallError = { kind: 'caller-timeout', message: 'killed' };
    moves.push({ name: 'kill the caller', fault: true, world: { ...world, call: 'killed' }, returns: killed });
  }
  if (world.source && phase !== 'finished' && !world.down[S]) {
    const next = phase === 'stuck' ? phase : phase === 'confirmed' ? phase : 'cancelled';
    moves.push(
      fault('QEMU of the source dies', { source: false, phase: next }, LIBVIRT, [told(S, 'Stopped', 'Crashed')]),
    );
  }
  if (world.destination === 'guest' && !world.down[D])
    moves.push(
      fault(
        'QEMU of the destination dies',
        { destination: 'none', phase: phase === 'finished' ? 'stuck' : phase },
        LIBVIRT,
        [told(D, 'Stopped', 'Crashed')],
      ),
    );
  return moves;
}

function restarts(world: Small): Move[] {
  const both = [S, D] as const;
  return both.flatMap((host): Move[] => {
    const down = { ...world.down, [host]: !world.down[host] };
    if (world.down[host])
      return [
        {
          name: `libvirtd of ${host} is back`,
          fault: false,
          world: { ...world, down },
          events: [{ host, stream: 'connected' }],
        },
      ];
    const phase = broken(world.phase);
    const over = phase !== world.phase;
    const after = over ? closed({ ...world, down, phase }) : { ...world, down };
    return [
      {
        name: `libvirtd of ${host} stops`,
        fault: true,
        world: after,
        events: [{ host, stream: 'lost' }],
        ...(over ? returning(world, host === S ? CONNECTION : LIBVIRT) : {}),
      },
    ];
  });
}

function broken(phase: Small['phase']): Small['phase'] {
  if (phase === 'queued' || phase === 'outgoing' || phase === 'performing') return 'cancelled';
  return phase === 'switched' || phase === 'finished' ? 'stuck' : phase;
}

/** Returns the answer of a host for its present state. */
export function sample(world: Small, host: string, question: string): InputData<'landfall.host.answered.v1'> {
  const base = { question, host, boot: `${host}-boot-1` };
  if (host === S ? world.down[S] : world.down[D])
    return { ...base, ok: false, error: 'Connection refused', domain: null };
  const domain = host === S ? onSource(world) : onDestination(world);
  return { ...base, ok: true, domain };
}

function onSource({ source, phase }: Small): Domain | null {
  if (!source) return phase === 'confirmed' ? { name: 'vm', state: 'shut off', reason: 'migrated', job: 'none' } : null;
  const moving = phase === 'outgoing' || phase === 'performing' || phase === 'switched' || phase === 'finished';
  const paused = phase === 'switched' || phase === 'finished' || phase === 'stuck';
  return {
    name: 'vm',
    state: paused ? 'paused' : 'running',
    reason: paused ? 'migrating' : 'booted',
    job: moving ? 'outgoing' : 'none',
  };
}

function onDestination({ destination }: Small): Domain | null {
  if (destination === 'none') return null;
  const shell = destination === 'shell';
  return {
    name: 'vm',
    state: shell ? 'paused' : 'running',
    reason: shell ? 'migrating' : 'migrated',
    job: shell ? 'incoming' : 'none',
  };
}
