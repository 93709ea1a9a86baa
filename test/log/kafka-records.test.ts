import { describe, expect, it } from 'vitest';
import { progressRecord, recordOf } from '../../log/kafka/records.ts';

const messageOf = (header: unknown) =>
  ({ value: null, headers: { landfall: JSON.stringify(header) } }) as unknown as Parameters<typeof recordOf>[1];

describe('the reader of ledger records', () => {
  it('reads checkpoints that an earlier version stored as positions', () => {
    const positions = [
      ['inputs/0', 41],
      ['\u0000relayed', 7],
    ];
    expect(recordOf(0, messageOf({ kind: 'positions', positions }))).toEqual({
      kind: 'positions',
      progressed: {
        inputPositions: [{ stream: 'inputs/0', offset: 41 }],
        checkpoints: [{ key: 'relayed', value: 7 }],
      },
    });
  });

  it('reads the input positions and checkpoints of written records', () => {
    const progressed = {
      inputPositions: [{ stream: 'inputs/0', offset: 41 }],
      checkpoints: [{ key: 'relayed', value: 7 }],
    };
    const { headers } = progressRecord(progressed);
    const message = { value: null, headers } as unknown as Parameters<typeof recordOf>[1];
    expect(recordOf(0, message)).toEqual({ kind: 'positions', progressed });
  });
});
