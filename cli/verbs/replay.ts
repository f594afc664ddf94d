/** `kaal replay`: repeats a trace bit for bit. */
import type { Command } from 'commander'
import type { Engine } from '../../cpu/translator/translator.js'
import { Replayer } from '../../replay/replayer.js'
import { TraceReader } from '../../trace/reader.js'
import { engineOption } from '../engine.js'
import { Exit, UsageError } from '../errors.js'
import { GuestOutput, Progress, json, print, say } from '../output.js'
import { formatPosition, parsePosition } from '../positions.js'

interface ReplayOptions {
  readonly to?: string
  readonly quiet?: boolean
  readonly json?: boolean
  readonly engine: Engine
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
    const replayer = new Replayer(reader, quiet ? {} : { onTransmit: output.put })
    replayer.execution.machine.cpu.setEngine(options.engine)
    const total = formatPosition(reader.meta.instructions)
    const result = await replayer.run({
      to,
      onProgress: (icount) => progress.show(`${formatPosition(icount)} of ${total}`),
    })
    output.flush()
    progress.clear()
    if (options.json) print(json(result))
    if (result.kind === 'diverged') {
      say(`${path}: ${result.divergence.message}`)
      return Exit.BAD
    }
    const rest = reader.meta.finished ? '' : '; the trace is unfinished: its recorder was killed'
    const digest = result.finalDigest === undefined ? '' : `, final digest ${result.finalDigest}`
    say(`${path}: bit for bit the same up to ${formatPosition(result.instructions)}${digest}${rest}`)
    return Exit.GOOD
  } finally {
    reader.close()
  }
}
