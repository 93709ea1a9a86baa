import { defaultConfiguration } from '../../events/configuration.ts';
import {
  absent,
  acks,
  acksAll,
  after,
  D,
  event,
  expires,
  failed,
  fails,
  fenced,
  type Given,
  jobs,
  type Move,
  paused,
  Play,
  resolves,
  running,
  S,
  says,
  shell,
  shutOff,
  spoken,
  stream,
  succeeds,
  supersedes,
  T,
  U,
  volume,
} from './machine-spec.ts';

/** Sequences of inputs that together take every transition of the machine, and the trace of each. */

const vol = [volume('v')];
const landed: Given = { says: { [S]: absent, [D]: running() }, volumes: vol };
const stayed: Given = { says: { [S]: running(), [D]: absent }, volumes: vol, outgoingSeen: true };
const switched: Given = { says: { [S]: paused('migrating'), [D]: running() }, volumes: vol };
const moving: Given = { says: { [S]: running(jobs.out), [D]: shell }, volumes: vol };
const silent: Given = { says: { [S]: failed, [D]: failed }, volumes: vol };
const half: Given = { says: { [S]: failed, [D]: running() }, volumes: vol };
const both: Given = { says: { [S]: running(), [D]: running() }, volumes: vol };
const thirds: Given = { says: { [S]: absent, [D]: absent, [T]: running(), [U]: running() }, known: [T, U] };
const asksOrigin: Given = { ...stayed, configuration: { ...defaultConfiguration, askOriginErrorCodes: ['38'] } };

const quiet: Move = (play) => {
  play.says(S, 'silent');
  play.says(D, 'silent');
};
const arrived = [says(S, absent), says(D, running())];
const left = [says(S, running()), says(D, absent)];
const doubtD = event(D, 'Resumed', 'Migrated');
const doubtS = event(S, 'Resumed', 'Unpaused');
const libvirt = fails('libvirt', 'x', '38');
/** Only the destination answers; the source’s question reaches its limit. */
const sourceRunsOut = [quiet, says(D, running()), after(5)];

type Sequence = readonly [Given, ...Move[]];

const V = 'epsilon';
const gone = [says(S, absent), says(D, absent)];
const landedPaused: Given = { says: { [S]: absent, [D]: paused('user') }, origin: 'paused', volumes: vol };

/**
 * Ways into a state that waits for a silent third host after source and destination have answered that the guest is gone.
 */
const searching: Readonly<Record<string, Sequence>> = {
  'a verification': [{}, ...gone, succeeds],
  'a first round': [{}, ...gone, fails()],
  'a recheck': [moving, fails(), ...gone, after(10)],
  'a last round': [moving, fails(), after(299), ...gone, after(1)],
  'a provisional completion': [
    { ...landedPaused, says: { ...landedPaused.says, [S]: failed } },
    fails(),
    after(300),
    ...gone,
    event(D, 'Stopped', 'Failed'),
  ],
  'a contested rollback': [silent, fails(), after(300), ...gone, doubtS],
  'a settling completion': [landedPaused, fails(), ...gone, doubtS],
  'a settled completion': [landedPaused, fails(), acksAll, ...gone, doubtS],
  'a settling rollback': [stayed, fails(), ...gone, event(D, 'Started', 'Migrated')],
  'a settled rollback': [stayed, fails(), acksAll, ...gone, event(D, 'Started', 'Migrated')],
};

/** Inputs during the wait, so that the limit of the third host’s question closes the round. */
const meanwhile: Readonly<Record<string, readonly Move[]>> = {
  'nothing happens': [],
  'it lands': [says(D, running()), doubtS, doubtD],
  'it is back': [says(S, running()), doubtS, doubtD, stream(D, 'connected')],
  'it is back, and the destination was asked too early': [says(S, running()), doubtS, doubtD],
  'it is on both': [says(S, running()), says(D, running()), doubtS, doubtD],
  'another question opens': [after(2), quiet, doubtS, doubtD],
  'another question opens, and is answered in time': [
    after(2),
    quiet,
    doubtS,
    doubtD,
    after(4),
    says(S, running()),
    says(D, running()),
  ],
};

/** Combines every way in with every input. Two more third hosts that run the guest make the attempt contested. */
function searches(): Record<string, Sequence> {
  const found: [string, Sequence][] = [];
  for (const [state, [given, ...moves]] of Object.entries(searching)) {
    for (const [what, more] of Object.entries(meanwhile)) {
      found.push([
        `${state} waits for a third host: ${what}`,
        [{ ...given, known: [V], outgoingSeen: true }, ...moves, ...more, after(5)],
      ]);
    }
    const known = [T, U, V];
    const running2 = { [T]: running(), [U]: running() };
    found.push([
      `${state} waits for a third host: two others have it`,
      [{ ...given, known, says: { ...given.says, ...running2 } }, ...moves, after(5)],
    ]);
    found.push([
      `${state} finds two third hosts`,
      [{ ...given, known: [T, U], says: { ...given.says, ...running2 } }, ...moves],
    ]);
    found.push([
      `${state} finds a third host`,
      [{ ...given, known: [T], says: { ...given.says, [T]: running() } }, ...moves],
    ]);
  }
  return Object.fromEntries(found);
}

export const sequences: Readonly<Record<string, Sequence>> = {
  ...searches(),
  'landed after a failure': [landed, fails(), acksAll],
  'landed after a success': [landed, succeeds, acksAll],
  'landed once it is asked again': [moving, fails(), ...arrived, event(D, 'Resumed', 'Migrated'), acksAll],
  'landed at a poll': [moving, fails(), after(5), ...arrived, after(10)],
  'landed in the last round': [moving, fails(), after(299.5), ...arrived, after(1)],
  'stayed after a failure': [stayed, libvirt, acksAll],
  'stayed after a success': [stayed, succeeds, acksAll],
  'stayed at a poll': [moving, fails(), ...left, after(10)],
  'stayed in the last round': [moving, fails(), after(299.5), ...left, after(1)],
  'same host': [{ destination: S }, libvirt, acksAll],
  'events while the call runs': [
    moving,
    quiet,
    event(D, 'Started', 'Migrated'),
    says(S, running(jobs.out)),
    after(6),
    succeeds,
    ...left,
    after(11),
  ],
  'an outgoing job seen while the call ran': [
    {},
    says(S, running(jobs.out)),
    says(D, absent),
    fails(),
    says(S, running()),
    after(11),
  ],
  'a question that runs out while the call runs': [{}, after(6), event(S, 'Suspended', 'Migrated'), after(1), fails()],
  'a call in flight is superseded': [both, supersedes],
  'a call in flight is superseded where it landed': [landed, supersedes],
  'a verification is superseded': [both, quiet, succeeds, supersedes, says(S, running()), says(D, running())],
  'a first round is superseded': [both, quiet, fails(), supersedes, says(S, running()), says(D, running())],
  'a recheck is superseded': [moving, fails(), after(15), supersedes],
  'a last round is superseded': [both, fails(), after(299), quiet, after(2), supersedes, after(6)],
  'questions of a superseded attempt run out one by one': [
    moving,
    fails(),
    quiet,
    stream(S, 'connected'),
    after(2),
    stream(D, 'connected'),
    supersedes,
    after(4),
    after(2),
  ],
  'a superseded attempt completes provisionally': [half, fails(), supersedes],
  'a superseded attempt completes provisionally as its question runs out': [
    both,
    fails(),
    quiet,
    supersedes,
    says(D, running()),
    after(6),
  ],
  'a verification that waits': [both, succeeds, after(11)],
  'a verification without answers': [{}, succeeds, after(16)],
  'a verification with events': [{}, succeeds, says(D, absent), doubtS, after(1), ...left],
  'a first round without answers': [{}, fails(), after(16)],
  'a first round with events': [{}, fails(), says(D, absent), doubtS, after(1), ...left],
  'a first round that is half answered': [{}, fails(), says(D, running()), after(16)],
  'two third hosts after a failure': [thirds, fails()],
  'two third hosts after a success': [thirds, succeeds],
  'two third hosts at a poll': [
    { ...thirds, says: { ...thirds.says, [S]: running() } },
    fails(),
    says(S, absent),
    after(11),
  ],
  'two third hosts in the last round': [
    { ...thirds, says: { ...thirds.says, [S]: running() } },
    fails(),
    after(299.5),
    says(S, absent),
    after(1),
  ],
  'a third host that runs out after a failure': [
    { says: { [S]: absent, [D]: absent }, known: [T] },
    fails(),
    after(400),
  ],
  'a third host that runs out after a success': [
    { says: { [S]: absent, [D]: absent }, known: [T] },
    succeeds,
    after(6),
    supersedes,
    after(6),
  ],
  'rechecking with events and silence': [
    moving,
    fails(),
    quiet,
    doubtD,
    after(2),
    stream(D, 'lost'),
    after(40),
    ...left,
    after(60),
  ],
  'contested in the last round': [both, fails(), after(300), acksAll],
  'contested as the last questions run out': [{}, fails(), after(310), acksAll, after(400)],
  'provisional in the last round': [half, fails(), after(300)],
  'provisional as the last question runs out': [both, fails(), quiet, says(D, running()), after(310)],
  'completes as the last question runs out': [
    both,
    fails(),
    expires('v'),
    quiet,
    says(D, running()),
    after(310),
    acksAll,
  ],
  'events in the last round': [
    moving,
    fails(),
    quiet,
    after(301),
    event(S, 'Stopped', 'Migrated'),
    says(D, absent),
    after(1),
    says(S, shutOff()),
    after(6),
  ],
  'a provisional one is polled': [half, fails(), after(300), says(S, absent), after(301), acksAll],
  'a provisional one is doubted': [half, fails(), after(300), doubtD, ...arrived, doubtS],
  'a provisional one runs out': [
    half,
    fails(),
    after(300),
    ...sourceRunsOut,
    doubtD,
    after(6),
    says(S, absent),
    after(300),
  ],
  'a provisional one is fenced': [half, fails(), after(300), fenced(), acksAll],
  'a provisional one whose leases expire': [half, fails(), after(300), expires('v'), acksAll],
  'a provisional one is contradicted': [half, fails(), after(300), says(S, running()), doubtS, after(301)],
  'a provisional one came back': [{ ...half, outgoingSeen: true }, fails(), after(300), ...left, doubtS, acksAll],
  'a provisional one is resolved on the destination': [half, fails(), after(300), resolves(D), acksAll],
  'a provisional one is resolved on the source': [half, fails(), after(300), resolves(S), acksAll],
  'a provisional one is superseded': [half, fails(), after(300), supersedes],
  'a contested one is polled': [both, fails(), after(300), acksAll, says(S, absent), after(300), acksAll],
  'a contested one is doubted': [both, fails(), after(300), doubtD, ...arrived, doubtS],
  'a contested one stays so': [silent, fails(), after(300), doubtD, says(D, shell), doubtD, after(301)],
  'a contested one whose commands are not acknowledged': [
    silent,
    fails(),
    after(300),
    after(6),
    acks('failed-to-migrate', false),
    after(11),
    acksAll,
  ],
  'a contested one came back': [{ ...silent, outgoingSeen: true }, fails(), after(300), ...left, doubtD, acksAll],
  'a contested one runs out': [silent, fails(), after(300), quiet, doubtD, after(3), ...arrived, after(300)],
  'a contested one runs out for good': [
    silent,
    fails(),
    after(300),
    quiet,
    doubtD,
    after(6),
    doubtD,
    after(6),
    ...arrived,
    after(300),
  ],
  'a contested one is heard of on the destination': [silent, fails(), after(300), says(D, running()), doubtD, acksAll],
  'a contested one is heard of, and its source runs out': [
    silent,
    fails(),
    after(300),
    quiet,
    doubtD,
    says(D, running()),
    after(6),
    says(S, absent),
    doubtS,
    acksAll,
  ],
  'a contested one is resolved on the destination': [silent, fails(), after(300), resolves(D), acksAll],
  'a contested one is resolved on the source': [silent, fails(), after(300), resolves(S), acksAll],
  'a contested one is superseded': [silent, fails(), after(300), supersedes, ...arrived, doubtD],
  'a contested one is everywhere gone': [
    { ...silent, known: [T] },
    fails(),
    after(300),
    says(S, absent),
    says(D, absent),
    says(T, running()),
    doubtD,
    acksAll,
  ],
  'a completion is refused and sent again': [landed, fails(), acks('post-migrate', false), after(6), acksAll],
  'a completion is doubted while it settles': [landed, fails(), doubtS, after(1), acksAll],
  'a completion is doubted in silence while it settles': [landed, fails(), quiet, doubtS, after(6), acksAll],
  'a completion is contradicted while it settles': [landed, fails(), says(S, running()), doubtS, after(301)],
  'a completion came back while it settled': [{ ...landed, outgoingSeen: true }, fails(), ...left, doubtS, acksAll],
  'a completion moved on while it settled': [
    { ...landed, known: [T] },
    fails(),
    says(D, absent),
    says(T, running()),
    doubtS,
    after(6),
    acksAll,
  ],
  'a completion is on two third hosts while it settles': [
    { ...landed, known: [T, U] },
    fails(),
    says(D, absent),
    says(T, running()),
    says(U, running()),
    doubtS,
  ],
  'a completion is superseded': [landed, fails(), supersedes],
  'a settled completion is doubted': [landed, fails(), acksAll, doubtS],
  'a settled completion is doubted twice, in silence': [
    landed,
    fails(),
    acksAll,
    quiet,
    doubtS,
    after(1),
    doubtS,
    after(6),
  ],
  'a settled completion is contradicted': [landed, fails(), acksAll, says(S, running()), doubtS, after(301)],
  'a settled completion is doubted in silence for as long as an attempt may take': [
    landed,
    fails(),
    acksAll,
    quiet,
    doubtS,
    after(320),
  ],
  'a completion whose source had stopped came back while it settles': [
    { ...switched, outgoingSeen: true },
    fails(),
    ...left,
    doubtS,
    acksAll,
  ],
  'a settled completion whose source had stopped came back': [
    { ...switched, outgoingSeen: true },
    fails(),
    acksAll,
    ...left,
    doubtS,
    acksAll,
  ],
  'a settled completion came back': [{ ...landed, outgoingSeen: true }, fails(), acksAll, ...left, doubtS, acksAll],
  'a settled completion is on two third hosts': [
    { ...landed, known: [T, U] },
    fails(),
    acksAll,
    says(D, absent),
    says(T, running()),
    says(U, running()),
    doubtS,
  ],
  'a settled completion was started on a silent third host': [
    landed,
    fails(),
    acksAll,
    event(T, 'Started', 'Booted'),
    after(320),
  ],
  'a settled completion moved on': [
    { ...landed, known: [T] },
    fails(),
    acksAll,
    says(D, absent),
    says(T, running()),
    doubtS,
    acksAll,
  ],
  'a settled completion is superseded while it is doubted': [landed, fails(), acksAll, quiet, doubtS, supersedes],
  'a settled completion is half answered': [
    landed,
    fails(),
    acksAll,
    quiet,
    doubtS,
    says(S, absent),
    after(2),
    stream(S, 'lost'),
    says(D, running()),
  ],
  'a rollback is refused and sent again': [stayed, fails(), acks('failed-to-migrate', false), after(6), acksAll],
  'a rollback asks its origin': [asksOrigin, libvirt, says(S, paused('user')), acksAll],
  'a rollback whose origin is silent': [asksOrigin, libvirt, quiet, acksAll, after(6)],
  'a rollback is doubted while it settles': [stayed, fails(), doubtD, after(1), acksAll],
  'a rollback is doubted in silence while it settles': [stayed, fails(), quiet, doubtD, after(6), acksAll],
  'a rollback is contradicted while it settles': [stayed, fails(), says(D, running()), doubtD, after(301)],
  'a rollback arrives while it settles': [stayed, fails(), ...arrived, doubtD, acksAll],
  'a rollback is on two third hosts while it settles': [
    { ...stayed, known: [T, U] },
    fails(),
    says(S, absent),
    says(T, running()),
    says(U, running()),
    doubtD,
  ],
  'a rollback is superseded': [stayed, fails(), supersedes],
  'a settled rollback is doubted': [stayed, fails(), acksAll, doubtD],
  'a settled rollback is doubted twice, in silence': [
    stayed,
    fails(),
    acksAll,
    quiet,
    doubtD,
    after(1),
    doubtD,
    after(6),
  ],
  'a settled rollback is doubted in silence for as long as an attempt may take': [
    stayed,
    fails(),
    acksAll,
    quiet,
    doubtD,
    after(320),
  ],
  'a settled rollback is contradicted': [stayed, fails(), acksAll, says(D, running()), doubtD, after(301)],
  'a settled rollback arrives': [stayed, fails(), acksAll, ...arrived, doubtD, acksAll],
  'a settled rollback is on two third hosts': [
    { ...stayed, known: [T, U] },
    fails(),
    acksAll,
    says(S, absent),
    says(T, running()),
    says(U, running()),
    doubtD,
  ],
  'a settled rollback was started on a silent third host': [
    stayed,
    fails(),
    acksAll,
    event(T, 'Started', 'Booted'),
    after(320),
  ],
  'a settled rollback is superseded while it is doubted': [stayed, fails(), acksAll, quiet, doubtD, supersedes],
  'a settled rollback is half answered': [
    stayed,
    fails(),
    acksAll,
    quiet,
    doubtD,
    says(S, running()),
    after(2),
    stream(S, 'lost'),
    says(D, absent),
  ],
};

/** One line for each move: states visited, verdict, questions, commands, and open timers. */
export function traceOf(name: string): string[] {
  const [given, ...moves] = sequences[name] ?? [{}];
  const play = new Play(given);
  const lines: string[] = [];
  for (const move of [() => {}, ...moves]) {
    const [asked, sent, were] = [play.questions.length, play.commands.length, play.path.length];
    try {
      move(play);
    } catch {
      lines.push('impossible');
      break;
    }
    const visited = play.path.slice(were - 1).join(' > ');
    const questions = lines.length === 0 ? '' : tally(play.questions.slice(asked).map(({ host }) => host));
    const commands = play.commands
      .slice(sent)
      .map((command) => spoken(command))
      .join(', ');
    const { verdict, attempt } = play;
    const settled =
      verdict === undefined
        ? (attempt.waiting?.row ?? '')
        : `${verdict.row}${verdict.contested ? '!' : ''} #${verdict.number}`;
    const timers = Object.entries(play.timers).map(([kind, { dueAt }]) => `${kind}+${(dueAt - play.now) / 1000}`);
    const silent = Object.values(attempt.asked).filter(({ answer }) => answer?.timedOut === true).length;
    lines.push(
      [
        visited,
        settled,
        silent > 0 && `${silent} silent`,
        questions && `asks ${questions}`,
        commands && `sends ${commands}`,
        timers.toSorted().join(' '),
      ]
        .filter((part) => part !== '' && part !== false)
        .join(' | '),
    );
  }
  return lines;
}

/** Counts equal items, such as `alpha×31, beta×31`. */
function tally(hosts: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const host of hosts) counts.set(host, (counts.get(host) ?? 0) + 1);
  return [...counts].map(([host, count]) => `${host}×${count}`).join(', ');
}
