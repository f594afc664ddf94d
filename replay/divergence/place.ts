/** Where a machine stands, for people: position, address with its symbol, instruction and source line. */
import { disassemble } from '../../cpu/isa/disassembler.js'
import { PAGE_SIZE, RAM_PHYSICAL } from '../../cpu/machine-memory.js'
import { readElf } from '../../devices/loader/elf.js'
import { SymbolTable } from '../../devices/loader/symbols.js'
import type { Machine } from '../../devices/machine.js'
import type { TraceReader } from '../../trace/reader.js'
import { Names } from '../debugger/names.js'
import { grouped, hex64 } from '../debugger/numbers.js'
import { type ReadSource, type SymbolFile, Sources, describePlace } from '../debugger/sources.js'

/** The instruction that a machine executes next. */
export interface Place {
  readonly position: number
  readonly pc: bigint
  /** `symbol+0x10`, if a symbol holds the address. */
  readonly symbol: string | undefined
  /** Disassembled; what is said if the address leads nowhere, or the processor waits. */
  readonly instruction: string
  /** `file:line`, and the text of that line if it is at hand. */
  readonly source: string | undefined
}

/** Symbols and source lines of a trace's kernel. */
export class Guide {
  readonly names: Names
  private readonly sources: Sources

  /**
   * @param symbols executables that know more than the trace's own kernel.
   * @throws {LoadError} if one of them is no executable.
   */
  constructor(reader: TraceReader, table: SymbolTable, symbols: readonly SymbolFile[] = [], readSource?: ReadSource) {
    const given = symbols.flatMap(({ name, bytes }) => readElf(bytes, name).symbols.all)
    this.names = new Names(given.length > 0 ? new SymbolTable([...given, ...table.all]) : table)
    const kernel = () => [...reader.images()].filter(({ role }) => role === 'kernel')
    this.sources = new Sources(
      () => [...symbols, ...kernel()],
      readSource ?? (() => undefined),
      () => {},
    )
  }

  /** Where a machine stands. */
  placeOf(machine: Machine): Place {
    const { cpu, icount: position } = machine
    const { pc } = cpu.state
    const word = wordAt(machine, pc)
    const text =
      word === undefined ? '(no memory there)' : disassemble(word, pc, (address) => this.names.describe(address))
    const source = this.sources.at(pc)
    const line = source && this.sources.text(source)?.trim()
    return {
      position,
      pc,
      symbol: this.names.describe(pc),
      instruction: cpu.state.halted === 0 ? text : `(waits for an interrupt before ${text})`,
      source: source && `${describePlace(source)}${line === undefined ? '' : `  ${line}`}`,
    }
  }

  /** An address with its symbol. */
  address(address: bigint): string {
    return `${hex64(address)}${this.names.suffix(address)}`
  }
}

/** A place in one line, and its source line in a second if it is known. */
export function placeLines({ position, pc, symbol, instruction, source }: Place): string[] {
  const name = symbol === undefined ? '' : ` <${symbol}>`
  return [`${grouped(position)}  ${hex64(pc)}${name}  ${instruction}`, ...(source === undefined ? [] : [source])]
}

/** The instruction word at a virtual address, without any effect; undefined where there is no RAM. */
function wordAt({ cpu, memory }: Machine, address: bigint): number | undefined {
  const physical = cpu.mmu.peek(Number(address & 0xffff_ffffn), Number(address >> 32n), cpu.state.el)
  const offset = physical - RAM_PHYSICAL
  if (physical < 0 || offset < 0 || offset % PAGE_SIZE > PAGE_SIZE - 4 || offset + 4 > memory.ramSize) return undefined
  return new DataView(memory.ram.buffer, memory.ram.byteOffset).getUint32(offset, true)
}
