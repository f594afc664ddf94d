/** `kaal pack`: makes a trace small enough to send. */
import { statSync } from 'node:fs'
import type { Command } from 'commander'
import { writeWhole } from '../../trace/whole-file.js'
import { packTrace } from '../../trace/pack/packer.js'
import { PackedTrace } from '../../trace/pack/packed-trace.js'
import { TraceReader } from '../../trace/reader.js'
import { Exit } from '../errors.js'
import { json, print, say } from '../output.js'
import { packJson, packLines, packName } from '../pack-lines.js'
import { Progress } from '../progress.js'
import { VERSION } from '../version.js'

interface PackFlags {
  readonly output?: string
  readonly images: boolean
  readonly force?: boolean
  readonly json?: boolean
}

/** Adds the verb. */
export function addPack(program: Command, exit: (code: number) => void): void {
  program
    .command('pack')
    .description('make a trace as small as can be, to send it; kaal unpack restores it by replaying')
    .argument('<trace>')
    .option('-o, --output <file>', 'the packed trace (default: beside the trace, with .kaalpack)')
    .option(
      '--no-images',
      'leave out kernel and other images: only their hashes go in, and whoever unpacks needs the files',
    )
    .option('--force', 'replace a file that exists')
    .option('--json', 'what is in it, as JSON')
    .action(async (path: string, options: PackFlags) => exit(await pack(path, options)))
}

async function pack(path: string, options: PackFlags): Promise<number> {
  const output = options.output ?? packName(path)
  await packFile(path, output, { images: options.images, force: options.force === true })
  const packed = new PackedTrace(output)
  if (options.json) print(json(packJson(packed)))
  else for (const line of packLines(packed)) print(line)
  say(`${path}, ${statSync(path).size} bytes: packed into ${output}, ${packed.bytes} bytes`)
  return Exit.GOOD
}

/** Packs the trace at `path` into the file `output`, with a progress line. */
export async function packFile(
  path: string,
  output: string,
  options: { readonly images: boolean; readonly force: boolean },
): Promise<void> {
  const reader = TraceReader.open(path)
  const total = [...reader.images()].reduce((sum, { bytes }) => sum + bytes.length, 0)
  const progress = new Progress({ unit: 'bytes of images', total })
  try {
    const onProgress = (done: number): void => progress.show(done)
    const packed = () => packTrace(reader, { kaal: VERSION, images: options.images, onProgress })
    await writeWhole(output, async () => [await packed()], options.force)
  } finally {
    progress.clear()
    reader.close()
  }
}
