import type { Argument, Command, Option } from 'commander';

/** Completion scripts for shells, generated from the tree of commands: what the help shows is what is completed. */

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** One place in the tree: `landfall config set`. */
type Place = {
  readonly path: string;
  readonly children: readonly Command[];
  readonly options: readonly Option[];
  readonly values: readonly string[];
};

export function completion(program: Command, shell: Shell): string {
  const places = placesOf(program, program.name());
  const name = program.name();
  switch (shell) {
    case 'bash':
      return bash(name, places);
    case 'zsh':
      return zsh(name, places);
    case 'fish':
      return fish(name, places);
  }
}

function placesOf(command: Command, path: string): Place[] {
  const help = command.createHelp();
  const children = help.visibleCommands(command);
  const values = command.registeredArguments.flatMap((argument: Argument) => argument.argChoices ?? []);
  const place: Place = { path, children, options: help.visibleOptions(command), values };
  return [place, ...children.flatMap((child) => placesOf(child, `${path} ${child.name()}`))];
}

const takesValue = ({ required, optional }: Option) => required || optional;
const flagsOf = ({ long, short }: Option) => [long, short].filter((flag) => flag !== undefined);
const wordsOf = ({ children, values }: Place) => [...children.map((child) => child.name()), ...values];
const aboutOf = (command: Command) => command.summary() || command.description();
const indented = (lines: readonly string[], by: string) => lines.map((line) => by + line).join('\n');
/** In single quotes, as bash and zsh read them. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
/** A shell function's name. */
const functionName = (name: string) => `_${name.replace(/\W/g, '_')}`;

/** The shell's own walk along the words so far, to where in the tree they lead. */
function known(places: readonly Place[]): string {
  const paths = places.slice(1).map(({ path }) => quoted(path));
  return paths.length === 0 ? "''" : paths.join('|');
}

/** `landfall ingest --fail-on` → its choices; an option without any takes whatever the shell offers: files. */
function valueCases(places: readonly Place[], line: (choices: readonly string[]) => string): string[] {
  return places.flatMap(({ path, options }) =>
    options.filter(takesValue).map((option) => {
      const labels = flagsOf(option).map((flag) => quoted(`${path} ${flag}`));
      return `${labels.join('|')}) ${line(option.argChoices ?? [])} ;;`;
    }),
  );
}

function bash(name: string, places: readonly Place[]): string {
  const run = functionName(name);
  const cases = places.map((place) => {
    const flags = place.options.flatMap(flagsOf).join(' ');
    return `${quoted(place.path)}) words=${quoted(wordsOf(place).join(' '))}; flags=${quoted(flags)} ;;`;
  });
  const values = valueCases(places, (choices) =>
    choices.length === 0 ? 'return' : `COMPREPLY=($(compgen -W ${quoted(choices.join(' '))} -- "$cur")); return`,
  );
  return `# bash completion for ${name}: source <(${name} completion bash)
${run}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} at=${name} words= flags= i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
      ${known(places)}) at="$at \${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at $prev" in
${indented([...values, '*) ;;'], '    ')}
  esac
  case "$at" in
${indented(cases, '    ')}
  esac
  [[ $cur == -* ]] && words=$flags
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F ${run} ${name}
`;
}

function zsh(name: string, places: readonly Place[]): string {
  const run = functionName(name);
  // _describe takes \`word:explanation\`: a colon in the word would end it.
  const described = (word: string, about: string) =>
    quoted(about === '' ? word.replaceAll(':', '\\:') : `${word.replaceAll(':', '\\:')}:${about}`);
  const cases = places.map((place) => {
    const words = [
      ...place.children.map((child) => described(child.name(), aboutOf(child))),
      ...place.values.map((value) => described(value, '')),
    ];
    const flags = place.options.flatMap((option) => flagsOf(option).map((flag) => described(flag, option.description)));
    return `${quoted(place.path)}) subcommands=(${words.join(' ')}); flags=(${flags.join(' ')}) ;;`;
  });
  const values = valueCases(places, (choices) =>
    choices.length === 0 ? '_files; return' : `compadd -- ${choices.map(quoted).join(' ')}; return`,
  );
  return `#compdef ${name}
# zsh completion for ${name}: source <(${name} completion zsh), or save it as _${name} in a folder of $fpath
${run}() {
  local at=${name} i
  local -a subcommands flags
  for ((i = 2; i < CURRENT; i++)); do
    case "$at \${words[i]}" in
      ${known(places)}) at="$at \${words[i]}" ;;
    esac
  done
  case "$at \${words[CURRENT-1]}" in
${indented(values, '    ')}
  esac
  case "$at" in
${indented(cases, '    ')}
  esac
  if [[ \${words[CURRENT]} == -* ]]; then
    _describe option flags
  elif (( \${#subcommands} )); then
    _describe command subcommands
  else
    _files
  fi
}
if [[ "\${funcstack[1]}" == ${run} ]]; then ${run} "$@"; else compdef ${run} ${name}; fi
`;
}

function fish(name: string, places: readonly Place[]): string {
  const walk = `_${functionName(name)}_at`;
  const paths = places.slice(1).map(({ path }) => fishQuoted(path));
  const lines = places.flatMap(({ path, children, options, values }) => {
    const here = `complete -c ${name} -n ${fishQuoted(`test (${walk}) = "${path}"`)}`;
    return [
      ...children.map((child) => `${here} -f -a ${fishQuoted(child.name())} -d ${fishQuoted(aboutOf(child))}`),
      ...values.map((value) => `${here} -f -a ${fishQuoted(value)}`),
      ...options.map((option) => `${here}${fishOption(option)}`),
    ];
  });
  return `# fish completion for ${name}: ${name} completion fish | source
function ${walk}
  set -l at ${name}
  for word in (commandline -opc)[2..-1]
    switch "$at $word"
      case ${paths.length === 0 ? "''" : paths.join(' ')}
        set at "$at $word"
    end
  end
  echo $at
end
${lines.join('\n')}
`;
}

function fishOption(option: Option): string {
  const { long, short, description, argChoices } = option;
  const flags = [
    ...(long === undefined ? [] : [`-l ${long.replace(/^--/, '')}`]),
    ...(short === undefined ? [] : [`-s ${short.replace(/^-/, '')}`]),
  ];
  const value = takesValue(option)
    ? argChoices === undefined
      ? ' -r -F'
      : ` -x -a ${fishQuoted(argChoices.join(' '))}`
    : '';
  return ` ${flags.join(' ')}${value} -d ${fishQuoted(description)}`;
}

/** In single quotes, as fish reads them: a backslash escapes there. */
const fishQuoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
