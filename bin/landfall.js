#!/usr/bin/env node
// Starts the command line on Node 24: from source in a checkout, from dist/ in an installed package. The file is plain
// JavaScript because Node 20 may start it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const NODE_MAJOR_MIN = 24;
/** From this version on, node:sqlite and type stripping print no ExperimentalWarning. */
const NODE_24_MINOR_QUIET = 15;
const QUIET = '--disable-warning=ExperimentalWarning';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < NODE_MAJOR_MIN) {
  const own = ownNode();
  if (own === undefined) {
    process.stderr.write(
      `landfall: Node ${NODE_MAJOR_MIN} or newer is needed, this is ${process.version}; in a checkout run npm ci first\n`,
    );
    process.exit(2);
  }
  runWith(own);
} else if (major === NODE_MAJOR_MIN && minor < NODE_24_MINOR_QUIET && !process.execArgv.includes(QUIET)) {
  runWith(process.execPath);
} else {
  const source = new URL('../cli/main.ts', import.meta.url);
  const compiled = new URL('../dist/cli/main.js', import.meta.url);
  if (!existsSync(source) && existsSync(compiled)) await import(compiled.href);
  else {
    // The compile cache saves the time and the 30 MiB of type stripping at every start after the first.
    process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(new URL('../node_modules/.cache/landfall', import.meta.url));
    module.enableCompileCache(process.env['NODE_COMPILE_CACHE']); // Worker threads read this variable.
    await import(source.href);
  }
}

/** Returns the Node binary that `npm ci` installed in this checkout. */
function ownNode() {
  const candidates = [
    '../node_modules/node/bin/node',
    '../node_modules/node/bin/node.exe',
    '../node_modules/.bin/node',
  ];
  return candidates.map((path) => fileURLToPath(new URL(path, import.meta.url))).find((path) => existsSync(path));
}

/** @param {string} node */
function runWith(node) {
  const script = fileURLToPath(import.meta.url);
  const child = spawn(node, [QUIET, script, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`landfall: ${node} does not start: ${error.message}\n`);
    process.exit(2);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (signal ? constants.signals[signal] : 0)));
}
