/** `kaal export`: a trace for other tools: timelines, the console as a film, tables. */
import { statSync } from 'node:fs'
import { type Command, Option } from 'commander'
import type { Engine } from '../../cpu/translator/translator.js'
import { readDescription } from '../../replay/description.js'
import { asciicast } from '../../replay/export/asciicast.js'
import { chromeTrace } from '../../replay/export/chrome.js'
import { CSV_TABLES, csv } from '../../replay/export/csv.js'
import type { Observation } from '../../replay/export/happenings.js'
import { instructionsToObserve, observe } from '../../replay/export/observe.js'
import { perfettoTrace } from '../../replay/export/perfetto.js'
import { layOut } from '../../replay/export/tracks.js'
import { TraceReader } from '../../trace/reader.js'
import { type Pieces, writeWhole } from '../../trace/whole-file.js'
import { engineOption } from '../engine.js'
import { Exit, UsageError } from '../errors.js'
import { json, print, say, writeAll } from '../output.js'
import { formatPosition, parsePosition } from '../positions.js'
import { Progress } from '../progress.js'

/** The formats, with the ends of their files' names. */
const FORMATS = { perfetto: '.perfetto-trace', chrome: '.json', asciicast: '.cast', csv: '.csv' } as const
type Format = keyof typeof FORMATS

interface ExportFlags {
  readonly format: Format
  readonly output?: string
  readonly from?: string
  readonly to?: string
  readonly table?: string
  readonly force?: boolean
  readonly json?: boolean
  readonly engine: Engine
}

/** Adds the verb. */
export function addExport(program: Command, exit: (code: number) => void): void {
  program
    .command('export')
    .description('a trace as a timeline, as a film of the console, or as tables, for other tools')
    .argument('<trace>')
    .addOption(
      new Option(
        '--format <format>',
        'perfetto: for ui.perfetto.dev; chrome: JSON for chrome://tracing and the same; asciicast: the console, for asciinema; csv',
      )
        .choices(Object.keys(FORMATS))
        .makeOptionMandatory(),
    )
    .option(
      '-o, --output <file>',
      `- for standard output (default: beside the trace, with ${Object.values(FORMATS).join(', ')})`,
    )
    .option('--from <position>', 'from this position on')
    .option('--to <position>', 'up to this position')
    .option('--table <name>', `csv: only this table, with all its columns: ${CSV_TABLES.join(', ')}`)
    .option('--force', 'replace a file that exists')
    .option('--json', 'what has been exported, as JSON')
    .addOption(engineOption())
    .action(async (path: string, options: ExportFlags) => exit(await run(path, options)))
}

async function run(path: string, options: ExportFlags): Promise<number> {
  const { format, table } = options
  if (table !== undefined && format !== 'csv') throw new UsageError(`--table ${table}: only for --format csv`)
  if (table !== undefined && !CSV_TABLES.includes(table))
    throw new UsageError(`--table ${table}: give one of ${CSV_TABLES.join(', ')}`)
  const output = options.output ?? `${path.replace(/\.kaal$/, '')}${FORMATS[format]}`
  if (output === '-' && options.json)
    throw new UsageError('--json and -o - exclude each other: both want standard output')
  const reader = TraceReader.open(path)
  let progress: Progress | undefined
  try {
    const end = reader.meta.instructions
    const span = {
      from: options.from === undefined ? 0 : parsePosition('--from', options.from, end),
      to: options.to === undefined ? end : parsePosition('--to', options.to, end),
    }
    if (span.to > end) throw new UsageError(`--to ${options.to}: ${path} ends at ${formatPosition(end)}`)
    if (span.to < span.from) throw new UsageError(`--to ${formatPosition(span.to)}: lies before --from ${options.from}`)
    const calls =
      format === 'perfetto' || format === 'chrome' || (format === 'csv' && (table ?? 'syscalls') === 'syscalls')
    const what = { ...span, calls, engine: options.engine }
    progress = new Progress({ unit: 'instructions', total: instructionsToObserve(reader, what) })
    let observation: Observation | undefined
    const make = async (): Promise<Pieces> => {
      observation = await observe(reader, { ...what, onProgress: (done) => progress?.show(done) })
      return pieces(reader, observation, options)
    }
    if (output === '-') for (const piece of await make()) writeAll(1, Buffer.from(piece as Uint8Array))
    else await writeWhole(output, make, options.force === true)
    progress.clear()
    const events = counts(observation?.happenings ?? [])
    if (options.json) print(json({ trace: path, format, output, bytes: statSync(output).size, ...span, events }))
    const list = Object.entries(events).map(([kind, count]) => `${formatPosition(count)} ${kind}`)
    say(
      `${output === '-' ? format : `${output}, ${format}, ${statSync(output).size} bytes`}: ${list.join(', ') || 'no events'}`,
    )
    return Exit.GOOD
  } finally {
    progress?.clear()
    reader.close()
  }
}

function pieces(reader: TraceReader, observation: Observation, { format, table }: ExportFlags): Pieces {
  const title = `kaal ${reader.path.split('/').at(-1)}, ${reader.meta.uuid}`
  switch (format) {
    case 'perfetto':
      return perfettoTrace(layOut(observation), title)
    case 'chrome':
      return chromeTrace(layOut(observation), title)
    case 'asciicast':
      return asciicast(observation.happenings, { title, timestamp: readDescription(reader).config.rtcBase })
    default:
      return csv(observation, table)
  }
}

function counts(happenings: Observation['happenings']): Record<string, number> {
  const events: Record<string, number> = {}
  for (const { kind } of happenings) events[kind] = (events[kind] ?? 0) + 1
  return events
}
