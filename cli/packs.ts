/** Packed traces on a command line: files for images that are not in them. */
import { readFileSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { PackedTrace } from '../trace/pack/packed-trace.js'

/** Adds `--image FILE`, for every verb that replays a packed trace. */
export function addImageOption(command: Command): Command {
  return command.addOption(
    new Option('--image <file>', 'an image that a trace packed with --no-images needs; may be given again')
      .default([], 'none')
      .argParser((value: string, before: readonly string[]) => [...before, value]),
  )
}

/** Opens a packed trace with the files given for its images. */
export function openPack(path: string, images: readonly string[]): PackedTrace {
  const given = images.map((name) => {
    try {
      return { name, bytes: readFileSync(name) }
    } catch (error) {
      // Some of Node's errors (a directory, for one) do not carry the path.
      throw Object.assign(error as Error, { path: name })
    }
  })
  return new PackedTrace(path, given)
}
