/** A bug report as Markdown, ready to send. */
import { DEFAULT_CONFIG } from '../devices/config.js'
import { grouped } from './debugger/numbers.js'
import { printable } from './debugger/printable.js'
import type { BugReport } from './report.js'

/** What is known outside the trace. */
export interface ReportContext {
  /** Name of the trace. */
  readonly trace: string
  /** Version of kaal that writes the report, and what it runs on. */
  readonly kaal: string
  readonly host: string
  /** What a replay here has said: bit for bit the same, or where it differs. */
  readonly replay: string
  /** The packed trace beside the report, if there is one, and whether images are in it. */
  readonly pack: { readonly name: string; readonly bytes: number; readonly images: boolean } | undefined
}

/** Writes the report. */
export function reportMarkdown(report: BugReport, context: ReportContext): string {
  const { summary, state, uart, lastException } = report
  const parts = [
    `# ${printable(summary)}`,
    ...(report.verdict === 'well'
      ? []
      : ['_What should have happened instead, and what you did before: write it here._']),
    '## Environment',
    table(environment(report, context)),
    ...images(report),
    '## How to replay',
    fenced(commands(report, context).join('\n'), 'sh'),
    `On the machine that wrote this: ${context.replay}.`,
    `## Console: the last ${uart.length} lines`,
    fenced(uart.join('\n')),
    `## The machine at ${grouped(state.position)}: ${printable(state.what)}`,
    fenced(state.where.join('\n')),
    ...section('### Backtrace', state.backtrace),
    ...section('### Syndrome', state.syndrome),
    ...section('### Registers', state.registers),
    ...(lastException === undefined ? [] : ['### Last exception in the log', fenced(lastException)]),
  ]
  return `${parts.join('\n\n')}\n`
}

const section = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : [title, fenced(lines.join('\n'))]

function environment({ meta, ended, inputs }: BugReport, { kaal, host, trace }: ReportContext): [string, string][] {
  const end = ended === undefined ? '' : `, ended: ${ended}`
  return [
    ['kaal', `${kaal} (recorded with ${meta.kaal})`],
    ['host', host],
    ['trace', `${trace}, format ${meta.format}, ${meta.uuid}`],
    ['instructions', `${grouped(meta.instructions)}${end}${meta.finished ? '' : ', unfinished'}`],
    ...(meta.finalDigest === undefined ? [] : ([['final digest', meta.finalDigest]] as [string, string][])),
    ['inputs', `${inputs}`],
    ...Object.entries(meta.machine).map(([field, value]): [string, string] => [
      field,
      value === '' ? '(empty)' : JSON.stringify(value),
    ]),
  ]
}

function images({ images: list }: BugReport): string[] {
  if (list.length === 0) return []
  const rows = list.map(({ role, name, bytes, sha256 }) => `| ${role} | ${cell(name)} | ${bytes} | \`${sha256}\` |`)
  return [['| image | name | bytes | sha256 |', '| --- | --- | --- | --- |', ...rows].join('\n')]
}

/** The commands that bring whoever reads this to the position. */
function commands(report: BugReport, { trace, pack }: ReportContext): string[] {
  const { state, images: list } = report
  const files = list.map(({ name }) => ` --image ${quoted(name)}`).join('')
  const [name, restore] = pack
    ? ['replayed.kaal', [`kaal unpack ${quoted(pack.name)} -o replayed.kaal${pack.images ? '' : files}`]]
    : [trace, []]
  return [
    ...restore,
    `kaal replay ${quoted(name)}`,
    `kaal debug ${quoted(name)} -e 'goto ${grouped(state.position)}' -e backtrace -e regs`,
    `# recorded like this, and --input if there are inputs: ${recordCommand(report)}`,
  ]
}

/** The command that records a machine like this one. */
function recordCommand({ machine, images: list }: BugReport): string {
  const config = { ...DEFAULT_CONFIG, ...machine } as typeof DEFAULT_CONFIG
  const options: string[] = []
  if (config.memoryBytes !== DEFAULT_CONFIG.memoryBytes) options.push(`-m ${config.memoryBytes / 2 ** 20}M`)
  if (config.virtualization) options.push('--virtualization')
  if (config.icountShift !== DEFAULT_CONFIG.icountShift) options.push(`--icount-shift ${config.icountShift}`)
  if (config.rtcBase !== DEFAULT_CONFIG.rtcBase)
    options.push(`--rtc-base ${new Date(config.rtcBase * 1000).toISOString().slice(0, 19)}`)
  if (config.seed !== DEFAULT_CONFIG.seed) options.push(`--seed ${config.seed}`)
  if (config.append !== '') options.push(`--append ${quoted(config.append)}`)
  for (const { role, name } of list) if (role !== 'kernel') options.push(`--${role} ${quoted(name)}`)
  const kernel = list.find(({ role }) => role === 'kernel')
  return ['kaal record', ...options, ...(kernel ? [quoted(kernel.name)] : [])].join(' ')
}

const table = (rows: readonly (readonly [string, string])[]): string =>
  ['| | |', '| --- | --- |', ...rows.map(([name, value]) => `| ${cell(name)} | ${cell(value)} |`)].join('\n')

const cell = (text: string): string => printable(text).replaceAll('|', String.raw`\|`)

/** A word for a shell. */
const quoted = (text: string): string =>
  /^[\w./:=+-]+$/.test(text) ? text : `'${printable(text).replaceAll("'", String.raw`'\''`)}'`

/** A block of text as it is, whatever is in it. */
function fenced(text: string, language = ''): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length))
  const fence = '`'.repeat(longest + 1)
  return `${fence}${language}\n${text}\n${fence}`
}
