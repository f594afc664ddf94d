/** The time-travel debugger: carries out commands on a trace's timeline. Knows no terminal; lines go in, lines come out. */
import type { WatchedAccess } from '../../cpu/mmu/watchpoints.js'
import { disassemble } from '../../cpu/isa/disassembler.js'
import type { TraceReader } from '../../trace/reader.js'
import { SymbolTable } from '../../devices/loader/symbols.js'
import { readElf } from '../../devices/loader/elf.js'
import { EXCEPTION_CLASSES } from '../../cpu/sysregs/fields/syndrome.js'
import { type Stop, Timeline, type TimelineOptions } from '../timeline.js'
import type { Report } from './command.js'
import { findCommand } from './commands.js'
import { complete } from './completion.js'
import type { ExamineFormat, ReadMemory } from './examine.js'
import { evaluate } from './expressions.js'
import { Names } from './names.js'
import { grouped, hex64, parseCount } from './numbers.js'
import { printable } from './printable.js'
import { type ReadSource, type SymbolFile, Sources, describePlace } from './sources.js'

/** What a debugger may be given besides the trace. */
export interface DebuggerOptions extends TimelineOptions {
  /** Executables whose symbols and line tables are used beside those of the trace's kernel, and before them. */
  readonly symbols?: readonly SymbolFile[]
  /** Finds source text; without it there is none. */
  readonly readSource?: ReadSource
  /** Gets what is wrong with debugging information, a line each. */
  readonly warn?: (line: string) => void
}

/** How far back `backtrace` looks in the trace's log for the exception that a return address belongs to. */
const RECENT = 2 ** 22

/** A trace under the debugger. */
export class Debugger {
  readonly timeline: Timeline
  readonly names: Names
  readonly sources: Sources
  /** Set by `quit`. */
  finished = false
  /** Why the last command that moves came to a stop. */
  lastStop: Stop['reason'] = 'start'
  /** What `x` showed last, and where it goes on. */
  lastFormat: ExamineFormat | undefined
  nextExamined: bigint | undefined
  readonly reader: TraceReader
  private searching = false
  private readonly memory = new Map<string, unknown>()

  /**
   * @throws {TraceError} if the trace holds what this kaal cannot honour.
   * @throws {LoadError} if a file of symbols is no AArch64 executable.
   */
  constructor(reader: TraceReader, { symbols = [], readSource, warn, ...timeline }: DebuggerOptions = {}) {
    this.reader = reader
    const given = symbols.flatMap(({ name, bytes }) => readElf(bytes, name).symbols.all)
    this.timeline = new Timeline(reader, timeline)
    const own = this.timeline.symbols
    this.names = new Names(given.length > 0 ? new SymbolTable([...given, ...own.all]) : own)
    const kernel = () => [...reader.images()].filter(({ role }) => role === 'kernel')
    this.sources = new Sources(() => [...symbols, ...kernel()], readSource ?? (() => undefined), warn ?? (() => {}))
  }

  /**
   * Carries out one line: a command with its argument, or nothing for an empty line or a comment (#).
   *
   * @returns what to show; undefined for nothing.
   * @throws {DebuggerError} if it cannot be carried out.
   */
  async run(line: string): Promise<Report | undefined> {
    const text = line.trim()
    if (text === '' || text.startsWith('#')) return undefined
    // x/8xw is a command with an argument too.
    const [, word, argument] = /^([^\s/]+)\s*(.*)$/s.exec(text) ?? ['', text, '']
    const report = await findCommand(word).run(this, argument.trim())
    return 'lines' in report ? report : { lines: report }
  }

  /** {@link run}, for people: the lines to print. */
  async execute(line: string): Promise<readonly string[]> {
    return (await this.run(line))?.lines ?? []
  }

  /** What can follow in a line that is being typed: the candidates, and the part that they replace. */
  complete(line: string): [string[], string] {
    return complete(line, this.names, this.sources)
  }

  /** Reads guest memory as the processor sees it now. */
  readonly read: ReadMemory = (address, bytes) => this.timeline.readMemory(address, bytes)

  /** What is worked out from the trace once, under a name. */
  remembered<T>(name: string, make: () => T): T {
    if (!this.memory.has(name)) this.memory.set(name, make())
    return this.memory.get(name) as T
  }

  /** The condition of the points that people set: while a command looks for something of its own they stop nothing. */
  readonly notSearching = (): boolean => !this.searching

  /** Carries out a search that no other point shall stop. */
  async search<T>(action: () => Promise<T>): Promise<T> {
    this.searching = true
    try {
      return await action()
    } finally {
      this.searching = false
    }
  }

  /** The value of an expression. */
  evaluate(text: string): bigint {
    return evaluate(text, this.timeline.machine.cpu.state, this.names)
  }

  /** `file:line`, if that is what a place is given as. */
  sourceLine(text: string): { file: string; line: number } | undefined {
    const match = /^([^\s:$<][^\s:]*):(\d[\d_]*)$/.exec(text)
    const line = match && parseCount(match[2])
    return match && line !== null && line !== undefined ? { file: match[1], line } : undefined
  }

  /** The address of an expression or of `file:line`; the first one where a line has several. */
  location(text: string): bigint {
    const line = this.sourceLine(text)
    return line ? this.sources.locations(line.file, line.line)[0].address : this.evaluate(text)
  }

  /** An address with its name. */
  readonly place = (address: bigint): string => `${hex64(address)}${this.names.suffix(address)}`

  /** The position, the instruction that comes next and, where it is known, its source line. */
  here(): Report {
    const { pc } = this.timeline.machine.cpu.state
    const { position } = this.timeline
    const bytes = this.read(pc, 4)
    const word = bytes && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
    const text =
      word === undefined ? '(no memory there)' : disassemble(word, pc, (address) => this.names.describe(address))
    const lines = [`${grouped(position)}  ${this.place(pc)}  ${text}`]
    const source = this.sources.at(pc)
    const sourceText = source && this.sources.text(source)
    if (source) lines.push(`${describePlace(source)}${sourceText === undefined ? '' : `  ${sourceText.trim()}`}`)
    return {
      lines,
      data: { position, pc, symbol: this.names.describe(pc), instruction: text, ...(source && { source }) },
    }
  }

  /** Why and where it stopped. */
  stopped({ reason, breakpoint, access }: Stop): Report {
    this.lastStop = reason
    const why = {
      step: [],
      breakpoint: [`breakpoint${breakpoint === undefined ? '' : ` ${breakpoint}`}`],
      watchpoint: [`watchpoint ${breakpoint}${access ? `: ${this.accessText(access)}` : ''}`],
      event: [`event${breakpoint === undefined ? '' : ` ${breakpoint}`}`],
      start: ['start of the trace'],
      end: ['end of the trace'],
      interrupted: ['interrupted'],
    }[reason]
    const { lines, data } = this.here()
    return {
      lines: [...why, ...lines],
      data: { reason, ...(breakpoint !== undefined && { breakpoint }), ...(access && { access }), ...data },
    }
  }

  private accessText({ address, bytes, write }: WatchedAccess): string {
    return `${write ? 'write' : 'read'} of ${bytes} byte${bytes === 1 ? '' : 's'} at ${this.place(address)}`
  }

  /** What the trace's log says of the last exception with that return address, not long before the position. */
  recordedException(elr: bigint): string | undefined {
    const { position } = this.timeline
    const span = { from: Math.max(position - RECENT, 0), to: position }
    let last: { icount: number; what: string } | undefined
    for (const row of this.reader.interrupts(span))
      if (row.pc === elr) last = { icount: row.icount, what: `interrupt, INTID ${row.intid}` }
    for (const row of this.reader.exceptions(span)) {
      if (row.elr !== elr || row.icount < (last?.icount ?? 0)) continue
      last = { icount: row.icount, what: EXCEPTION_CLASSES[row.esr >>> 26] ?? row.kind }
    }
    return last?.what
  }

  /** The last lines that the guest has printed before the current position. */
  uartLines(count: number): string[] {
    const { position } = this.timeline
    if (position === 0) return []
    const bytes: number[] = []
    for (const { direction, byte } of this.reader.uart({ to: position - 1 })) if (direction === 0) bytes.push(byte)
    const text = new TextDecoder().decode(Uint8Array.from(bytes)).replaceAll('\r', '')
    const lines = text.split('\n')
    if (lines.at(-1) === '') lines.pop()
    return lines.slice(-count).map(printable)
  }
}
