/** `kaal replay T`: runs a trace again and compares every batch. */
import { Replayer } from '../../replay/replayer.js'
import { TraceReader } from '../../trace/reader.js'
import { Exit } from '../errors.js'
import { Progress, bold, out, say } from '../output.js'
import { checkPosition, grouped, parsePosition } from '../positions.js'
import { type AddVerb, warnUnfinished } from './verb.js'

interface Flags {
  readonly to?: string
  readonly quiet?: true
  readonly json?: true
}

export const addReplay: AddVerb = (program, done) => {
  program
    .command('replay <trace>')
    .description('run a trace again, checking every digest; exit 0 only if bit for bit')
    .option('--to <position>', 'stop after the batch that holds this position')
    .option('-q, --quiet', "do not print the guest's output")
    .option('--json', "print the result as JSON, and not the guest's output")
    .action(async (path: string, flags: Flags) => {
      const to = flags.to === undefined ? undefined : parsePosition('--to', flags.to)
      const reader = TraceReader.open(path)
      const progress = new Progress()
      try {
        checkPosition('--to', to, reader.meta.instructions)
        warnUnfinished(reader)
        const silent = flags.quiet || flags.json
        const replayer = new Replayer(reader, silent ? {} : { onTransmit: (byte) => out.byte(byte) })
        const end = reader.meta.instructions
        const result = await replayer.run({
          ...(to !== undefined && { to }),
          ...(silent && { onProgress: (icount) => progress.show(`${grouped(icount)} of ${grouped(end)}`) }),
        })
        await out.drain()
        progress.clear()
        done(result.kind === 'same' ? Exit.GOOD : Exit.BAD)
        if (flags.json) return out.json({ path, ...result })
        if (result.kind === 'diverged') return say(`kaal: ${path}: ${bold('diverged')}: ${result.divergence.message}`)
        const digest = result.finalDigest === undefined ? '' : `, final digest ${result.finalDigest}`
        say(`kaal: ${path}: bit for bit the same up to ${grouped(result.instructions)}${digest}`)
      } finally {
        progress.clear()
        reader.close()
      }
    })
}
