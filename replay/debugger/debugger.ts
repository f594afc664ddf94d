/** The time-travel debugger: carries out commands on a trace's timeline. Knows no terminal; lines go in, lines come out. */
import { disassemble } from '../../cpu/isa/disassembler.js'
import type { TraceReader } from '../../trace/reader.js'
import { type Stop, Timeline, type TimelineOptions } from '../timeline.js'
import { COMMANDS, INFO, findCommand } from './commands.js'
import type { ExamineFormat, ReadMemory } from './examine.js'
import { evaluate } from './expressions.js'
import { Names } from './names.js'
import { grouped, hex64 } from './numbers.js'

/** A trace under the debugger. */
export class Debugger {
  readonly timeline: Timeline
  readonly names: Names
  /** Set by `quit`. */
  finished = false
  /** Why the last command that moves came to a stop. */
  lastStop: Stop['reason'] = 'start'
  /** What `x` showed last, and where it goes on. */
  lastFormat: ExamineFormat | undefined
  nextExamined: bigint | undefined
  private readonly reader: TraceReader

  /** @throws {TraceError} if the trace holds what this kaal cannot honour. */
  constructor(reader: TraceReader, options: TimelineOptions = {}) {
    this.reader = reader
    this.timeline = new Timeline(reader, options)
    this.names = new Names(this.timeline.symbols)
  }

  /**
   * Carries out one line: a command with its argument, or nothing for an empty line or a comment (#).
   *
   * @returns the lines to print.
   * @throws {DebuggerError} if it cannot be carried out.
   */
  async execute(line: string): Promise<readonly string[]> {
    const text = line.trim()
    if (text === '' || text.startsWith('#')) return []
    // x/8xw is a command with an argument too.
    const [, word, argument] = /^([^\s/]+)\s*(.*)$/s.exec(text) ?? ['', text, '']
    return findCommand(word).run(this, argument.trim())
  }

  /** What can follow in a line that is being typed: the candidates, and the part that they replace. */
  complete(line: string): [string[], string] {
    const [, word, argument] = /^\s*(\S*)(?:\s+(.*))?$/s.exec(line) ?? ['', '', undefined]
    const commands = COMMANDS.map(({ name }) => name)
    if (argument === undefined) return [commands.filter((name) => name.startsWith(word)), word]
    const kind = COMMANDS.find(({ name, aliases }) => name === word.split('/')[0] || aliases.includes(word))?.completes
    if (kind === 'command') return [commands.filter((name) => name.startsWith(argument)), argument]
    if (kind === 'info') return [INFO.filter((name) => name.startsWith(argument)), argument]
    if (kind === 'symbol') return [this.names.startingWith(argument), argument]
    return [[], argument]
  }

  /** Reads guest memory as the processor sees it now. */
  readonly read: ReadMemory = (address, bytes) => this.timeline.readMemory(address, bytes)

  /** The value of an expression. */
  evaluate(text: string): bigint {
    return evaluate(text, this.timeline.machine.cpu.state, this.names)
  }

  /** An address with its name. */
  place(address: bigint): string {
    return `${hex64(address)}${this.names.suffix(address)}`
  }

  /** The position, and the instruction that comes next. */
  here(): string {
    const { pc } = this.timeline.machine.cpu.state
    const bytes = this.read(pc, 4)
    const word = bytes && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
    const text =
      word === undefined ? '(no memory there)' : disassemble(word, pc, (address) => this.names.describe(address))
    return `${grouped(this.timeline.position)}  ${this.place(pc)}  ${text}`
  }

  /** Why and where it stopped. */
  stopLines({ reason, breakpoint }: Stop): string[] {
    this.lastStop = reason
    const why = {
      step: [],
      breakpoint: [`breakpoint${breakpoint === undefined ? '' : ` ${breakpoint}`}`],
      watchpoint: [`watchpoint${breakpoint === undefined ? '' : ` ${breakpoint}`}`],
      event: [`event${breakpoint === undefined ? '' : ` ${breakpoint}`}`],
      start: ['start of the trace'],
      end: ['end of the trace'],
      interrupted: ['interrupted'],
    }[reason]
    return [...why, this.here()]
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

/** A line without what a terminal would take as commands. */
function printable(line: string): string {
  return line.replaceAll(/[^\t\P{Cc}]/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
