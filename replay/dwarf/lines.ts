/** Line number programs, `.debug_line` of DWARF 2 to 5 (DWARF 5, 6.2): decoded into sequences of rows. */
import { Allowance, Cursor, type DwarfSection, type Strings } from './cursor.js'
import { type Encoding, type FormValue, Form, readForm } from './forms.js'

/** A run of rows in ascending order of address, `[low, high)`. */
export interface LineSequence {
  readonly low: bigint
  readonly high: bigint
  /** Bytes behind `low` at which each row begins. */
  readonly offsets: readonly number[]
  /** Index into the program's files. */
  readonly files: readonly number[]
  /** From 1; 0 where no line is to blame. */
  readonly lines: readonly number[]
  /** From 1; 0 for none. */
  readonly columns: readonly number[]
  /** Whether a row begins a statement: a good place for a breakpoint. */
  readonly statements: readonly boolean[]
  readonly program: LineProgram
}

/** One unit's program. */
export interface LineProgram {
  /** Paths, by the numbers that rows and DW_AT_call_file use. */
  readonly files: readonly string[]
  readonly sequences: readonly LineSequence[]
}

/** The sections that line programs are made of. */
export interface LineSections {
  readonly line: DwarfSection
  readonly lineStr: Strings
  readonly str: Strings
}

/** What decoding a program needs to know besides its bytes. */
interface Context extends LineSections {
  /** The unit's compilation directory. */
  readonly directory: string
  /** Characters of paths. */
  readonly paths: Allowance
}

const LNCT_PATH = 1
const LNCT_DIRECTORY = 2

/**
 * Decodes all programs of a section.
 *
 * @param directoryOf the compilation directory of the unit whose program begins at an offset.
 * @throws {DwarfError} saying what is malformed.
 */
export function* linePrograms(
  sections: LineSections,
  directoryOf: (offset: number) => string,
): IterableIterator<readonly [offset: number, LineProgram]> {
  const cursor = new Cursor(sections.line)
  // A few bytes can name a path of some thousand; real ones are far from so many.
  const paths = new Allowance(64 * sections.line.data.length + 65536, 'paths')
  while (!cursor.done) {
    const offset = cursor.at
    const { length, wide } = cursor.unitLength()
    if (length > 0)
      yield [offset, decodeProgram(cursor.slice(length), wide, { ...sections, directory: directoryOf(offset), paths })]
  }
}

function decodeProgram(cursor: Cursor, wide: boolean, context: Context): LineProgram {
  const version = cursor.u16()
  if (version < 2 || version > 5) throw cursor.error(`version ${version}: 2 to 5 can be read`)
  let addressSize = 8
  if (version >= 5) {
    addressSize = cursor.u8()
    if (cursor.u8() !== 0) throw cursor.error('segment selectors: AArch64 has none')
  }
  const headerLength = cursor.offset(wide)
  const header = cursor.slice(headerLength)
  const minimumLength = header.u8()
  const operations = version >= 4 ? header.u8() : 1
  if (operations !== 1) throw header.error(`${operations} operations per instruction: AArch64 has 1`)
  const isStatement = header.u8() !== 0
  const lineBase = (header.u8() << 24) >> 24
  const lineRange = header.u8()
  if (lineRange === 0) throw header.error('a line range of 0')
  const opcodeBase = header.u8()
  const operands = Array.from({ length: Math.max(opcodeBase - 1, 0) }, () => header.u8())
  const encoding = { version, wide, addressSize }
  const files = version >= 5 ? tables5(header, encoding, context) : tables2(header, context)
  const decoded = { files, sequences: [] as LineSequence[] }
  run(cursor, { minimumLength, isStatement, lineBase, lineRange, opcodeBase, operands, addressSize }, decoded, context)
  return decoded
}

/** Directories and files of versions 2 to 4: lists that end with an empty name. Both count from 1; directory 0 is the unit's. */
function tables2(header: Cursor, { directory, paths }: Context): string[] {
  const directories = [directory]
  for (let name = header.string(); name !== ''; name = header.string()) directories.push(joined(directory, name))
  const files = ['']
  for (let name = header.string(); name !== ''; name = header.string()) {
    const path = joined(directories[header.uleb()] ?? directory, name)
    paths.spend(path.length, header)
    files.push(path)
    header.uleb()
    header.uleb()
  }
  return files
}

/** The same of version 5: tables that describe themselves, from 0. Directory 0 is the unit's. */
function tables5(header: Cursor, encoding: Encoding, context: Context): string[] {
  const { directory, paths } = context
  const relative = entries(header, encoding, context).map(({ path }) => path)
  const own = relative[0] === directory ? directory : joined(directory, relative[0] ?? '')
  const directories = relative.map((path, index) => (index === 0 ? own : joined(own, path)))
  return entries(header, encoding, context).map(({ path, index }) => {
    const whole = joined(directories[index] ?? own, path)
    paths.spend(whole.length, header)
    return whole
  })
}

function entries(header: Cursor, encoding: Encoding, sections: LineSections): { path: string; index: number }[] {
  const formats = Array.from({ length: header.u8() }, () => ({ content: header.uleb(), form: header.uleb() }))
  const count = header.uleb()
  // Without this a damaged count would go on for ever, over entries of no bytes.
  if (count > header.left) throw header.error(`a table of ${count} entries in ${header.left} bytes`)
  return Array.from({ length: count }, () => {
    let path = ''
    let index = 0
    for (const { content, form } of formats) {
      const value = readForm(header, form, encoding)
      if (content === LNCT_PATH) path = text(value, form, sections)
      else if (content === LNCT_DIRECTORY) index = Number(value ?? 0)
    }
    return { path, index }
  })
}

function text(value: FormValue, form: number, { str, lineStr }: LineSections): string {
  if (typeof value === 'string') return value
  if (typeof value !== 'number' || (form !== Form.STRP && form !== Form.LINE_STRP)) return ''
  return (form === Form.STRP ? str : lineStr).at(value)
}

/** A path in a directory. */
export function joined(directory: string, path: string): string {
  if (path.startsWith('/') || directory === '') return path
  return path === '' ? directory : `${directory.replace(/\/$/, '')}/${path}`
}

interface Machine {
  readonly minimumLength: number
  readonly isStatement: boolean
  readonly lineBase: number
  readonly lineRange: number
  readonly opcodeBase: number
  readonly operands: readonly number[]
  readonly addressSize: number
}

/** Carries the program out. Each opcode is at least a byte, so there are no more rows than bytes. */
function run(
  cursor: Cursor,
  machine: Machine,
  into: { files: string[]; sequences: LineSequence[] },
  { directory, paths }: Context,
): void {
  const { minimumLength, lineBase, lineRange, opcodeBase } = machine
  // The address is a base, set now and then, and a count of bytes from there.
  let [base, offset, file, line, column] = [0n, 0, 1, 1, 0]
  let statement = machine.isStatement
  let rows = new Rows()
  const advance = (operation: number) => {
    offset += operation * minimumLength
  }
  while (!cursor.done) {
    const opcode = cursor.u8()
    if (opcode >= opcodeBase) {
      const adjusted = opcode - opcodeBase
      advance(Math.floor(adjusted / lineRange))
      line += lineBase + (adjusted % lineRange)
      rows.add(base, offset, file, line, column, statement)
      continue
    }
    switch (opcode) {
      case 0: {
        const length = cursor.uleb()
        if (length === 0) break
        const extended = cursor.slice(length)
        switch (extended.u8()) {
          case 1: {
            const sequence = rows.sequence(base, offset, into)
            if (sequence) into.sequences.push(sequence)
            rows = new Rows()
            ;[base, offset, file, line, column] = [0n, 0, 1, 1, 0]
            statement = machine.isStatement
            break
          }
          case 2:
            base = extended.address(length - 1)
            offset = 0
            break
          case 3: {
            const name = extended.string()
            extended.uleb()
            paths.spend(directory.length + name.length, extended)
            into.files.push(joined(directory, name))
            break
          }
          default:
        }
        break
      }
      case 1:
        rows.add(base, offset, file, line, column, statement)
        break
      case 2:
        advance(cursor.uleb())
        break
      case 3:
        line += cursor.sleb()
        break
      case 4:
        file = cursor.uleb()
        break
      case 5:
        column = cursor.uleb()
        break
      case 6:
        statement = !statement
        break
      case 7:
      case 10:
      case 11:
        break
      case 8:
        advance(Math.floor((255 - opcodeBase) / lineRange))
        break
      case 9:
        offset += cursor.u16()
        break
      default:
        // 12 is DW_LNS_set_isa; later ones are passed over by what the header says of them.
        for (let n = machine.operands[opcode - 1] ?? 0; n > 0; n--) cursor.uleb()
    }
  }
}

/** Rows as they come. */
class Rows {
  private base: bigint | undefined
  private readonly offsets: number[] = []
  private readonly files: number[] = []
  private readonly lines: number[] = []
  private readonly columns: number[] = []
  private readonly statements: boolean[] = []

  add(base: bigint, offset: number, file: number, line: number, column: number, statement: boolean): void {
    this.base ??= base
    this.offsets.push(this.from(base, offset))
    this.files.push(file)
    this.lines.push(Math.max(line, 0))
    this.columns.push(column)
    this.statements.push(statement)
  }

  /** What they make with the address behind them; nothing if that is no code. */
  sequence(base: bigint, offset: number, program: LineProgram): LineSequence | undefined {
    if (this.base === undefined) return undefined
    const { offsets } = this
    const end = this.from(base, offset)
    const sorted = offsets.every((at, n) => n === 0 || at >= offsets[n - 1])
    const order = sorted ? undefined : offsets.map((_, n) => n).toSorted((a, b) => offsets[a] - offsets[b])
    const put = <T>(list: T[]): T[] => (order ? order.map((n) => list[n]) : list)
    const starts = put(offsets)
    const first = starts[0]
    if (!(end > first) || !Number.isSafeInteger(end) || !Number.isSafeInteger(first)) return undefined
    const low = BigInt.asUintN(64, this.base + BigInt(first))
    return {
      low,
      high: low + BigInt(end - first),
      offsets: first === 0 ? starts : starts.map((at) => at - first),
      files: put(this.files),
      lines: put(this.lines),
      columns: put(this.columns),
      statements: put(this.statements),
      program,
    }
  }

  private from(base: bigint, offset: number): number {
    return base === this.base || this.base === undefined ? offset : Number(base - this.base) + offset
  }
}
