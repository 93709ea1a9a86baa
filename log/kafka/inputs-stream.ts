import type { InputPosition } from '../port.ts';
import { streamOf } from '../../kafka/options.ts';

/**
 * Under which name the positions of a partition's inputs are kept: that of the topic's partition, and where an operator said
 * that the topic was made anew, how often. Offsets of one topic say nothing of another's, and positions only ever go on.
 */

const GENERATION = '\u0000inputs ';

type Positions = ReadonlyMap<string, number>;

export function inputsStream(positions: Positions, topic: string, partition: number): string {
  return named(topic, partition, positions.get(GENERATION + streamOf(topic, partition)) ?? 0);
}

/** The name after the topic was made anew, and the position that says so. */
export function nextInputsStream(
  positions: Positions,
  topic: string,
  partition: number,
): { stream: string; mark: InputPosition } {
  const stream = GENERATION + streamOf(topic, partition);
  const generation = (positions.get(stream) ?? 0) + 1;
  return { stream: named(topic, partition, generation), mark: { stream, offset: generation } };
}

function named(topic: string, partition: number, generation: number): string {
  const stream = streamOf(topic, partition);
  return generation === 0 ? stream : `${stream}#${generation}`;
}
