import type { Checkpoint } from '../port.ts';
import { streamOf } from '../../kafka/options.ts';

/**
 * The stream name of a partition's inputs: the topic and partition, plus a generation once an operator has declared that the
 * topic was recreated. Offsets of the old and the new topic are not comparable, so each generation is a stream of its own.
 */

const GENERATION = 'inputs ';

type Checkpoints = ReadonlyMap<string, number>;

export function inputsStream(checkpoints: Checkpoints, topic: string, partition: number): string {
  return named(topic, partition, checkpoints.get(GENERATION + streamOf(topic, partition)) ?? 0);
}

/** Returns the stream name of the next generation, and the checkpoint that starts this generation. */
export function nextInputsStream(
  checkpoints: Checkpoints,
  topic: string,
  partition: number,
): { stream: string; mark: Checkpoint } {
  const key = GENERATION + streamOf(topic, partition);
  const generation = (checkpoints.get(key) ?? 0) + 1;
  return { stream: named(topic, partition, generation), mark: { key, value: generation } };
}

function named(topic: string, partition: number, generation: number): string {
  const stream = streamOf(topic, partition);
  return generation === 0 ? stream : `${stream}#${generation}`;
}
