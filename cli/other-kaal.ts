/** `--reference`: another kaal, installed in a folder of its own, as a machine to compare with. */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Machine } from '../devices/machine.js'
import type { Opinion } from '../replay/divergence/narrow.js'
import { UsageError } from './errors.js'

/** Where a kaal has its machine, from the folder of its package. */
const MACHINE = 'dist/devices/machine.js'

/**
 * Loads the machine of the kaal in a folder: its code runs in this process.
 *
 * @throws {UsageError} if there is none that can be loaded.
 */
export async function otherKaal(folder: string): Promise<Opinion> {
  const path = resolve(folder, MACHINE)
  const wrong = (what: string) => new UsageError(`--reference ${folder}: ${what}; name the folder of an installed kaal`)
  if (!existsSync(path)) throw wrong(`there is no ${MACHINE}`)
  let loaded: { readonly Machine?: unknown }
  try {
    loaded = (await import(pathToFileURL(path).href)) as typeof loaded
  } catch (error) {
    throw wrong(`${MACHINE} cannot be loaded (${(error as Error).message})`)
  }
  if (typeof loaded.Machine !== 'function') throw wrong(`${MACHINE} has no machine`)
  const Other = loaded.Machine as typeof Machine
  return {
    name: `kaal ${versionOf(folder)} in ${folder}`,
    make: (config, files, events) => new Other(config, files, events),
  }
}

function versionOf(folder: string): string {
  try {
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version?: unknown }
    return typeof version === 'string' ? version : '(of unknown version)'
  } catch {
    return '(of unknown version)'
  }
}
