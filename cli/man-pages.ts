/** Manual pages, made of the definitions of the verbs (man 7 groff_man). */
import type { ArgumentEntry, Catalogue, OptionEntry, VerbEntry } from './catalogue.js'

/** A page: its file's name, and its text. */
export interface ManPage {
  readonly file: string
  readonly text: string
}

const EXIT_STATUS: readonly (readonly [string, string])[] = [
  ['0', 'good'],
  ['1', 'bad: a replay diverged, a trace is damaged, two traces differ, the guest reported failures'],
  ['125', 'cannot tell, as git-bisect(1) understands it'],
  ['255', 'a mistake in the command line or in a file it names, or a fault of kaal itself'],
]

/** Text that groff prints as it stands. */
function escaped(text: string): string {
  const characters = text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga')
  // A full stop at the start of a line would be a request.
  return /^[.']/.test(characters) ? `\\&${characters}` : characters
}

/** A sentence of it. */
const sentence = (text: string): string => {
  const written = escaped(text)
  return /[.!?]$/.test(written) ? written : `${written}.`
}

const usage = ({ name, required, variadic }: ArgumentEntry): string => {
  const dots = variadic ? ' ...' : ''
  return required ? `\\fI${escaped(name)}\\fR${dots}` : `[\\fI${escaped(name)}\\fR${dots}]`
}

function optionItem({ short, long, value, kind, description }: OptionEntry): string[] {
  const names = [short, long].filter((name) => name !== undefined).map((name) => `\\fB${escaped(name)}\\fR`)
  const choices = kind.kind === 'choice' ? ` One of ${escaped(kind.choices.join(', '))}.` : ''
  const shown = value === undefined ? '' : ` \\fI${escaped(value)}\\fR`
  return ['.TP', `${names.join(', ')}${shown}`, `${sentence(description)}${choices}`]
}

const exitStatus = (): string[] => [
  '.SH EXIT STATUS',
  ...EXIT_STATUS.flatMap(([code, meaning]) => ['.TP', `\\fB${code}\\fR`, sentence(meaning)]),
]

function verbPage(verb: VerbEntry, others: readonly VerbEntry[], version: string): ManPage {
  const described = verb.arguments.filter(({ description }) => description !== '')
  const lines = [
    `.TH KAAL\\-${escaped(verb.name).toUpperCase()} 1 "" "kaal ${version}" "kaal manual"`,
    '.SH NAME',
    `kaal\\-${escaped(verb.name)} \\- ${escaped(verb.description)}`,
    '.SH SYNOPSIS',
    [`\\fBkaal ${escaped(verb.name)}\\fR`, '[\\fIoptions\\fR]', ...verb.arguments.map(usage)].join(' '),
    ...(described.length > 0 ? ['.SH ARGUMENTS'] : []),
    ...described.flatMap(({ name, description }) => ['.TP', `\\fI${escaped(name)}\\fR`, sentence(description)]),
    '.SH OPTIONS',
    ...verb.options.flatMap(optionItem),
    ...exitStatus(),
    '.SH SEE ALSO',
    ['.BR kaal (1)', ...others.map(({ name }) => `.BR kaal\\-${escaped(name)} (1)`)].join(',\n'),
  ]
  return { file: `kaal-${verb.name}.1`, text: `${lines.join('\n')}\n` }
}

/** All pages: `kaal.1`, and one for each verb. */
export function manPages({ description, options, verbs }: Catalogue, version: string): ManPage[] {
  const lines = [
    `.TH KAAL 1 "" "kaal ${version}" "kaal manual"`,
    '.SH NAME',
    `kaal \\- ${escaped(description.replace(/\.$/, ''))}`,
    '.SH SYNOPSIS',
    '\\fBkaal\\fR \\fIverb\\fR [\\fIoptions\\fR] [\\fIarguments\\fR]',
    '.SH VERBS',
    ...verbs.flatMap((verb) => ['.TP', `.BR kaal\\-${escaped(verb.name)} (1)`, sentence(verb.description)]),
    '.SH OPTIONS',
    ...options.flatMap(optionItem),
    '.SH POSITIONS',
    'A position in a trace is a number of instructions since reset, in decimal; digits may be grouped by underscores',
    '(12_345_678). \\fBend\\fR is the last one.',
    ...exitStatus(),
    '.SH ENVIRONMENT',
    '.TP',
    '\\fBNO_COLOR\\fR',
    'If set and not empty, nothing is coloured.',
    '.TP',
    '\\fBKAAL_DEBUG\\fR',
    'If set, a fault of kaal itself is shown with its stack.',
  ]
  return [
    { file: 'kaal.1', text: `${lines.join('\n')}\n` },
    ...verbs.map((verb) =>
      verbPage(
        verb,
        verbs.filter((other) => other !== verb),
        version,
      ),
    ),
  ]
}
