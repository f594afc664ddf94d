/** The code that exceptions enter: the vector table and what it branches to (Arm ARM DDI 0487, D1.3.1). */
import type { ReadMemory } from './examine.js'
import { instructionAt } from './frame-state.js'

const VECTORS = 16
const WORDS = 32
const TABLE = 0x800n

/** The entry code of one vector table. */
export class ExceptionEntry {
  private readonly base: bigint
  private readonly targets = new Set<bigint>()
  private readonly startOf: (address: bigint) => bigint | undefined

  /** @param startOf where the function of an address begins. */
  constructor(base: bigint, read: ReadMemory, startOf: (address: bigint) => bigint | undefined) {
    this.base = base
    this.startOf = startOf
    for (let n = 0; n < VECTORS * WORDS; n++) {
      const at = base + BigInt(4 * n)
      const word = instructionAt(read, at)
      if (word === undefined || (word & 0xfc00_0000) >>> 0 !== 0x1400_0000) continue
      const target = BigInt.asUintN(64, at + BigInt((word << 6) >> 4))
      if (!this.inTable(target)) this.targets.add(startOf(target) ?? target)
    }
  }

  /** Whether an address is in the vector table itself. */
  inTable(address: bigint): boolean {
    return address >= this.base && address < this.base + TABLE
  }

  /** Whether an address is in the table, or in a function that a vector goes to. */
  has(address: bigint): boolean {
    const start = this.startOf(address)
    return this.inTable(address) || (start !== undefined && this.targets.has(start))
  }
}
