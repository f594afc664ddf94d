/** MRS, MSR and SYS as the processor carries them out: levels, traps, masks and side effects. */
import { ExceptionClass, Vector, takeException, takeSynchronous, takeUndefined } from '../exceptions.js'
import type { Processor } from '../processor.js'
import { registerAddress, stateWord } from '../state.js'
import { EL } from './fields.js'
import { systemInstructions } from './instructions.js'
import { systemRegisters } from './table.js'

const X0 = registerAddress('x') >>> 2
const DAIF = stateWord('daif')
const UMA = 1 << 9
const ESR_IL = 1 << 25

/** The syndrome of a trapped MSR, MRS or SYS, from its encoding (Arm ARM DDI 0487, D17.2.37, EC 0x18). */
export function systemSyndrome(o0: number, key: number, Rt: number, read: boolean): number {
  const op1 = (key >>> 11) & 7
  const CRn = (key >>> 7) & 15
  const CRm = (key >>> 3) & 15
  const op2 = key & 7
  return (o0 << 20) | (op2 << 17) | (op1 << 14) | (CRn << 10) | (Rt << 5) | (CRm << 1) | (read ? 1 : 0)
}

/** Traps to EL1 or EL2 with EC 0x18. */
export function takeSystemTrap(cpu: Processor, target: 1 | 2, iss: number): true {
  if (target === 1) return takeSynchronous(cpu, ExceptionClass.SYSTEM_REGISTER, iss)
  takeException(cpu, 2, Vector.SYNCHRONOUS, 0, ((ExceptionClass.SYSTEM_REGISTER << 26) | ESR_IL | iss) >>> 0)
  return true
}

/** MRS of a register with a meaning: `index` in the table, into X[Rt]. */
export function readSystemRegister(cpu: Processor, index: number, Rt: number): boolean {
  const row = systemRegisters[index]
  const { u32 } = cpu
  if (!row.read || u32[EL] < row.read.el || (row.onlyWithoutEl2 && cpu.hasEl2)) return takeUndefined(cpu)
  const target = row.trap?.(cpu, false) ?? 0
  if (target) return takeSystemTrap(cpu, target, systemSyndrome(2 | (row.key >>> 14), row.key, Rt, true))
  if (row.storage !== undefined) {
    cpu.lo = u32[row.storage >>> 2]
    cpu.hi = u32[(row.storage >>> 2) + 1]
  }
  cpu.excepted = false
  row.onRead?.(cpu)
  if (cpu.excepted) return true
  if (Rt !== 31) {
    u32[X0 + 2 * Rt] = cpu.lo
    u32[X0 + 2 * Rt + 1] = cpu.hi
  }
  return false
}

/** MSR of a register with a meaning, from X[Rt]. Execution goes on with everything looked up anew. */
export function writeSystemRegister(cpu: Processor, index: number, Rt: number): boolean {
  const row = systemRegisters[index]
  const { u32 } = cpu
  if (!row.write || u32[EL] < row.write.el || (row.onlyWithoutEl2 && cpu.hasEl2)) return takeUndefined(cpu)
  const target = row.trap?.(cpu, true) ?? 0
  if (target) return takeSystemTrap(cpu, target, systemSyndrome(2 | (row.key >>> 14), row.key, Rt, false))
  cpu.lo = Rt === 31 ? 0 : u32[X0 + 2 * Rt]
  cpu.hi = Rt === 31 ? 0 : u32[X0 + 2 * Rt + 1]
  const refused = row.refuse?.(cpu, cpu.lo, cpu.hi)
  if (refused !== undefined) cpu.unsupported(refused)
  const word = (row.storage ?? 0) >>> 2
  const oldLo = u32[word]
  const oldHi = u32[word + 1]
  if (row.storage !== undefined) {
    u32[word] = (u32[word] & ~row.maskLo) | (cpu.lo & row.maskLo)
    u32[word + 1] = (u32[word + 1] & ~row.maskHi) | (cpu.hi & row.maskHi)
  }
  cpu.excepted = false
  row.onWrite?.(cpu)
  if (!cpu.excepted) cpu.advance()
  else if (row.storage !== undefined) {
    // A write that has trapped after all has written nothing.
    u32[word] = oldLo
    u32[word + 1] = oldHi
  }
  return true
}

/** MSR (immediate): SPSel, DAIFSet or DAIFClr by `field` (op1:op2). */
export function moveSpecialImmediate(cpu: Processor, field: number, CRm: number): boolean {
  const { u32 } = cpu
  if (field === 5) {
    if (u32[EL] === 0) return takeUndefined(cpu)
    cpu.selectStack(CRm & 1)
    return false
  }
  if (u32[EL] === 0 && !cpu.sctlr(UMA)) {
    cpu.events.timeless()
    const key = (3 << 11) | (4 << 7) | (CRm << 3) | (field & 7)
    return takeSystemTrap(cpu, 1, systemSyndrome(0, key, 31, false))
  }
  if ((field & 7) === 6) u32[DAIF] |= CRm << 6
  else {
    u32[DAIF] &= ~(CRm << 6)
    cpu.checkInterrupts()
  }
  return false
}

/** SYS: cache maintenance, address translation, TLB maintenance; `index` in the table. */
export function systemInstruction(cpu: Processor, index: number, Rt: number): boolean {
  const row = systemInstructions[index]
  const { u32 } = cpu
  if (u32[EL] < row.el || (row.needsEl2 && !cpu.hasEl2)) return takeUndefined(cpu)
  if (u32[EL] === 0 && row.userBit !== 0 && !cpu.sctlr(row.userBit))
    return takeSystemTrap(cpu, 1, systemSyndrome(1, row.key, Rt, false))
  return row.execute(cpu, Rt === 31 ? 0 : u32[X0 + 2 * Rt], Rt === 31 ? 0 : u32[X0 + 2 * Rt + 1])
}
