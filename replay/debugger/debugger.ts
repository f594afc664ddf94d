/** The debugger: a language of commands over a timeline. Names are gdb's and rr's. */
import { disassemble } from '../../cpu/isa/disassembler.js'
import type { TraceReader } from '../../trace/reader.js'
import type { Stop, Timeline } from '../timeline.js'
import { CommandError, evaluate } from './expression.js'

interface CommandDefinition {
  readonly names: readonly string[]
  readonly usage: string
  readonly help: string
  /** Does it; returns false to end the session. */
  readonly run: (argument: string, format: string) => Promise<boolean | void> | boolean | void
}

/** A debugging session. */
export class Debugger {
  private readonly timeline: Timeline
  private readonly reader: TraceReader
  private readonly print: (line: string) => void

  /** @param print takes the lines of every answer. */
  constructor(timeline: Timeline, reader: TraceReader, print: (line: string) => void) {
    this.timeline = timeline
    this.reader = reader
    this.print = print
  }

  private readonly commands: readonly CommandDefinition[] = [
    { names: ['step', 's', 'stepi', 'si'], usage: 'step [N]', help: 'execute N instructions (1)', run: (n) => this.stopped(this.timeline.step(this.count(n))) },
    { names: ['reverse-step', 'rs', 'reverse-stepi', 'rsi'], usage: 'reverse-step [N]', help: 'go back N instructions (1)', run: (n) => this.stopped(this.timeline.reverseStep(this.count(n))) },
    { names: ['continue', 'c'], usage: 'continue', help: 'run to the next breakpoint, or to the end', run: async () => this.stopped(await this.timeline.continue()) },
    { names: ['reverse-continue', 'rc'], usage: 'reverse-continue', help: 'go back to the last breakpoint, or to the start', run: async () => this.stopped(await this.timeline.reverseContinue()) },
    { names: ['break', 'b'], usage: 'break ADDRESS', help: 'set a breakpoint: an address, a symbol, symbol+offset', run: (text) => this.setBreakpoint(text) },
    { names: ['delete', 'd'], usage: 'delete N', help: 'remove breakpoint N', run: (text) => this.deleteBreakpoint(text) },
    { names: ['info'], usage: 'info breakpoints', help: 'list the breakpoints', run: (what) => this.info(what) },
    { names: ['goto'], usage: 'goto POSITION', help: 'go to a position: 12_345_678, or end', run: (text) => this.goto(text) },
    { names: ['when'], usage: 'when', help: 'say where this is', run: () => this.where() },
    { names: ['regs'], usage: 'regs', help: 'show the registers', run: () => this.registers() },
    { names: ['x'], usage: 'x/NFU ADDRESS', help: 'show memory: N items; F: x hexadecimal, d decimal, s string, i instructions; U: b, h, w, g bytes 1, 2, 4, 8', run: (text, format) => this.examine(text, format) },
    { names: ['disas'], usage: 'disas [ADDRESS]', help: 'disassemble around the pc, or from an address', run: (text) => this.disassembleAt(text) },
    { names: ['uart'], usage: 'uart', help: "show the guest's output so far", run: () => this.uart() },
    { names: ['help', 'h'], usage: 'help [COMMAND]', help: 'show this', run: (name) => this.help(name) },
    { names: ['quit', 'q', 'exit'], usage: 'quit', help: 'end', run: () => false },
  ] // prettier-ignore

  /**
   * Carries out a command line; an empty one, and one that begins with `#`, does nothing.
   *
   * @returns false if the session is to end.
   * @throws {CommandError} if it cannot be done.
   */
  async execute(line: string): Promise<boolean> {
    const match = /^\s*([\w-]+)(?:\/(\w*))?\s*(.*?)\s*$/.exec(line)
    if (!match) {
      if (/^\s*(#.*)?$/.test(line)) return true
      throw new CommandError(`'${line.trim()}' is not understood: try help`)
    }
    const [, name, format = '', argument] = match
    return (await this.find(name).run(argument, format)) !== false
  }

  /** Completions of the last word of a line: commands, or symbols. */
  complete(line: string): string[] {
    const words = line.split(/\s+/)
    const last = words.at(-1) ?? ''
    if (words.length === 1) return this.commands.flatMap(({ names }) => names.filter((name) => name.startsWith(last)))
    return this.timeline.symbols.namesFrom(last).slice(0, 200)
  }

  private find(name: string): CommandDefinition {
    const exact = this.commands.find(({ names }) => names.includes(name))
    if (exact) return exact
    const candidates = this.commands.filter(({ names }) => names.some((known) => known.startsWith(name)))
    if (candidates.length === 1) return candidates[0]
    if (candidates.length > 1)
      throw new CommandError(`'${name}' is ambiguous: ${candidates.map(({ names }) => names[0]).join(', ')}`)
    throw new CommandError(`there is no command '${name}': ${this.commands.map(({ names }) => names[0]).join(', ')}`)
  }

  private count(text: string): number {
    if (text === '') return 1
    if (!/^\d+(_\d+)*$/.test(text)) throw new CommandError(`'${text}' is not a number of instructions`)
    return Number(text.replaceAll('_', ''))
  }

  private stopped(stop: Stop): void {
    if (stop.reason === 'breakpoint') this.print(`breakpoint ${stop.breakpoint ?? '?'}`)
    if (stop.reason === 'start') this.print('the start of the trace')
    if (stop.reason === 'end') this.print('the end of the trace')
    if (stop.reason === 'interrupted') this.print('interrupted')
    this.where()
  }

  private where(): void {
    const { pc } = this.timeline.machine.cpu.state
    this.print(`${formatPosition(this.timeline.position)}  ${this.instructionAt(pc)}`)
  }

  private setBreakpoint(text: string): void {
    const address = evaluate(text, this.timeline)
    if (address % 4n !== 0n)
      throw new CommandError(`0x${address.toString(16)} is not the address of an instruction: they are multiples of 4`)
    this.print(`breakpoint ${this.timeline.breakpoints.add(address)} at ${this.addressText(address)}`)
  }

  private deleteBreakpoint(text: string): void {
    if (!this.timeline.breakpoints.delete(Number(text))) throw new CommandError(`there is no breakpoint '${text}'`)
  }

  private info(what: string): void {
    if (!'breakpoints'.startsWith(what) || what === '') throw new CommandError(`info '${what}': give info breakpoints`)
    const list = this.timeline.breakpoints.list()
    if (list.length === 0) this.print('no breakpoints')
    for (const { id, address } of list) this.print(`${id}  ${this.addressText(address)}`)
  }

  private goto(text: string): void {
    const { end } = this.timeline
    if (text !== 'end' && !/^\d+(_\d+)*$/.test(text))
      throw new CommandError(`'${text}' is not a position: give 0 to ${formatPosition(end)}, or end`)
    this.timeline.seek(text === 'end' ? end : Number(text.replaceAll('_', '')))
    this.where()
  }

  private registers(): void {
    const { state } = this.timeline.machine.cpu
    const hex = (value: bigint): string => `0x${value.toString(16).padStart(16, '0')}`
    for (let row = 0; row < 31; row += 3) {
      const cells = [row, row + 1, row + 2]
        .filter((n) => n < 31)
        .map((n) => `${`x${n}`.padStart(4)} ${hex(state.x[n])}`)
      this.print(cells.join('  '))
    }
    this.print(`  sp ${hex(state.sp)}    pc ${hex(state.pc)}`)
    const flags = ['N', 'Z', 'C', 'V'].map((flag, i) => (state.nzcv & (8 >> i) ? flag : '-')).join('')
    const masks = ['D', 'A', 'I', 'F'].map((flag, i) => (state.daif & (0x200 >> i) ? flag : '-')).join('')
    this.print(`  EL${state.el}${state.spsel ? 'h' : 't'}  ${flags}  masked ${masks}`)
  }

  private examine(text: string, format: string): void {
    const match = /^(\d*)([xdsi]?)([bhwg]?)$/.exec(format) ?? /^(\d*)([bhwg]?)([xdsi]?)$/.exec(format)
    if (!match) throw new CommandError(`x/${format}: give a count, a format of x d s i, and a size of b h w g`)
    const letters = match[2] + match[3]
    const count = match[1] === '' ? 1 : Number(match[1])
    if (count > 4096) throw new CommandError(`x/${format}: at most 4096 items`)
    const address = evaluate(text, this.timeline)
    if (letters.includes('i')) return this.listInstructions(address, count)
    if (letters.includes('s')) return this.strings(address, count)
    const size = letters.includes('b') ? 1 : letters.includes('h') ? 2 : letters.includes('w') ? 4 : 8
    const perLine = 16 / size
    for (let i = 0; i < count; i += perLine) {
      const items = Math.min(perLine, count - i)
      const at = address + BigInt(i * size)
      const bytes = this.memory(at, items * size)
      const cells = Array.from({ length: items }, (_, item) =>
        this.cell(bytes.subarray(item * size, (item + 1) * size), letters.includes('d')),
      )
      this.print(`${this.addressText(at)}:  ${cells.join('  ')}`)
    }
  }

  private cell(bytes: Uint8Array, decimal: boolean): string {
    let value = 0n
    for (const byte of bytes.toReversed()) value = (value << 8n) | BigInt(byte)
    return decimal
      ? String(BigInt.asIntN(bytes.length * 8, value))
      : `0x${value.toString(16).padStart(bytes.length * 2, '0')}`
  }

  private strings(address: bigint, count: number): void {
    let at = address
    for (let i = 0; i < count; i++) {
      let text = ''
      let next = at
      for (; text.length < 1024; next++) {
        const [byte] = this.memory(next, 1)
        if (byte === 0) break
        text += String.fromCharCode(byte)
      }
      this.print(`${this.addressText(at)}:  ${JSON.stringify(text)}`)
      at = next + 1n
    }
  }

  private disassembleAt(text: string): void {
    const { pc } = this.timeline.machine.cpu.state
    if (text !== '') return this.listInstructions(evaluate(text, this.timeline), 16)
    return this.listInstructions(pc - 16n, 12)
  }

  private listInstructions(address: bigint, count: number): void {
    const { pc } = this.timeline.machine.cpu.state
    for (let i = 0; i < count; i++) {
      const at = BigInt.asUintN(64, address + BigInt(4 * i))
      this.print(`${at === pc ? '=>' : '  '} ${this.instructionAt(at)}`)
    }
  }

  private uart(): void {
    const bytes: number[] = []
    for (const { icount, direction, byte } of this.reader.uart({ to: this.timeline.position })) {
      if (direction === 0 && icount < this.timeline.position) bytes.push(byte)
    }
    const lines = new TextDecoder().decode(Uint8Array.from(bytes)).split('\n')
    for (const line of lines) this.print(line.replace(/\r$/, ''))
  }

  private help(name: string): void {
    const chosen = name === '' ? this.commands : [this.find(name)]
    for (const { names, usage, help } of chosen) {
      const others = names.slice(1).join(', ')
      this.print(`${usage.padEnd(20)} ${help}${others === '' ? '' : ` (${others})`}`)
    }
  }

  private memory(address: bigint, bytes: number): Uint8Array {
    const found = this.timeline.readMemory(address, bytes)
    if (!found)
      throw new CommandError(
        `cannot read memory at 0x${BigInt.asUintN(64, address).toString(16)}: nothing is mapped there, or a device`,
      )
    return found
  }

  private instructionAt(address: bigint): string {
    const bytes = this.timeline.readMemory(address, 4)
    if (!bytes) return `${this.addressText(address)}:  (nothing is mapped there)`
    const word = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
    return `${this.addressText(address)}:  ${disassemble(word, address, (target) => this.timeline.symbols.describe(target))}`
  }

  private addressText(address: bigint): string {
    const symbol = this.timeline.symbols.describe(address)
    return `0x${BigInt.asUintN(64, address).toString(16).padStart(16, '0')}${symbol === undefined ? '' : ` <${symbol}>`}`
  }
}

const formatPosition = (position: number): string => String(position).replaceAll(/\B(?=(\d{3})+$)/g, '_')
