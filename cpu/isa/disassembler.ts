/** The disassembler: the instruction table read as text, with the aliases that the Arm ARM prefers and the layout of GNU objdump. */
import { type Place, decimal, notAnInstruction, text } from './assembly.js'
import { decode } from './table.js'

const ALL_ONES = 0xffff_ffff_ffff_ffffn
const PAGE_MASK = 0xfffn

/**
 * The text of one instruction: `add x0, x1, #0x10`, `b.eq 0x40080010 <loop+0x8>`.
 *
 * @param word the instruction word, 0 to 2^32-1.
 * @param pc its address, 0 to 2^64-1.
 * @param symbol what to write for an address behind it in angle brackets, if anything.
 * @returns the text; for a word that is unallocated on a Cortex-A53, `.inst 0x… // undefined` or `udf #0`.
 */
export function disassemble(word: number, pc: bigint, symbol?: (address: bigint) => string | undefined): string {
  const decoded = decode(word >>> 0)
  // UDF is UNDEFINED for ever, and so has no row, but it has a name.
  if (word >>> 16 === 0) return text('udf', decimal(word))
  if (!decoded) return notAnInstruction(word >>> 0, 'undefined')
  const at = (address: bigint): string => {
    const name = symbol?.(address & ALL_ONES)
    const number = `0x${(address & ALL_ONES).toString(16)}`
    return name === undefined ? number : `${number} <${name}>`
  }
  const place: Place = {
    word: word >>> 0,
    label: (offset) => at(pc + BigInt(offset)),
    pageLabel: (offset) => at((pc & ~PAGE_MASK) + BigInt(offset)),
  }
  return decoded.instruction.asm(decoded.raw, place)
}
