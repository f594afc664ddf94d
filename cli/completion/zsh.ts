/** Completion for zsh: `source <(kaal completion zsh)`, or the same as a file `_kaal` in a folder of `fpath`. */
import type { Catalogue, OptionEntry, ValueKind, VerbEntry } from '../catalogue.js'

/** Within single quotes, and within the brackets and colons of `_arguments`. */
const quoted = (text: string): string => text.replaceAll("'", `'\\''`).replaceAll(/[[\]:]/g, (c) => `\\${c}`)

const ACTION = {
  trace: '_files -g "*.kaal*"',
  file: '_files',
  folder: '_files -/',
  other: '',
} as const

function action(kind: ValueKind): string {
  return kind.kind === 'choice' ? `(${kind.choices.join(' ')})` : ACTION[kind.kind]
}

function optionSpecs({ short, long, value, kind, description }: OptionEntry): string[] {
  const names = [short, long].filter((name) => name !== undefined)
  const exclusive = names.length > 1 ? `(${names.join(' ')})` : ''
  const rest = `[${quoted(description)}]${value === undefined ? '' : `:${quoted(value)}:${action(kind)}`}`
  return names.map((name) => `'${exclusive}${name}${rest}'`)
}

function verbCase(verb: VerbEntry): string {
  const positional = verb.arguments.map(({ name, required, variadic, kind }) =>
    variadic ? `'*:${quoted(name)}:${action(kind)}'` : `':${required ? '' : ':'}${quoted(name)}:${action(kind)}'`,
  )
  const specs = [...verb.options.flatMap(optionSpecs), ...positional]
  return `    ${verb.name})\n      _arguments -s \\\n        ${specs.join(' \\\n        ')}\n      ;;`
}

/** The script. */
export function zshCompletion({ options, verbs }: Catalogue): string {
  return `#compdef kaal
# zsh completion for kaal: source <(kaal completion zsh)
_kaal() {
  local -a verbs
  verbs=(
${verbs.map(({ name, description }) => `    '${quoted(name)}:${quoted(description)}'`).join('\n')}
  )
  local state line
  _arguments -C \\
    ${options.flatMap(optionSpecs).join(' \\\n    ')} \\
    '1:verb:->verb' '*::argument:->arguments'
  case $state in
    verb) _describe verb verbs; return ;;
  esac
  case $words[1] in
${verbs.map(verbCase).join('\n')}
  esac
}
if [ "$funcstack[1]" = _kaal ]; then _kaal "$@"; else compdef _kaal kaal; fi
`
}
