/**
 * Executables that an executable carries for debuggers alone: a boot image has the symbols and line tables of what it loads in sections
 * `.symbols.NAME`, each an ELF file as `objcopy --only-keep-debug` makes it (`.gnu_debugdata` is such a file too, compressed).
 */
import { readSections } from './sections.js'

const PREFIX = '.symbols.'
const MAGIC = [0x7f, 0x45, 0x4c, 0x46]

/** A file within a file. */
export interface NestedFile {
  /** What it was made from. */
  readonly name: string
  readonly bytes: Uint8Array
}

/** The executables in an executable; not those within them again. */
export function nestedExecutables(bytes: Uint8Array): NestedFile[] {
  return readSections(bytes)
    .filter(({ name, data }) => name.startsWith(PREFIX) && MAGIC.every((byte, at) => data[at] === byte))
    .map(({ name, data }) => ({ name: name.slice(PREFIX.length), bytes: data }))
}
