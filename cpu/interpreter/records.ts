/** Filling in the record of an instruction: its handler, the addresses of its registers, its immediates. */
import type { Decoded } from '../isa/table.js'
import { Cell, Record } from '../layout.js'
import { PAGE_SIZE } from '../machine-memory.js'
import { registerAddress } from '../state.js'
import type { Handler } from './handlers.js'
import { BranchVariant, SpecialHandler } from './hot-function.js'
import { type GeneratedInterpreter, handlerTable } from './module.js'

/**
 * Writes all of a record but its handler.
 *
 * @param decoded the instruction; undefined if the word is unallocated.
 * @param index where in its page the instruction stands.
 * @returns the number of its handler.
 */
export function fillRecord(
  view: DataView,
  record: number,
  decoded: Decoded | undefined,
  index: number,
  code: GeneratedInterpreter,
): number {
  if (!decoded) return SpecialHandler.UNDEFINED
  const handler = handlerTable.find(decoded)
  const { raw } = decoded
  for (const slot of handler.registers)
    view.setUint16(record + slot.offset, addressOfRegister(raw[slot.name], slot.sp, slot.write), true)
  for (const { reader, offset } of handler.operands) {
    const value = reader.read(raw)
    if (typeof value === 'number') view.setInt32(record + offset, value, true)
    else {
      view.setInt32(record + offset, value[0], true)
      view.setInt32(record + offset + 4, value[1], true)
    }
  }
  const rare = code.rareNumberOf(handler)
  if (rare !== undefined) view.setUint16(record + Record.RARE, rare, true)
  return code.numberOf(handler) + branchVariant(handler, raw, index)
}

function addressOfRegister(number: number, sp: boolean, write: boolean): number {
  if (number < 31) return registerAddress('x', number)
  return sp ? registerAddress('sp') : write ? Cell.SINK : Cell.ZERO
}

/** Where a branch by an immediate leads; the far variant for all else. */
function branchVariant(handler: Handler, raw: Decoded['raw'], index: number): BranchVariant {
  const last = handler.statements.at(-1)
  if (!handler.branches || last?.kind !== 'branch' || last.offset.source.kind !== 'operand') return BranchVariant.FAR
  const offset = handler.operands[last.offset.source.slot].reader.read(raw)
  if (typeof offset !== 'number') return BranchVariant.FAR
  const target = index * 4 + offset
  if (target < 0 || target >= PAGE_SIZE) return BranchVariant.FAR
  return offset <= 0 || last.type === 'call' ? BranchVariant.COUNTED : BranchVariant.NEAR
}
