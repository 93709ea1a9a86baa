import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { LabError } from './errors.ts';
import type { LabFolder } from './folder.ts';
import { mountNamespaceOf } from './processes.ts';

export type Namespace = { readonly pid: number; readonly mountNamespace: string };

/**
 * Starts a process in network, mount and UTS namespaces of its own, and runs the script there. The process then sleeps and keeps
 * the namespaces in existence. Mounts are private, so that they end with the namespace.
 */
export async function startNamespace(folder: LabFolder, name: string, script: string): Promise<Namespace> {
  const text = `${script}\necho ready\nexec sleep infinity >/dev/null 2>&1`;
  const args = ['--net', '--mount', '--uts', '--propagation', 'private', 'sh', '-ec', text];
  const child = spawn('unshare', args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  folder.record(`namespaces of ${name}`, child.pid);
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += String(chunk)));
  const ready = await new Promise<boolean>((resolve) => {
    createInterface({ input: child.stdout }).once('line', () => resolve(true));
    child.once('close', () => resolve(false));
    child.once('error', () => resolve(false));
  });
  child.unref();
  const mountNamespace = child.pid === undefined ? undefined : mountNamespaceOf(child.pid);
  if (!ready || child.pid === undefined || mountNamespace === undefined) {
    throw new LabError(
      'LAB_NAMESPACE',
      `The namespaces of ${name} cannot be set up: ${errors.trim()}.`,
      'Run as root.',
    );
  }
  return { pid: child.pid, mountNamespace };
}
