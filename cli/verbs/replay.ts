/** `kaal replay`: repeats a trace bit for bit. */
import type { Command } from 'commander'
import { ENGINES, type Engine } from '../../cpu/translator/translator.js'
import { machineWith } from '../../replay/divergence/side.js'
import { Replayer } from '../../replay/replayer.js'
import { TraceReader } from '../../trace/reader.js'
import type { Opinion } from '../../replay/divergence/narrow.js'
import { engineOption } from '../engine.js'
import { otherKaal } from '../other-kaal.js'
import { sourceReader } from '../source-files.js'
import { collect, readSymbols } from '../symbols.js'
import { Exit, UsageError } from '../errors.js'
import { GuestOutput, Progress, json, print, say } from '../output.js'
import { formatPosition, parsePosition } from '../positions.js'

interface ReplayOptions {
  readonly to?: string
  readonly quiet?: boolean
  readonly json?: boolean
  readonly engine: Engine
  readonly narrow: boolean
  readonly reference?: string
  readonly symbols: readonly string[]
  readonly source: readonly string[]
}

/** Adds the verb. */
export function addReplay(program: Command, exit: (code: number) => void): void {
  program
    .command('replay')
    .description('repeat a trace, checking every digest; exit 0 only if bit for bit')
    .argument('<trace>')
    .option('--to <position>', 'stop at the end of the batch that holds this position')
    .option('--quiet', "do not show the guest's output")
    .option('--json', 'the outcome as JSON, without the guest output')
    .option('--no-narrow', 'where the replay diverges, stop at the batch')
    .option('--reference <kaal>', 'folder of another kaal, to compare with where the replay diverges')
    .option('--symbols <elf>', 'an executable with symbols and line tables; may be given again', collect, [])
    .option('--source <folder>', 'where source files are looked for; may be given again', collect, [])
    .addOption(engineOption())
    .action(async (path: string, options: ReplayOptions) => exit(await replay(path, options)))
}

async function replay(path: string, options: ReplayOptions): Promise<number> {
  const reader = TraceReader.open(path)
  const output = new GuestOutput()
  const progress = new Progress()
  try {
    const to = options.to === undefined ? Infinity : parsePosition('--to', options.to, reader.meta.instructions)
    const { instructions } = reader.meta
    if (options.to !== undefined && to > instructions) {
      throw new UsageError(`--to ${options.to}: ${path} ends at ${formatPosition(instructions)}`)
    }
    const quiet = options.quiet === true || options.json === true
    const symbols = readSymbols(options.symbols)
    const reference = options.reference === undefined ? undefined : await otherKaal(options.reference)
    const replayer = new Replayer(reader, quiet ? {} : { onTransmit: output.put })
    replayer.execution.machine.cpu.setEngine(options.engine)
    const total = formatPosition(reader.meta.instructions)
    const result = await replayer.run({
      to,
      onProgress: (icount) => progress.show(`${formatPosition(icount)} of ${total}`),
    })
    output.flush()
    progress.clear()
    if (result.kind === 'diverged') {
      const { divergence } = result
      say(`${path}: ${divergence.message}`)
      if (!options.narrow) {
        if (options.json) print(json(result))
        return Exit.BAD
      }
      // Loaded here, and not by those who replay without a divergence.
      const { narrow } = await import('../../replay/divergence/narrow.js')
      const { reportLines } = await import('../../replay/divergence/report.js')
      const narrowing = await narrow(reader, divergence, {
        ...opinions(options.engine, reference),
        diverged: replayer.execution.machine,
        symbols,
        readSource: sourceReader(options.source),
        onProgress: (what, icount) => progress.show(`${what}, ${formatPosition(icount)}`),
      })
      progress.clear()
      if (options.json) print(json({ ...result, narrowing }))
      else for (const line of reportLines(narrowing)) print(line)
      return Exit.BAD
    }
    if (options.json) print(json(result))
    const rest = reader.meta.finished ? '' : '; the trace is unfinished: its recorder was killed'
    const digest = result.finalDigest === undefined ? '' : `, final digest ${result.finalDigest}`
    say(`${path}: bit for bit the same up to ${formatPosition(result.instructions)}${digest}${rest}`)
    return Exit.GOOD
  } finally {
    reader.close()
  }
}

/** Who has diverged, and who may know better: another kaal if there is one, and the other engines of this one. */
function opinions(engine: Engine, reference: Opinion | undefined): { subject: Opinion; opinions: Opinion[] } {
  const named = (each: Engine): Opinion => ({ name: `the ${each} engine`, make: machineWith(each) })
  const others = ENGINES.filter((each) => each !== engine).map((each) => named(each))
  return { subject: named(engine), opinions: reference ? [reference, ...others] : others }
}
