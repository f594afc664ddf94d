/** `kaal replay`: repeats a trace bit for bit. */
import type { Command } from 'commander'
import { ENGINES, type Engine } from '../../cpu/translator/translator.js'
import { machineWith } from '../../replay/divergence/side.js'
import { Restorer } from '../../replay/pack/restorer.js'
import { Replayer } from '../../replay/replayer.js'
import { isPack } from '../../trace/pack/container.js'
import { TraceReader } from '../../trace/reader.js'
import type { Opinion } from '../../replay/divergence/narrow.js'
import { engineOption } from '../engine.js'
import { otherKaal } from '../other-kaal.js'
import { sourceReader } from '../source-files.js'
import { collect, readSymbols } from '../symbols.js'
import { Exit, UsageError } from '../errors.js'
import { GuestOutput, json, print, say } from '../output.js'
import { addImageOption, openPack } from '../packs.js'
import { formatPosition, parsePosition } from '../positions.js'
import { Progress } from '../progress.js'

interface ReplayOptions {
  readonly to?: string
  readonly quiet?: boolean
  readonly json?: boolean
  readonly image: readonly string[]
  readonly engine: Engine
  readonly narrow: boolean
  readonly reference?: string
  readonly symbols: readonly string[]
  readonly source: readonly string[]
}

/** Adds the verb. */
export function addReplay(program: Command, exit: (code: number) => void): void {
  const verb = program
    .command('replay')
    .description('repeat a trace, or a packed one, checking every digest; exit 0 only if bit for bit')
    .argument('<trace>')
    .option('--to <position>', 'stop at the end of the batch that holds this position')
    .option('--quiet', "do not show the guest's output")
    .option('--json', 'the outcome as JSON, without the guest output')
    .option('--no-narrow', 'where the replay diverges, stop at the batch')
    .option('--reference <kaal>', 'folder of another kaal, to compare with where the replay diverges')
    .option('--symbols <elf>', 'an executable with symbols and line tables; may be given again', collect, [])
    .option('--source <folder>', 'where source files are looked for; may be given again', collect, [])
    .addOption(engineOption())
  addImageOption(verb).action(async (path: string, options: ReplayOptions) =>
    exit(await (isPack(path) ? replayPack : replay)(path, options)),
  )
}

/** Where to stop. */
function limitOf(path: string, text: string | undefined, end: number): number {
  if (text === undefined) return Infinity
  const to = parsePosition('--to', text, end)
  if (to > end) throw new UsageError(`--to ${text}: ${path} ends at ${formatPosition(end)}`)
  return to
}

/** A packed trace has no batches to compare with: its end must be right. */
async function replayPack(path: string, options: ReplayOptions): Promise<number> {
  const pack = openPack(path, options.image)
  const { instructions, finished } = pack.meta
  const to = limitOf(path, options.to, instructions)
  const quiet = options.quiet === true || options.json === true
  const output = new GuestOutput()
  const progress = new Progress({ unit: 'instructions', total: instructions, besideOutput: !quiet })
  const restorer = new Restorer(pack, quiet ? {} : { onTransmit: output.put })
  restorer.execution.machine.cpu.setEngine(options.engine)
  const result = await restorer
    .run({ to, onProgress: (icount) => progress.show(icount) })
    .finally(() => progress.clear())
  output.flush()
  if (options.json) print(json(result))
  if (result.kind === 'differs') {
    say(`${path}: ${result.message}`)
    return Exit.BAD
  }
  const at = formatPosition(result.instructions)
  const partly = `replayed up to ${at}; only a replay to the end checks a packed trace`
  const digest =
    result.kind === 'same' && result.finalDigest !== undefined ? `, final digest ${result.finalDigest}` : ''
  const rest = finished ? '' : '; the trace is unfinished: its recorder was killed'
  const whole = `bit for bit the same up to ${at}${digest}${rest}`
  say(`${path}: ${result.instructions < instructions ? partly : whole}`)
  return Exit.GOOD
}

async function replay(path: string, options: ReplayOptions): Promise<number> {
  const reader = TraceReader.open(path)
  const quiet = options.quiet === true || options.json === true
  const output = new GuestOutput()
  try {
    if (options.image.length > 0) throw new UsageError('--image is for packed traces: a trace holds its images')
    const { instructions } = reader.meta
    const to = limitOf(path, options.to, instructions)
    const progress = new Progress({ unit: 'instructions', total: instructions, besideOutput: !quiet })
    const symbols = readSymbols(options.symbols)
    const reference = options.reference === undefined ? undefined : await otherKaal(options.reference)
    const replayer = new Replayer(reader, quiet ? {} : { onTransmit: output.put })
    replayer.execution.machine.cpu.setEngine(options.engine)
    const result = await replayer
      .run({ to, onProgress: (icount) => progress.show(icount) })
      .finally(() => progress.clear())
    output.flush()
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
        onProgress: (what, icount) => progress.tell(`${what}, ${formatPosition(icount)}`),
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
