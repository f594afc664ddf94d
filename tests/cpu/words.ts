/** Instruction words for tests: of every row of the table, chosen at random but the same each time, or spread over its corners. */
import type { Instruction } from '../../cpu/isa/instruction.js'
import { systemInstructions } from '../../cpu/sysregs/instructions.js'
import { systemRegisters } from '../../cpu/sysregs/table.js'

/** 32-bit numbers from a seed (xorshift32). */
export class Random {
  private state: number

  /** @param seed any 32-bit number but zero. */
  constructor(seed: number) {
    this.state = seed >>> 0
  }

  /** The next number, 0 to 2^32-1. */
  next(): number {
    let x = this.state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.state = x >>> 0
    return this.state
  }

  /** A number from 0 to `below` - 1. */
  below(below: number): number {
    return this.next() % below
  }
}

/**
 * A word that matches the row's pattern, allocated or not. Aliases hang on register 31, on zeros and on equal registers, so a field in
 * four is all ones, one in eight all zeros, and registers repeat. Of system registers and instructions, half are ones that there are.
 */
export function randomWord(row: Instruction, random: Random): number {
  let word = (row.value | (random.next() & ~row.mask)) >>> 0
  let register = 0
  for (const { lsb, width, role } of row.fields) {
    const ones = ((2 ** width - 1) << lsb) >>> 0
    const choice = random.below(8)
    if (choice < 2) word |= ones
    else if (choice === 2) word &= ~ones
    else if (choice === 3 && role === 'register') word = (word & ~ones) | (register << lsb)
    if (role === 'register') register = (word >>> lsb) & 31
  }
  const { keys, mask } = NAMED.get(row.name) ?? { keys: [], mask: 0 }
  if (keys.length > 0 && random.below(2)) word = (word & ~mask) | (keys[random.below(keys.length)] << 5)
  return word >>> 0
}

/** The numbers that system registers and instructions go by, and the bits of a word that they fill. */
const NAMED = new Map([
  ['MRS/MSR (register)', { keys: systemRegisters.map((row) => row.key), mask: 0x7fff << 5 }],
  ['SYS/SYSL', { keys: systemInstructions.map((row) => row.key), mask: 0x3fff << 5 }],
])
