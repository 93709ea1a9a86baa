import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const LIMIT_MS = 1500;

/**
 * Asks QEMU one question over its second QMP socket. Resolves with undefined if QEMU does not answer in time or has ended.
 * QEMU serves one client at a time; further clients wait.
 */
export function askQmp(socket: string, command: string): Promise<Record<string, unknown> | undefined> {
  return new Promise((resolve) => {
    const client = connect(socket);
    const end = (answer: Record<string, unknown> | undefined) => {
      clearTimeout(limit);
      client.destroy();
      resolve(answer);
    };
    const limit = setTimeout(() => end(undefined), LIMIT_MS);
    client.once('error', () => end(undefined));
    client.once('close', () => end(undefined));
    const send = (execute: string) => client.write(`${JSON.stringify({ execute, id: execute })}\n`);
    createInterface({ input: client }).on('line', (line) => {
      const message = JSON.parse(line) as { QMP?: unknown; id?: string; return?: Record<string, unknown> };
      if (message.QMP !== undefined) send('qmp_capabilities');
      else if (message.id === 'qmp_capabilities') send(command);
      else if (message.id === command) end(message.return);
    });
  });
}
