/** Completion for bash: `source <(kaal completion bash)`. */
import type { Catalogue, OptionEntry, ValueKind } from '../catalogue.js'

const spellings = ({ short, long }: OptionEntry): string[] => [short, long].filter((name) => name !== undefined)

const REPLY = {
  trace: `_kaal_files '*.kaal*'`,
  file: '_kaal_files',
  folder: `COMPREPLY=($(compgen -d -- "$word"))`,
  other: 'COMPREPLY=()',
} as const

/** What fills COMPREPLY for a value. */
function reply(kind: ValueKind): string {
  return kind.kind === 'choice' ? `COMPREPLY=($(compgen -W '${kind.choices.join(' ')}' -- "$word"))` : REPLY[kind.kind]
}

/** The script. */
export function bashCompletion({ options, verbs }: Catalogue): string {
  const verbCases = verbs.map((verb) => {
    const values = verb.options
      .filter(({ value }) => value !== undefined)
      .map((option) => `        ${spellings(option).join('|')}) ${reply(option.kind)}; return ;;`)
    const positional = verb.arguments[0]?.kind ?? { kind: 'other' }
    return [
      `    ${verb.name})`,
      ...(values.length > 0 ? ['      case $before in', ...values, '      esac'] : []),
      `      options='${verb.options.flatMap(spellings).join(' ')}'`,
      `      [[ $word == -* ]] || { ${reply(positional)}; return; }`,
      '      ;;',
    ].join('\n')
  })
  return `# bash completion for kaal: source <(kaal completion bash)
_kaal_files() {
  local IFS=$'\\n'
  compopt -o filenames 2> /dev/null
  COMPREPLY=($(compgen -d -- "$word") $(compgen -f -X "!\${1:-*}" -- "$word"))
}

_kaal() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} options=
  COMPREPLY=()
  if [ "$COMP_CWORD" = 1 ]; then
    COMPREPLY=($(compgen -W '${[...verbs.map(({ name }) => name), ...options.flatMap(spellings)].join(' ')}' -- "$word"))
    return
  fi
  case \${COMP_WORDS[1]} in
${verbCases.join('\n')}
    help) COMPREPLY=($(compgen -W '${verbs.map(({ name }) => name).join(' ')}' -- "$word")); return ;;
  esac
  COMPREPLY=($(compgen -W "$options" -- "$word"))
}
complete -F _kaal kaal
`
}
