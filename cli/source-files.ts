/** Files of source text, found by the paths that a compiler knew them by. */
import { readFileSync, statSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where kaal's own kernel has its sources. */
const OWN = fileURLToPath(new URL('../..', import.meta.url))
/** No source file is larger; a path from a trace could name anything. */
const LARGEST = 16 * 2 ** 20

/**
 * Makes a finder of source text.
 *
 * A path is looked for as it stands, then below each folder, whole or without its first parts: the compiler may have run elsewhere.
 * Below the working folder and that of kaal it is looked for whole only, so that no other file of the same name is taken for it.
 *
 * @param folders those that `--source` names.
 */
export function sourceReader(folders: readonly string[]): (path: string) => string | undefined {
  return (path) => {
    for (const candidate of candidates(path, folders)) {
      const text = readText(candidate)
      if (text !== undefined) return text
    }
    return undefined
  }
}

/** Makes a finder of the files themselves: gives a file's absolute path, if it is on this host. */
export function sourceFinder(folders: readonly string[]): (path: string) => string | undefined {
  return (path) => {
    for (const candidate of candidates(path, folders)) if (isSource(candidate)) return resolve(candidate)
    return undefined
  }
}

function* candidates(path: string, folders: readonly string[]): IterableIterator<string> {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  for (const folder of folders)
    for (let first = 0; first < parts.length; first++) yield join(folder, ...parts.slice(first))
  if (isAbsolute(path)) yield path
  else for (const folder of ['.', OWN]) yield join(folder, path)
}

function isSource(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  return found !== undefined && found.isFile() && found.size <= LARGEST
}

function readText(path: string): string | undefined {
  try {
    return isSource(path) ? readFileSync(path, 'utf8') : undefined
  } catch {
    return undefined
  }
}
