import fc from 'fast-check';
import { assert, describe, it } from 'vitest';
import type { Attempt } from '../../events/attempt.ts';
import type { Command } from '../../events/commands.ts';
import { askedOf } from '../../machines/evidence.ts';
import {
  absent,
  crashed,
  D,
  failed,
  type Given,
  jobs,
  type Move,
  paused,
  Play,
  running,
  S,
  shell,
  shutOff,
  T,
  volume,
  type Words,
} from '../support/machine-spec.ts';

/**
 * Properties of the machine for any sequence of inputs. A failure prints its seed and the smallest counterexample;
 * `fc.assert(property, { seed, path })` repeats it.
 */

const sayings: Readonly<Record<string, Words>> = {
  absent,
  failed,
  crashed: crashed(),
  off: shutOff(),
  left: shutOff('migrated'),
  running: running(),
  moving: running(jobs.out),
  asking: running(jobs.unknown),
  user: paused('user'),
  broken: paused('I/O error'),
  shell,
  migrating: paused('migrating'),
  switching: paused('migrating', jobs.out),
  postcopy: paused('post-copy', jobs.out),
  torn: paused('post-copy failed'),
  rebooted: { ...running(), boot: 'alpha-boot-2' },
};
const saying = fc.constantFrom(...Object.keys(sayings));
const wordsOf = (name: string): Words => sayings[name] ?? failed;
const host = fc.constantFrom(S, D);
const lifecycle = fc.constantFrom(
  ['Started', 'Migrated'] as const,
  ['Resumed', 'Migrated'] as const,
  ['Stopped', 'Migrated'] as const,
  ['Stopped', 'Failed'] as const,
  ['Suspended', 'Migrated'] as const,
  ['Crashed', 'Panicked'] as const,
);

/** A move with a name, which makes a counterexample readable. */
type Named = readonly [string, Move];
const named = (text: string, move: Move): Named =>
  Object.assign([text, move] as const, { [fc.toStringMethod]: () => text });

const anyMove: fc.Arbitrary<Named> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(host, saying)
      .map(([on, name]) => named(`${on} says ${name}`, (play) => play.says(on, wordsOf(name)))),
  },
  { weight: 1, arbitrary: host.map((on) => named(`${on} is silent`, (play) => play.says(on, 'silent'))) },
  {
    weight: 4,
    arbitrary: fc
      .constantFrom(1, 3, 7, 10, 36, 150, 310)
      .map((seconds) => named(`${seconds} s pass`, (play) => play.wait(seconds))),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(host, lifecycle)
      .map(([on, [event, detail]]) =>
        named(`${on}: ${event} ${detail}`, (play) =>
          play.apply({ type: 'lifecycle', data: { host: on, event, detail } }),
        ),
      ),
  },
  {
    weight: 1,
    arbitrary: host.map((on) =>
      named(`${on}: stream lost`, (play) => play.apply({ type: 'stream', host: on, stream: 'lost' })),
    ),
  },
  {
    weight: 1,
    arbitrary: host.map((on) =>
      named(`${on}: stream back`, (play) => play.apply({ type: 'stream', host: on, stream: 'connected' })),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constant(
      named('the shell came and went', (play) => {
        play.apply({ type: 'lifecycle', data: { host: D, event: 'Started', detail: 'Migrated' } });
        play.says(D, absent);
        play.apply({ type: 'lifecycle', data: { host: D, event: 'Stopped', detail: 'Failed' } });
      }),
    ),
  },
  { weight: 3, arbitrary: fc.constant(named('everything is acknowledged', (play) => play.acknowledgeAll())) },
  { weight: 1, arbitrary: fc.constant(named('source fenced', (play) => play.apply({ type: 'fenced', host: S }))) },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.nat(9), fc.boolean()).map(([index, ok]) =>
      named(`acknowledges #${index} ${ok}`, (play) => {
        const sent = play.attempt.steps.filter(({ status }) => status === 'sent' || status === 'refused');
        const one = sent[index % Math.max(1, sent.length)];
        if (one !== undefined) play.apply({ type: 'acknowledged', data: { command: one.command, ok } });
      }),
    ),
  },
);
const returning: Named[] = [
  named('fails (timeout)', (play) => play.returns({ kind: 'caller-timeout', message: 'killed' })),
  named('fails (libvirt)', (play) => play.returns({ kind: 'libvirt', message: 'aborted' })),
  named('succeeds', (play) => play.returns(null)),
];
/** Moves before the call returns, the return, and moves after it. */
const story = fc
  .tuple(
    fc.tuple(saying, saying),
    fc.array(anyMove, { maxLength: 6, size: 'max' }),
    fc.constantFrom(...returning),
    fc.array(anyMove, { maxLength: 25, size: 'max' }),
  )
  .map(([[source, destination], before, returned, later]) => [
    named(`${S} says ${source}`, (play) => play.says(S, wordsOf(source))),
    named(`${D} says ${destination}`, (play) => play.says(D, wordsOf(destination))),
    ...before,
    returned,
    ...later,
  ]);

const given: Given = {
  says: { [T]: absent },
  volumes: [volume('a'), volume('b'), volume('shared', { shareable: true })],
  known: [S, D, T],
};

/** Plays a story and calls `look` with the states before and after each move. */
function play(moves: readonly Named[], look: (play: Play, before: Attempt, text: string) => void): void {
  const world = new Play(given);
  for (const [text, move] of moves) {
    const before = world.attempt;
    move(world);
    look(world, before, text);
  }
}
const texts = (moves: readonly Named[]) => moves.map(([text]) => text).join('; ');
/** Defines the tests of all properties, each with this number of random sequences. */
export function testProperties(numRuns: number): void {
  const RUNS = { numRuns };
  const holds = (check: (moves: readonly Named[]) => void) =>
    fc.assert(
      fc.property(story, (moves) => {
        try {
          check(moves);
        } catch (error) {
          throw new Error(`${error instanceof Error ? error.message : String(error)}\nin: ${texts(moves)}`, {
            cause: error,
          });
        }
      }),
      RUNS,
    );

  describe('one round of answers', () => {
    const evidence = fc.record({
      source: saying,
      destination: saying,
      order: fc.array(fc.nat(5), { minLength: 16, maxLength: 16 }),
    });
    /** Answers the questions in the order of asking. */
    const inOrder = Array.from({ length: 16 }, () => 0);
    const kinds = fc.constantFrom('libvirt', 'connection', 'caller-lost', 'not-started' as const);
    const origins = fc.constantFrom<NonNullable<Given['origin']>>('running', 'paused', 'stopped', 'unknown');
    const circumstances = fc.record({
      kind: kinds,
      origin: origins,
      storageCopied: fc.boolean(),
      third: fc.constantFrom('absent', 'failed', 'running', 'user', 'off'),
    });
    type Circumstances = typeof circumstances extends fc.Arbitrary<infer C> ? C : never;

    /** The verdict after all open questions are answered in the given order. @param twice delivers each answer twice. */
    const verdictOf = (
      order: readonly number[],
      source: string,
      destination: string,
      { kind, origin, storageCopied, third }: Circumstances,
      twice: boolean,
    ) => {
      const world = new Play({ known: [S, D, T], origin, storageCopied });
      world.stepOnly({
        type: 'returned',
        data: { migration: 'm1', ok: false, error: { kind, message: 'x' } },
        knownHosts: [S, D, T],
        configuration: world.attempt.configuration,
      });
      const words: Readonly<Record<string, Words>> = {
        [S]: wordsOf(source),
        [D]: wordsOf(destination),
        [T]: wordsOf(third),
      };
      for (const pick of order) {
        const open = world.questions
          .slice(2)
          .filter(
            ({ host: of, question }) =>
              question === `m1/q${askedOf(world.attempt, of).asked}` && askedOf(world.attempt, of).dueAt !== null,
          );
        const next = open[pick % Math.max(1, open.length)];
        if (next === undefined) break;
        const data = world.answerTo(next, words[next.host] ?? failed);
        for (let time = 0; time < (twice ? 2 : 1); time += 1) world.stepOnly({ type: 'answered', data });
      }
      const { verdict, attempt, at } = world;
      return {
        at,
        row: verdict?.row,
        outcome: verdict?.outcome,
        contested: verdict?.contested,
        waiting: attempt.waiting,
        rounds: attempt.rounds > 0,
      };
    };

    it('leads to the same verdict in any order and with duplicates', () => {
      fc.assert(
        fc.property(evidence, circumstances, ({ source, destination, order }, around) => {
          const first = verdictOf(inOrder, source, destination, around, false);
          assert.deepEqual(verdictOf(order, source, destination, around, false), first);
          assert.deepEqual(verdictOf(order, source, destination, around, true), first);
        }),
        RUNS,
      );
    });
  });

  describe('any sequence of inputs', () => {
    it('makes no verdict from answers to questions before the return', () => {
      holds((moves) => {
        const returned = moves.findIndex(([text]) => text.startsWith('fails') || text === 'succeeds');
        play(moves.slice(0, returned), ({ verdicts }) => assert.deepEqual(verdicts, []));
        const world = new Play(given);
        for (const [, move] of moves.slice(0, returned)) move(world);
        const early = world.questions.slice();
        for (const on of [S, D]) world.says(on, 'silent');
        world.returns({ kind: 'libvirt', message: 'x' });
        for (const question of early)
          world.stepOnly({
            type: 'answered',
            data: world.answerTo(question, question.host === S ? absent : running()),
          });
        assert.deepEqual(world.verdicts, []);
      });
    });

    it('makes no verdict while source or destination has an open question', () => {
      holds((moves) => {
        const world = new Play(given);
        const stepOnly = world.stepOnly.bind(world);
        world.stepOnly = (stimulus) => {
          const stepped = stepOnly(stimulus);
          const isJudged =
            stepped.verdict !== null && stepped.verdict.row !== 'same-host' && stepped.verdict.row !== 'operator';
          if (isJudged && stimulus.type !== 'fenced') {
            for (const on of [S, D])
              assert.isTrue(
                stepped.questions.some((question) => question.host === on) ||
                  askedOf(stepped.state.attempt, on).dueAt === null,
              );
          }
          return stepped;
        };
        for (const [, move] of moves) move(world);
      });
    });

    it('bases every verdict on questions after the return, and keeps replaced verdicts', () => {
      holds((moves) =>
        play(moves, ({ attempt }) => {
          for (const [index, verdict] of attempt.verdicts.entries()) {
            assert.deepEqual(verdict.number, index + 1);
            assert.deepEqual(verdict.supersedes, index === 0 ? null : index);
            for (const said of [verdict.evidence.source, verdict.evidence.destination]) {
              // A fenced host is not asked: it counts as gone.
              if (said.question === null)
                assert.deepEqual(said.presence, said.words.startsWith('fenced') ? 'absent' : 'unknown');
              else
                assert.isAbove(
                  Number(said.question.replace(/^.*q/, '')),
                  attempt.returnedSequence ?? Number.POSITIVE_INFINITY,
                );
            }
          }
        }),
      );
    });

    it('never changes an existing verdict', () => {
      holds((moves) =>
        play(moves, ({ attempt }, before) =>
          assert.deepEqual(attempt.verdicts.slice(0, before.verdicts.length), before.verdicts),
        ),
      );
    });

    it('never rolls back uncontested while the source has an outgoing job', () => {
      holds((moves) =>
        play(moves, ({ verdicts }) => {
          for (const { outcome, contested, evidence } of verdicts) {
            if (outcome === 'rolled-back' && !contested) assert.deepEqual(evidence.source.job, 'none');
          }
        }),
      );
    });

    it('resumes a switching source only by row stalled, behind its locks', () => {
      holds((moves) =>
        play(moves, (world) => {
          const resumes = world.commands.filter(({ kind }) => kind === 'resume-guest');
          for (const { command } of resumes) {
            const number = Number(/\/v(\d+)\//.exec(command)?.[1]);
            const verdict = world.verdicts[number - 1];
            assert.deepEqual(verdict?.row, 'stalled');
            assert.deepEqual(verdict?.evidence.ran, 'no');
          }
          for (const resume of world.attempt.steps.filter(
            ({ kind, status }) => kind === 'resume-guest' && status === 'sent',
          )) {
            const acquires = world.attempt.steps.filter(({ kind }) => kind === 'acquire-lock');
            assert.deepEqual(
              acquires.map(({ status }) => status),
              acquires.map(() => 'done'),
            );
            assert.isAbove(resume.tries, 0);
          }
        }),
      );
    });

    /** A release on a fenced host, or of an expired lease, ends without an acknowledgement. */
    const isEndedOn = ({ steps }: Attempt, { volume: of }: Command) =>
      steps.some(({ kind, volume: its, ended }) => kind === 'release-lock' && its === of && ended !== undefined);

    it('acquires no lock before its release is acknowledged', () => {
      holds((moves) => {
        const world = new Play(given);
        const released = new Set<string>();
        const keyOf = ({ command }: Pick<Command, 'command'>, volumeOf: string | null) =>
          `${/\/v\d+\//.exec(command)?.[0]}${volumeOf}`;
        const stepOnly = world.stepOnly.bind(world);
        world.stepOnly = (stimulus) => {
          if (stimulus.type === 'acknowledged' && stimulus.data.ok) {
            const step = world.attempt.steps.find(({ command }) => command === stimulus.data.command);
            if (step?.kind === 'release-lock') released.add(keyOf(step, step.volume));
          }
          const stepped = stepOnly(stimulus);
          for (const command of stepped.commands) {
            assert.notDeepEqual(command.volume, 'shared');
            if (command.kind === 'acquire-lock')
              assert.isTrue(released.has(keyOf(command, command.volume)) || isEndedOn(stepped.state.attempt, command));
          }
          return stepped;
        };
        for (const [, move] of moves) move(world);
      });
    });

    it('sends no lock or guest command for a contested verdict', () => {
      holds((moves) =>
        play(moves, ({ commands }) => {
          const touching = commands.filter(
            ({ contested, kind }) => contested && kind !== 'failed-to-migrate' && kind !== 'fail-call',
          );
          assert.deepEqual(touching, []);
        }),
      );
    });

    it('keeps the id of a retried command and counts its tries', () => {
      holds((moves) =>
        play(moves, ({ commands }) => {
          const tries = new Map<string, number>();
          for (const command of commands) {
            assert.deepEqual(command.try, (tries.get(command.command) ?? 0) + 1);
            tries.set(command.command, command.try);
          }
        }),
      );
    });

    it('gives verdict and commands the token issued for that step', () => {
      holds((moves) => {
        const world = new Play(given);
        let issued = 40;
        world.nextToken = () => (issued += 7);
        const stepOnly = world.stepOnly.bind(world);
        world.stepOnly = (stimulus) => {
          const stepped = stepOnly(stimulus);
          if (stepped.verdict !== null) assert.deepEqual(stepped.verdict.token, issued);
          const inForce = stepped.state.attempt.verdicts.at(-1)?.token;
          for (const { token } of stepped.commands) assert.deepEqual(token, inForce);
          return stepped;
        };
        for (const [, move] of moves) move(world);
      });
    });

    it('never shifts the deadline of an undecided attempt', () => {
      holds((moves) => {
        let expected: number | null = null;
        play(moves, ({ attempt, state, timers }) => {
          if (attempt.verdicts.length > 0 || attempt.returnedAt === null) return;
          expected ??= attempt.returnedAt + 300_000;
          const value = JSON.stringify(state.value);
          if (value.includes('watching')) {
            assert.deepEqual(attempt.deadlineAt, expected);
            assert.deepEqual(timers.deadline?.dueAt, expected);
          }
        });
      });
    });

    it('decides every attempt by the deadline and its final round', () => {
      holds((moves) => {
        const world = new Play(given);
        for (const [, move] of moves) move(world);
        if (world.attempt.verdicts.length > 0) return;
        world.wait(300 + 3 * 5);
        assert.isAbove(world.verdicts.length, 0);
      });
    });

    it('sets a question limit whenever an awaited question is open', () => {
      holds((moves) =>
        play(moves, ({ at, attempt, timers }) => {
          const isOpen = Object.values(attempt.asked).some(({ dueAt }) => dueAt !== null);
          const waits = !/settled|superseded/.test(at);
          if (isOpen && waits) assert.isDefined(timers['question-limit']);
        }),
      );
    });

    it('gives the same state after a round trip through JSON', () => {
      holds((moves) => {
        const one = new Play(given);
        const other = new Play(given);
        for (const [, move] of moves) {
          move(one);
          other.state = JSON.parse(JSON.stringify(other.state)) as Play['state'];
          move(other);
        }
        assert.deepEqual(other.state, one.state);
        assert.deepEqual(other.timers, one.timers);
        assert.deepEqual(other.commands, one.commands);
      });
    });
  });
}
