/** `kaal report`: a bug report that is ready to send: environment, console, fault, backtrace, and how to replay. */
import { statSync } from 'node:fs'
import { arch, platform } from 'node:os'
import { basename } from 'node:path'
import type { Command } from 'commander'
import { Debugger } from '../../replay/debugger/debugger.js'
import { bugReport } from '../../replay/report.js'
import { reportMarkdown } from '../../replay/report-markdown.js'
import { Replayer } from '../../replay/replayer.js'
import { TraceReader } from '../../trace/reader.js'
import { writeWhole } from '../../trace/whole-file.js'
import { Exit, UsageError } from '../errors.js'
import { json, print, say } from '../output.js'
import { formatPosition } from '../positions.js'
import { Progress } from '../progress.js'
import { sourceReader } from '../source-files.js'
import { collect, readSymbols } from '../symbols.js'
import { VERSION } from '../version.js'
import { packFile } from './pack.js'

interface ReportFlags {
  readonly output: string
  readonly pack: boolean
  readonly images: boolean
  readonly symbols: readonly string[]
  readonly source: readonly string[]
  readonly force?: boolean
  readonly json?: boolean
}

/** Adds the verb. */
export function addReport(program: Command, exit: (code: number) => void): void {
  program
    .command('report')
    .description(
      'write a bug report: environment, console, fault with backtrace, how to replay; and the packed trace beside it',
    )
    .argument('<trace>')
    .option('-o, --output <file>', 'the report; the packed trace is named after it', 'report.md')
    .option('--no-pack', 'no packed trace')
    .option('--no-images', 'leave images out of the packed trace')
    .option('--symbols <elf>', 'an executable with symbols and line tables; may be given again', collect, [])
    .option('--source <folder>', 'where source files are looked for; may be given again', collect, [])
    .option('--force', 'replace files that exist')
    .option('--json', 'the facts as JSON too')
    .action(async (path: string, options: ReportFlags) => exit(await report(path, options)))
}

async function report(path: string, options: ReportFlags): Promise<number> {
  const { output } = options
  const force = options.force === true
  const packed = options.pack ? `${output.replace(/\.(md|markdown|txt)$/i, '')}.kaalpack` : undefined
  if (output.endsWith('.kaalpack'))
    throw new UsageError(`-o ${output}: that is a name for a packed trace; give the report another, such as report.md`)
  for (const name of packed === undefined ? [output] : [output, packed])
    if (!force && statSync(name, { throwIfNoEntry: false }))
      throw new UsageError(`${name}: exists already: give another name with -o, or --force to replace it`)
  const symbols = readSymbols(options.symbols)
  const reader = TraceReader.open(path)
  try {
    const replay = await replayed(reader)
    const debug = new Debugger(reader, { symbols, readSource: sourceReader(options.source), warn: say })
    const facts = await bugReport(debug)
    if (packed !== undefined) await packFile(path, packed, { images: options.images, force })
    const pack =
      packed === undefined
        ? undefined
        : { name: basename(packed), bytes: statSync(packed).size, images: options.images }
    const host = `Node ${process.versions.node}, ${platform()} ${arch()}`
    const context = { trace: basename(path), kaal: VERSION, host, replay, pack }
    await writeWhole(output, async () => [reportMarkdown(facts, context)], force)
    if (options.json) print(json({ report: output, pack: packed ?? null, replay, ...facts }))
    say(`${path}: ${facts.summary}`)
    const beside = pack && packed !== undefined ? `, and ${packed}, ${pack.bytes} bytes` : ''
    say(
      `written to ${output}${beside}; look through it before you send it: console, images and inputs may hold private data`,
    )
    return Exit.GOOD
  } finally {
    reader.close()
  }
}

/** Whether the trace replays here, in words. */
async function replayed(reader: TraceReader): Promise<string> {
  const progress = new Progress({ unit: 'instructions', total: reader.meta.instructions })
  try {
    const result = await new Replayer(reader).run({ onProgress: (icount) => progress.show(icount) })
    if (result.kind === 'diverged') return `the replay DIFFERS: ${result.divergence.message}`
    return `bit for bit the same up to ${formatPosition(result.instructions)}`
  } finally {
    progress.clear()
  }
}
