/** Source lines of the code in a trace: from the kernel's own debugging information, and from files given besides. */
import { isElf } from '../../devices/loader/elf.js'
import { nestedExecutables } from '../../devices/loader/nested.js'
import { type SourceFrame, type SourcePlace, SourceLines } from '../dwarf/source-lines.js'
import { DebuggerError } from './error.js'
import { printable } from './printable.js'

/** An executable that may hold line tables. */
export interface SymbolFile {
  readonly name: string
  readonly bytes: Uint8Array
}

/** Gives the text of a source file, by its path as the compiler knew it; undefined if there is none. */
export type ReadSource = (path: string) => string | undefined

/** Code of one source line. */
export interface Location {
  readonly address: bigint
  readonly place: SourcePlace
}

/** Line tables, read when they are first asked for. */
export class Sources {
  private readonly files: () => readonly SymbolFile[]
  private readonly readSource: ReadSource
  private known: readonly SourceLines[] | undefined
  private readonly texts = new Map<string, readonly string[] | undefined>()
  private readonly told: (problem: string) => void

  /**
   * @param files those whose lines are to be known; where several know an address, the first counts.
   * @param told gets each thing that is wrong with a table, once, in a line.
   */
  constructor(files: () => readonly SymbolFile[], readSource: ReadSource, told: (problem: string) => void) {
    this.files = files
    this.readSource = readSource
    this.told = told
  }

  /** Whether any line is known. */
  get any(): boolean {
    return this.tables().some((table) => !table.empty)
  }

  /** The source line of an address; undefined too where the compiler blames no line. */
  at(address: bigint): SourcePlace | undefined {
    for (const table of this.tables()) {
      const place = table.lineAt(address)
      if (place) return place.line > 0 ? place : undefined
    }
    return undefined
  }

  /** The functions of an address, the innermost inlined one first; empty if none is known. */
  frames(address: bigint): SourceFrame[] {
    for (const table of this.tables()) {
      const frames = table.framesAt(address)
      if (frames.length > 0) return frames
    }
    return []
  }

  /** A line of a source file, without what a terminal would take as commands; undefined if the file is not at hand. */
  text({ file, line }: SourcePlace): string | undefined {
    const text = this.lines(file)?.[line - 1]
    return text === undefined ? undefined : printable(text)
  }

  /** All lines of a source file. */
  lines(file: string): readonly string[] | undefined {
    if (!this.texts.has(file)) this.texts.set(file, this.readSource(file)?.split(/\r?\n/))
    return this.texts.get(file)
  }

  /**
   * The code of `file:line`.
   *
   * @throws {DebuggerError} if there is no such file, more than one, or no code from that line on.
   */
  locations(path: string, line: number): Location[] {
    const file = this.file(path)
    for (const table of this.tables()) {
      const found = table.addressesOf(file, line)
      if (found) {
        return found.addresses.map((address) => ({
          address,
          place: { file, line: found.line, column: table.lineAt(address)?.column ?? 0 },
        }))
      }
    }
    const last = this.tables()
      .flatMap((table) => table.linesOf(file))
      .at(-1)
    throw new DebuggerError(`${path}:${line}: no code there; the last line with code is ${last ?? 'none'}`)
  }

  /**
   * The one file that a path, or the end of one, names.
   *
   * @throws {DebuggerError} naming the candidates.
   */
  file(path: string): string {
    const found = [...new Set(this.tables().flatMap((table) => table.filesLike(path)))]
    const exact = found.find((file) => file === path)
    if (exact !== undefined || found.length === 1) return exact ?? found[0]
    if (found.length === 0) {
      if (this.any) throw new DebuggerError(`${path}: no code comes from a file of that name`)
      throw new DebuggerError(`${path}: there are no line tables; name an executable that has them with --symbols`)
    }
    const some = found.slice(0, 5).join(', ')
    throw new DebuggerError(`${path}: could be ${some}${found.length > 5 ? ', …' : ''}; give more of the path`)
  }

  /** Paths, or ends of paths, of files with code that begin so; from the start of a path or of a part of it. */
  filesFrom(prefix: string): string[] {
    const found = new Set<string>()
    for (const file of this.tables().flatMap((table) => table.allFiles())) {
      const at = file.startsWith(prefix) ? 0 : file.indexOf(`/${prefix}`) + 1
      if (at > 0 || file.startsWith(prefix)) found.add(file.slice(at))
    }
    return [...found].toSorted()
  }

  private tables(): readonly SourceLines[] {
    if (!this.known) {
      this.known = this.files()
        .filter(({ bytes }) => isElf(bytes))
        .flatMap(({ name, bytes }) => [
          { name, bytes },
          ...nestedExecutables(bytes).map((nested) => ({ name: `${name}, ${nested.name}`, bytes: nested.bytes })),
        ])
        .map(({ name, bytes }) => new SourceLines(bytes, name))
      for (const { problems } of this.known) for (const problem of problems) this.told(problem)
    }
    return this.known
  }
}

/** `src/main.rs:12`, with the column if there is one and it is asked for. */
export function describePlace({ file, line, column }: SourcePlace, withColumn = false): string {
  return `${printable(file)}:${line}${withColumn && column > 0 ? `:${column}` : ''}`
}
