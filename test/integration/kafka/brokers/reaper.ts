import { spawn } from 'node:child_process';

/**
 * Ends every broker and removes every temporary folder when this process ends, even by SIGKILL. A shell waits for the end of its
 * standard input, which the kernel closes together with this process.
 */
const SCRIPT = `
trap '' INT TERM HUP
pids=
while read -r verb what; do
  case $verb in
    process) pids="$pids $what" ;;
    ended) kept=; for pid in $pids; do [ "$pid" = "$what" ] || kept="$kept $pid"; done; pids=$kept ;;
    folder) set -- "$@" "$what" ;;
  esac
done
[ -z "$pids" ] || { kill -9 $pids; sleep 0.3; }
[ $# -eq 0 ] || rm -rf -- "$@"
`;

let tell: ((line: string) => void) | undefined;

function reaper(): (line: string) => void {
  const child = spawn('/bin/sh', ['-c', SCRIPT], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  child.unref();
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  if ('unref' in child.stdin && typeof child.stdin.unref === 'function') child.stdin.unref();
  return (line) => child.stdin.write(`${line}\n`);
}

function say(line: string): void {
  tell ??= reaper();
  tell(line);
}

export const reapProcess = (pid: number): void => say(`process ${pid}`);
export const processEnded = (pid: number): void => say(`ended ${pid}`);
export const reapFolder = (folder: string): void => say(`folder ${folder}`);
