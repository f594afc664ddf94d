/** The instruction table: all rows, checked against each other, and the decoder over them. */
import { branches } from './branches.js'
import { dpImmediate } from './dp-immediate.js'
import { dpRegister } from './dp-register.js'
import { exclusives } from './exclusives.js'
import type { AnyRaw, Instruction } from './instruction.js'
import { loadsStores } from './loads-stores.js'
import { system } from './system.js'

/** Every row, in the order of the Arm ARM's classes. */
export const instructions: readonly Instruction[] = [
  ...dpImmediate,
  ...branches,
  ...system,
  ...exclusives,
  ...loadsStores,
  ...dpRegister,
]

/** Bits <31:21> tell almost all rows apart. */
const BUCKET_SHIFT = 21

/**
 * Sorts rows into buckets by the top bits of the words they match.
 *
 * @throws {Error} naming the rows if two patterns match a common word: order must never decide.
 */
function buckets(rows: readonly Instruction[]): readonly (readonly Instruction[])[] {
  rows.forEach((a, i) => {
    for (const b of rows.slice(i + 1)) {
      const common = a.mask & b.mask
      if ((a.value & common) === (b.value & common))
        throw new Error(`patterns overlap: ${a.name} (${a.text}) and ${b.name} (${b.text})`)
    }
  })
  const topBits = ~0 << BUCKET_SHIFT
  return Array.from({ length: 1 << (32 - BUCKET_SHIFT) }, (_, top) =>
    rows.filter((row) => (((top << BUCKET_SHIFT) ^ row.value) & row.mask & topBits) === 0),
  )
}

const byTopBits = buckets(instructions)

/** A decoded word. */
export interface Decoded {
  readonly instruction: Instruction
  readonly raw: AnyRaw
}

/** The row and fields of `word`, or undefined if the word is unallocated on this processor. */
export function decode(word: number): Decoded | undefined {
  for (const instruction of byTopBits[word >>> BUCKET_SHIFT]) {
    if ((word & instruction.mask) >>> 0 !== instruction.value) continue
    const raw = instruction.raw(word)
    return instruction.allocated(raw) ? { instruction, raw } : undefined
  }
  return undefined
}
