/** Completion for fish: `kaal completion fish | source`, or the same as a file in `~/.config/fish/completions`. */
import type { Catalogue, OptionEntry, ValueKind, VerbEntry } from '../catalogue.js'

const quoted = (text: string): string => `'${text.replaceAll(/['\\]/g, (c) => `\\${c}`)}'`

const VALUES = {
  trace: ` -f -a '(__fish_complete_suffix .kaal)'`,
  file: ' -F',
  folder: ` -f -a '(__fish_complete_directories)'`,
  other: ' -f',
} as const

/** What follows an option or stands as an argument. */
function values(kind: ValueKind): string {
  return kind.kind === 'choice' ? ` -f -a ${quoted(kind.choices.join(' '))}` : VALUES[kind.kind]
}

function optionLine(condition: string, { short, long, value, kind, description }: OptionEntry): string {
  const names = `${short === undefined ? '' : ` -s ${short.slice(1)}`}${long === undefined ? '' : ` -l ${long.slice(2)}`}`
  return `complete -c kaal -n ${condition}${names}${value === undefined ? '' : ` -r${values(kind)}`} -d ${quoted(description)}`
}

function verbLines(verb: VerbEntry): string[] {
  const condition = quoted(`__fish_seen_subcommand_from ${verb.name}`)
  const [first] = verb.arguments
  return [
    `complete -c kaal -n __fish_use_subcommand -f -a ${verb.name} -d ${quoted(verb.description)}`,
    ...(first === undefined ? [] : [`complete -c kaal -n ${condition}${values(first.kind)}`]),
    ...verb.options.map((option) => optionLine(condition, option)),
  ]
}

/** The script. */
export function fishCompletion({ options, verbs }: Catalogue): string {
  return [
    '# fish completion for kaal: kaal completion fish | source',
    ...options.map((option) => optionLine('__fish_use_subcommand', option)),
    ...verbs.flatMap(verbLines),
    '',
  ].join('\n')
}
