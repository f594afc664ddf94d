/** Files that a person names, and those that come with kaal. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UsageError } from './errors.js'

/** No image or input can be larger than the largest machine's RAM, and no buffer here larger than this. */
const LARGEST = 2 ** 31 - 1

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'no permission to read it',
  EISDIR: 'is a directory: give a file',
  ENOTDIR: 'no such file: part of its path is not a directory',
  ELOOP: 'too many symbolic links',
  ENAMETOOLONG: 'the name is too long',
}

/**
 * Reads a whole file.
 *
 * @throws {UsageError} naming the file, and what is wrong with it.
 */
export function readInputFile(path: string): Uint8Array {
  try {
    const { size } = statSync(path)
    if (size > LARGEST) throw new UsageError(`${path}: too large, ${size} bytes`)
    return readFileSync(path)
  } catch (error) {
    throw fileError(path, error)
  }
}

/** A failure to read a file, in words; anything else as it is. */
export function fileError(path: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (error instanceof UsageError || code === undefined) return error
  return new UsageError(`${path}: ${REASONS[code] ?? `cannot be read (${code})`}`)
}

/** Kaal's own folder: the nearest one above this file with a package.json. */
function home(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder)
  return folder
}

/** The KaaL image that comes with kaal. */
export const bundledKernel = (): string => join(home(), 'kernel', 'prebuilt', 'kaal.elf')

/** Kaal's version. */
export function version(): string {
  const about = JSON.parse(readFileSync(join(home(), 'package.json'), 'utf8')) as { version: string }
  return about.version
}
