/** The cumulative hash of a run: two 32-bit lanes over every instruction's registers. `qemu-plugin/registers.c` computes the same in C. */

/** NZCV, IL, DAIF and the mode field of a PSTATE written as in SPSR: the bits that are compared. */
export const PSTATE_MASK = 0xf01003df

/** 32-bit words of X0-X30 and SP, low half first. */
export const REGISTER_WORDS = 64

/** What both sides know of the processor before an instruction. */
export interface Registers {
  readonly pcLo: number
  readonly pcHi: number
  /** As in SPSR_ELx. */
  readonly pstate: number
  /** X0-X30 and SP, low half first, from word {@link base} on. */
  readonly words: Uint32Array | Int32Array
  readonly base: number
}

const LANE_A = 0x9e3779b1
const LANE_B = 0x85ebca77

/** A cumulative hash. Lane a takes the low half of every 64-bit value, lane b the high one. */
export class RunHash {
  a = 0x6b61616c
  b = 0x7669727a

  /** Adds the state before one instruction. */
  add(registers: Registers): void {
    this.fold(registers.pcLo, registers.pcHi)
    this.fold(registers.pstate & PSTATE_MASK, 0)
    const { words, base } = registers
    let a = this.a
    let b = this.b
    for (let i = base; i < base + REGISTER_WORDS; i += 2) {
      a = Math.imul(a ^ words[i], LANE_A)
      a ^= a >>> 15
      b = Math.imul(b ^ words[i + 1], LANE_B)
      b ^= b >>> 13
    }
    this.a = a
    this.b = b
  }

  /** The hash so far, 16 hexadecimal digits. */
  get value(): string {
    return hex32(this.a) + hex32(this.b)
  }

  private fold(low: number, high: number): void {
    const a = Math.imul(this.a ^ low, LANE_A)
    this.a = a ^ (a >>> 15)
    const b = Math.imul(this.b ^ high, LANE_B)
    this.b = b ^ (b >>> 13)
  }
}

const hex32 = (value: number): string => (value >>> 0).toString(16).padStart(8, '0')
