/** `--symbols`: executables that are read for their symbols and line tables. */
import { readFileSync } from 'node:fs'
import type { SymbolFile } from '../replay/debugger/sources.js'

/** A parser for commander that gathers the values of an option that may be given again. */
export const collect = (value: string, before: readonly string[]): string[] => [...before, value]

/** Reads files. */
export function readSymbols(paths: readonly string[]): SymbolFile[] {
  return paths.map((path) => {
    try {
      return { name: path, bytes: readFileSync(path) }
    } catch (error) {
      // Some of Node's errors (a directory, for one) do not carry the path.
      throw Object.assign(error as Error, { path })
    }
  })
}
