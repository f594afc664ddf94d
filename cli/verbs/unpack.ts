/** `kaal unpack`: restores the whole trace from a packed one, by replaying. */
import { statSync } from 'node:fs'
import type { Command } from 'commander'
import type { Engine } from '../../cpu/translator/translator.js'
import { type UnpackResult, unpack } from '../../replay/pack/unpack.js'
import { engineOption } from '../engine.js'
import { Exit } from '../errors.js'
import { json, print, say } from '../output.js'
import { traceName } from '../pack-lines.js'
import { addImageOption, openPack } from '../packs.js'
import { formatPosition } from '../positions.js'
import { Progress } from '../progress.js'

interface UnpackFlags {
  readonly output?: string
  readonly image: readonly string[]
  readonly force?: boolean
  readonly json?: boolean
  readonly engine: Engine
}

/** Adds the verb. */
export function addUnpack(program: Command, exit: (code: number) => void): void {
  const verb = program
    .command('unpack')
    .description('restore the whole trace from a packed one, by replaying; exit 1 if that does not reach its digest')
    .argument('<pack>')
    .option('-o, --output <file>', 'the trace (default: beside the pack, with .kaal)')
    .option('--force', 'replace a file that exists')
    .option('--json', 'the outcome as JSON')
    .addOption(engineOption())
  addImageOption(verb).action(async (path: string, options: UnpackFlags) => exit(await run(path, options)))
}

async function run(path: string, options: UnpackFlags): Promise<number> {
  const output = options.output ?? traceName(path)
  const pack = openPack(path, options.image)
  const progress = new Progress({ unit: 'instructions', total: pack.meta.instructions })
  let interrupted = false
  const stop = (): void => {
    interrupted = true
  }
  for (const signal of SIGNALS) process.on(signal, stop)
  let result: UnpackResult
  try {
    result = await unpack(pack, output, {
      force: options.force === true,
      engine: options.engine,
      onProgress: (icount) => progress.show(icount),
      stopped: () => interrupted,
    })
  } finally {
    progress.clear()
    for (const signal of SIGNALS) process.off(signal, stop)
  }
  if (options.json) print(json({ ...result, ...(result.kind === 'same' && { trace: output }) }))
  if (result.kind === 'differs') say(`${path}: ${result.message}; nothing was written`)
  if (result.kind === 'stopped')
    say(`${path}: interrupted at ${formatPosition(result.instructions)}; nothing was written`)
  if (result.kind === 'stopped') return Exit.TROUBLE
  if (result.kind === 'differs') return Exit.BAD
  say(`${output}, ${statSync(output).size} bytes: ${outcome(result)}`)
  return Exit.GOOD
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

function outcome({ instructions, finalDigest, identical }: UnpackResult & { kind: 'same' }): string {
  const digest = finalDigest === undefined ? 'unfinished, as it was' : `final digest ${finalDigest}`
  const file = {
    true: '; byte for byte the file that was packed',
    false: '; the same trace, but not the same file: its pages are compressed or arranged in another way',
    undefined: '',
  }[`${identical}`]
  return `restored, ${formatPosition(instructions)} instructions, ${digest}${file}`
}
