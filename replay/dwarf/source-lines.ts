/** Where code comes from: source lines for addresses, addresses for source lines, and functions that are inlined. */
import { SECTION_COMPRESSED, SECTION_EXECUTABLE, readSections } from '../../devices/loader/sections.js'
import { DwarfError, type DwarfSection, Strings } from './cursor.js'
import { type LineProgram, type LineSequence, linePrograms } from './lines.js'
import { DebugInfo, type Scope, type Unit } from './units.js'

/** A place in a source file. */
export interface SourcePlace {
  /** As the compiler knew it: the compilation directory, if it was relative, and the name. */
  readonly file: string
  /** From 1; 0 where the compiler blames no line. */
  readonly line: number
  /** From 1; 0 for none. */
  readonly column: number
}

/** A function that an address lies in, or one that is inlined there. */
export interface SourceFrame extends SourcePlace {
  /** As the compiler names it; undefined if it does not say. */
  readonly name: string | undefined
  readonly inlined: boolean
}

/** What a source line leads to. */
export interface LineAddresses {
  readonly file: string
  /** The line asked for, or the next one that has code. */
  readonly line: number
  /** One for each function, or inlined copy of one, in ascending order. */
  readonly addresses: readonly bigint[]
}

/** With more places than this a line is taken to have one in each sequence. */
const MOST_PLACES = 2000

/** The line tables of an executable. */
export class SourceLines {
  /** What could not be read, each in one line; empty if all is well. */
  readonly problems: readonly string[]
  /** In ascending order of address. */
  private readonly sequences: readonly LineSequence[]
  /** The highest end of the sequences up to each, so that a search backwards knows when to stop. */
  private readonly reach: readonly bigint[]
  private readonly info: DebugInfo | undefined
  private readonly damagedUnits = new Set<Unit>()
  private byFile: ReadonlyMap<string, readonly LineSequence[]> | undefined

  /**
   * Reads the debugging information of an ELF file; a file without any gives a table without lines.
   *
   * @param name the file's name, for {@link problems}.
   */
  constructor(bytes: Uint8Array, name: string) {
    const problems: string[] = []
    const all = readSections(bytes)
    const section = (wanted: string): DwarfSection => {
      const found = all.find((candidate) => candidate.name === wanted)
      if (found && (found.flags & SECTION_COMPRESSED) !== 0) {
        problems.push(`${name}: ${wanted} is compressed: give a copy made with objcopy --decompress-debug-sections`)
        return { name: wanted, data: new Uint8Array(0) }
      }
      return { name: wanted, data: found?.data ?? new Uint8Array(0) }
    }
    const attempt = <T>(what: string, action: () => T): T | undefined => {
      try {
        return action()
      } catch (error) {
        if (!(error instanceof DwarfError)) throw error
        problems.push(`${name}: ${error.message}; ${what}`)
        return undefined
      }
    }
    const str = new Strings(section('.debug_str'))
    const lineStr = new Strings(section('.debug_line_str'))
    const line = section('.debug_line')
    this.info = attempt('directories and inlined functions are not known', () => {
      return new DebugInfo({
        info: section('.debug_info'),
        abbrev: section('.debug_abbrev'),
        str,
        lineStr,
        strOffsets: section('.debug_str_offsets'),
        addr: section('.debug_addr'),
        ranges: section('.debug_ranges'),
        rnglists: section('.debug_rnglists'),
      })
    })
    const directories = new Map<number, string>()
    attempt('directories are not known', () => {
      for (const unit of this.info?.units ?? []) {
        if (unit.lineProgram !== undefined) directories.set(unit.lineProgram, unit.directory)
      }
    })
    const programs = new Map<number, LineProgram>()
    attempt('source lines are known up to there', () => {
      for (const [offset, program] of linePrograms({ line, lineStr, str }, (at) => directories.get(at) ?? ''))
        programs.set(offset, program)
    })
    // What the linker has thrown away leaves sequences at addresses that hold no code.
    const code = all
      .filter(({ flags }) => (flags & SECTION_EXECUTABLE) !== 0)
      .map(({ address, size }) => ({ low: address, high: address + size }))
    const live = ({ low }: LineSequence) => code.some((range) => low >= range.low && low < range.high)
    this.sequences = [...programs.values()]
      .flatMap(({ sequences }) => sequences.filter(live))
      .toSorted((a, b) => (a.low < b.low ? -1 : a.low > b.low ? 1 : 0))
    let highest = 0n
    this.reach = this.sequences.map(({ high }) => (highest = high > highest ? high : highest))
    this.problems = problems
  }

  /** Whether there is any line. */
  get empty(): boolean {
    return this.sequences.length === 0
  }

  /** The source line of an address. */
  lineAt(address: bigint): SourcePlace | undefined {
    const found = this.row(address)
    return found && place(found.sequence, found.row)
  }

  /**
   * The functions of an address: the innermost inlined one first, the one that has the code last. Empty without a line table there.
   *
   * Without entries in `.debug_info` there is one frame, without a name.
   */
  framesAt(address: bigint): SourceFrame[] {
    const found = this.row(address)
    if (!found) return []
    let at = place(found.sequence, found.row)
    const frames: SourceFrame[] = []
    for (const { name, inlined, callFile, callLine, callColumn } of this.scopesAt(address).toReversed()) {
      frames.push({ ...at, name, inlined })
      if (!inlined) return frames
      at = { file: found.sequence.program.files[callFile] ?? '', line: callLine, column: callColumn }
    }
    frames.push({ ...at, name: undefined, inlined: false })
    return frames
  }

  /** The files that have code. */
  allFiles(): string[] {
    return [...this.files().keys()]
  }

  /** The files that have code and whose path is, or ends with, this one. */
  filesLike(path: string): string[] {
    return [...this.files().keys()].filter((file) => file === path || file.endsWith(`/${path}`)).toSorted()
  }

  /**
   * Where the code of a source line begins; of the next line that has code if it has none.
   *
   * @param file one of {@link filesLike}.
   * @returns undefined if the file has no code from that line on.
   */
  addressesOf(file: string, line: number): LineAddresses | undefined {
    const rows = [...this.rowsOf(file)].filter(({ sequence, row }) => sequence.lines[row] >= line)
    const best = rows.reduce((least, { sequence, row }) => Math.min(least, sequence.lines[row]), Infinity)
    if (best === Infinity) return undefined
    const matching = rows.filter(({ sequence, row }) => sequence.lines[row] === best)
    // A function's line may begin in several places, loops and moved code: the first of each function is where a person wants to stop.
    const first = new Map<string, bigint>()
    for (const { sequence, row } of matching) {
      const address = sequence.low + BigInt(sequence.offsets[row])
      const scopes = matching.length > MOST_PLACES ? [] : this.scopesAt(address)
      const key = scopes.length > 0 ? scopes.map(({ offset }) => offset).join(' ') : `${sequence.low}`
      const known = first.get(key)
      if (known === undefined || address < known) first.set(key, address)
    }
    return { file, line: best, addresses: [...new Set(first.values())].toSorted((a, b) => (a < b ? -1 : 1)) }
  }

  /** The lines of a file that have code, in ascending order. */
  linesOf(file: string): number[] {
    const lines = new Set<number>()
    for (const { sequence, row } of this.rowsOf(file)) lines.add(sequence.lines[row])
    return [...lines].toSorted((a, b) => a - b)
  }

  /** All rows, by address: where lines begin. */
  *rows(): IterableIterator<{ address: bigint; line: number; statement: boolean }> {
    for (const { low, offsets, lines, statements } of this.sequences)
      for (let n = 0; n < offsets.length; n++)
        yield { address: low + BigInt(offsets[n]), line: lines[n], statement: statements[n] }
  }

  /** The rows of a file at which a statement begins, but for those that cover nothing. */
  private *rowsOf(file: string): IterableIterator<{ sequence: LineSequence; row: number }> {
    for (const sequence of this.files().get(file) ?? []) {
      const { offsets, lines, files, statements, program } = sequence
      for (let row = 0; row < offsets.length; row++) {
        if (!statements[row] || lines[row] === 0 || program.files[files[row]] !== file) continue
        // Compilers write a row twice, once as a statement: what counts is whether the last one there is of another line.
        let last = row
        while (offsets[last + 1] === offsets[row]) last++
        if (lines[last] === lines[row] && files[last] === files[row]) yield { sequence, row }
      }
    }
  }

  private files(): ReadonlyMap<string, readonly LineSequence[]> {
    if (!this.byFile) {
      const byFile = new Map<string, LineSequence[]>()
      for (const sequence of this.sequences) {
        for (const number of new Set(sequence.files)) {
          const file = sequence.program.files[number]
          if (!file) continue
          const list = byFile.get(file)
          if (list) list.push(sequence)
          else byFile.set(file, [sequence])
        }
      }
      this.byFile = byFile
    }
    return this.byFile
  }

  private row(address: bigint): { sequence: LineSequence; row: number } | undefined {
    const { sequences, reach } = this
    let low = 0
    let high = sequences.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (sequences[middle].low <= address) low = middle + 1
      else high = middle
    }
    for (let n = low - 1; n >= 0 && reach[n] > address; n--) {
      const sequence = sequences[n]
      if (address < sequence.high) return { sequence, row: lastUpTo(sequence.offsets, Number(address - sequence.low)) }
    }
    return undefined
  }

  /** The scopes around an address, the outermost first. */
  private scopesAt(address: bigint): Scope[] {
    const unit = this.unitAt(address)
    if (!unit) return []
    const found: Scope[] = []
    let scopes: readonly Scope[] = this.scopesOf(unit)
    for (;;) {
      const scope = scopes.find(({ ranges }) => ranges.some(({ low, high }) => address >= low && address < high))
      if (!scope) return found
      found.push(scope)
      scopes = scope.children
    }
  }

  private unitAt(address: bigint): Unit | undefined {
    try {
      return this.info?.unitAt(address)
    } catch (error) {
      if (error instanceof DwarfError) return undefined
      throw error
    }
  }

  /** A unit's scopes; none if they are damaged, which costs names of inlined functions only. */
  private scopesOf(unit: Unit): readonly Scope[] {
    if (this.damagedUnits.has(unit)) return []
    try {
      return unit.scopes
    } catch (error) {
      if (!(error instanceof DwarfError)) throw error
      this.damagedUnits.add(unit)
      return []
    }
  }
}

function place({ program, files, lines, columns }: LineSequence, row: number): SourcePlace {
  return { file: program.files[files[row]] ?? '', line: lines[row], column: columns[row] }
}

/** The last index whose value is at most `limit`; the first value is 0. */
function lastUpTo(values: readonly number[], limit: number): number {
  let low = 0
  let high = values.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (values[middle] <= limit) low = middle + 1
    else high = middle
  }
  return Math.max(low - 1, 0)
}
