import { spawnSync } from 'node:child_process';
import { Command, Option } from 'commander';
import { describe, expect, it } from 'vitest';
import { completion, SHELLS } from '../../../cli/completion.ts';

function program(): Command {
  const root = new Command('landfall').version('1').description('tells where');
  root
    .command('status')
    .summary("where a VM's guest is")
    .argument('[vm]')
    .option('--json', 'as JSON')
    .option('--db <file>', 'the ledger');
  const ingest = root.command('ingest').description('takes files').argument('<file...>');
  ingest.addOption(new Option('--fail-on <what>', 'exit 1').choices(['contested', 'bad']));
  const config = root.command('config').description('settings');
  config.command('get').description('shows');
  config.command('set').description('changes').option('--operator <name>', 'who');
  root.command('secret', { hidden: true });
  return root;
}

/** What bash offers for a line, whose last word is being typed. */
function offered(line: string): string[] {
  const words = line.split(' ');
  const script = `${completion(program(), 'bash')}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}
_landfall; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout.split('\n').filter((word) => word !== '');
}

const hasBash = spawnSync('bash', ['-c', 'complete -p; true']).status === 0;

describe.skipIf(!hasBash)('bash', () => {
  it.each([
    ['landfall ', ['status', 'ingest', 'config', 'help']],
    ['landfall st', ['status']],
    ['landfall config ', ['get', 'set', 'help']],
    ['landfall config set --op', ['--operator']],
    ['landfall status --', ['--json', '--db', '--help']],
    ['landfall status --db x --j', ['--json']],
    ['landfall ingest --fail-on ', ['contested', 'bad']],
    ['landfall ingest --fail-on b', ['bad']],
    ['landfall status --db ', []],
  ])('offers for %j', (line, words) => {
    expect(offered(line)).toEqual(words);
  });
});

describe('every shell', () => {
  it.each(SHELLS)('%s gets the commands the help shows, quoted', (shell) => {
    const script = completion(program(), shell);
    for (const word of ['status', 'ingest', 'config', 'fail-on', 'contested']) expect(script).toContain(word);
    expect(script).not.toContain('secret');
  });

  it('quotes as each shell reads it', () => {
    expect(completion(program(), 'zsh')).toContain("'status:where a VM'\\''s guest is'");
    expect(completion(program(), 'fish')).toContain("-a 'status' -d 'where a VM\\'s guest is'");
  });
});
