/** A processor with RAM and no devices, for tests that run a few instructions of their own. */
import type { Board } from '../../cpu/board.js'
import { disassemble } from '../../cpu/isa/disassembler.js'
import { MachineMemory, RAM_MIN, RAM_PHYSICAL } from '../../cpu/machine-memory.js'
import { Processor } from '../../cpu/processor.js'

/** Nothing answers, and time stands still. */
const NO_DEVICES: Board = {
  lo: 0,
  hi: 0,
  read: () => false,
  write: () => false,
  readCounter() {
    this.lo = 0
    this.hi = 0
  },
  timersChanged: () => {},
  firmwareCall: () => false,
}

/** Where guests start. */
export const START = BigInt(RAM_PHYSICAL)

/** A guest under test. Addresses are physical unless said otherwise. */
export class Guest {
  readonly memory = new MachineMemory(RAM_MIN)
  readonly cpu: Processor
  /** Syndromes of the faults taken. */
  readonly faults: number[] = []
  private readonly words: BigUint64Array

  constructor(options: { el2?: boolean } = {}) {
    const events = { fault: (syndrome: number) => this.faults.push(syndrome), timeless: () => {} }
    this.cpu = new Processor(this.memory, NO_DEVICES, events, options.el2 ?? false)
    this.cpu.state.pc = START
    this.words = new BigUint64Array(this.memory.ram.buffer, this.memory.ram.byteOffset, this.memory.ramSize / 8)
  }

  /**
   * Puts a program at `address`: a line for each word, in hexadecimal, and its text, which must be the disassembler's.
   *
   * @throws {Error} if a word has another text.
   */
  program(address: bigint, lines: string): void {
    lines
      .trim()
      .split('\n')
      .forEach((line, i) => {
        const [word, ...words] = line.trim().split(' ')
        const pc = address + BigInt(4 * i)
        const text = disassemble(Number.parseInt(word, 16), pc)
        if (text !== words.join(' ')) throw new Error(`0x${pc.toString(16)}: ${line.trim()} is ${text}`)
        this.memory.view.setUint32(this.hostOf(pc), Number.parseInt(word, 16), true)
      })
    this.cpu.mmu.changedFromOutside(Number(address), lines.trim().split('\n').length * 4)
  }

  /** Runs until `count` instructions have been executed. */
  run(count: number): void {
    let left = count
    while (left > 0) {
      left = this.cpu.run(left)
      const pending = this.cpu.interruptible
      if (pending) this.cpu.interrupt(pending)
      if (left > 0 && this.cpu.waiting) throw new Error(`waiting with ${left} instructions to go`)
    }
  }

  x(n: number): bigint {
    return this.cpu.state.x[n]
  }

  /** Reads and writes 64-bit words of RAM. */
  read(address: bigint): bigint {
    return this.words[Number(address - START) / 8]
  }

  write(address: bigint, value: bigint): void {
    this.words[Number(address - START) / 8] = value
    this.cpu.mmu.changedFromOutside(Number(address), 8)
  }

  /**
   * Turns the MMU on at EL1 with 4 KiB pages: table entries for each mapping from a page of virtual addresses below 2 MiB at
   * 0x4000_0000 to a physical page, with the low attribute bits of its descriptor. A page without one is not mapped.
   *
   * The tables stand at the end of RAM: levels 1 (TCR.T0SZ 25) to 3.
   */
  map(pages: Readonly<Record<string, readonly [bigint, bigint]>>): void {
    const [one, two, three] = [TABLES, TABLES + 0x1000n, TABLES + 0x2000n]
    for (let at = 0n; at < 0x3000n; at += 8n) this.write(TABLES + at, 0n)
    this.write(one + 8n, two | 3n)
    this.write(two, three | 3n)
    for (const [address, [physical, attributes]] of Object.entries(pages))
      this.write(three + ((BigInt(address) >> 12n) & 511n) * 8n, physical | attributes | 3n)
    const { state } = this.cpu
    state.tcr_el[1] = 25n | (25n << 16n) | (2n << 30n) | (2n << 32n)
    state.ttbr0_el[1] = one
    state.mair_el[1] = 0xffn
    state.sctlr_el[1] |= 1n
    this.cpu.mmu.tlb.load([])
    this.cpu.restored()
  }

  private hostOf(address: bigint): number {
    return this.memory.ram.byteOffset + Number(address - START)
  }
}

/** Where {@link Guest.map} has its tables. */
export const TABLES = START + BigInt(RAM_MIN) - 0x4000n

/** Descriptor bits: access flag, inner shareable. */
export const NORMAL = 0x700n
/** Descriptor bits for EL0, and for pages that may only be read. */
export const USER = 0x40n
export const READ_ONLY = 0x80n

/** ESR_ELx of an exception of class `ec`. */
export const syndrome = (ec: number, iss = 0): number => ((ec << 26) | (1 << 25) | iss) >>> 0
