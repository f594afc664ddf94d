/** Exceptions: taking them, returning from them, and the instructions that make them (Arm ARM DDI 0487, D1.3). */
import { regimeAddress, Cell } from './layout.js'
import type { Processor } from './processor.js'
import { registerAddress, stateWord } from './state.js'

/** Exception classes, ESR_ELx.EC (Arm ARM, D17.2.37). */
export const ExceptionClass = {
  UNKNOWN: 0x00,
  WFX: 0x01,
  FP_ACCESS: 0x07,
  ILLEGAL_STATE: 0x0e,
  SVC: 0x15,
  HVC: 0x16,
  SMC: 0x17,
  SYSTEM_REGISTER: 0x18,
  INSTRUCTION_ABORT_LOWER: 0x20,
  INSTRUCTION_ABORT: 0x21,
  PC_ALIGNMENT: 0x22,
  DATA_ABORT_LOWER: 0x24,
  DATA_ABORT: 0x25,
  BREAKPOINT_INSTRUCTION: 0x3c,
} as const

/** Offsets in a vector table of the kinds of exception. */
export const Vector = { SYNCHRONOUS: 0, IRQ: 0x80, FIQ: 0x100 } as const
/** One of {@link Vector}. */
export type Vector = (typeof Vector)[keyof typeof Vector]

/** ESR_ELx.IL: a 32-bit instruction, which every A64 instruction is. */
const IL = 1 << 25
/** PSTATE.D, A, I, F as in DAIF. */
export const Daif = { D: 0x200, A: 0x100, I: 0x80, F: 0x40, ALL: 0x3c0 } as const

const word = (field: Parameters<typeof registerAddress>[0], index = 0) => registerAddress(field, index) >>> 2
const PC = word('pc')
const SP = word('sp')
const SP_EL = [word('sp_el', 0), word('sp_el', 1), word('sp_el', 2)] as const
const ELR = [0, word('elr_el', 1), word('elr_el', 2)] as const
const SPSR = [0, word('spsr_el', 1), word('spsr_el', 2)] as const
const ESR = [0, word('esr_el', 1), word('esr_el', 2)] as const
const FAR = [0, word('far_el', 1), word('far_el', 2)] as const
const VBAR = [0, word('vbar_el', 1), word('vbar_el', 2)] as const
const NZCV = stateWord('nzcv')
const DAIF = stateWord('daif')
const EL = stateWord('el')
const SPSEL = stateWord('spsel')
const ILLEGAL = stateWord('il')
const EXCLUSIVE = stateWord('exclusive')
const CPACR = word('cpacr_el1')
const CPTR = word('cptr_el2')
const HCR = word('hcr_el2')
const HCR_HCD = 1 << 29
const REGIME = Cell.REGIME >>> 2

/** PSTATE as SPSR_ELx holds it. */
export function savedProgramStatus(u32: Uint32Array): number {
  return ((u32[NZCV] << 28) | (u32[ILLEGAL] << 20) | u32[DAIF] | (u32[EL] << 2) | u32[SPSEL]) >>> 0
}

/** Makes `el` and `spsel` current: the stack pointer in use changes, and with the level the fast TLBs. */
export function selectStack(u32: Uint32Array, el: number, spsel: number): void {
  const old = SP_EL[u32[SPSEL] ? u32[EL] : 0]
  const next = SP_EL[spsel ? el : 0]
  u32[old] = u32[SP]
  u32[old + 1] = u32[SP + 1]
  u32[SP] = u32[next]
  u32[SP + 1] = u32[next + 1]
  u32[EL] = el
  u32[SPSEL] = spsel
  u32[REGIME] = regimeAddress(el)
}

/**
 * Takes an exception to EL1 or EL2 (`AArch64.TakeException`), from the state in machine memory.
 *
 * @param target the exception level that handles it.
 * @param returnOffset bytes from the PC to the preferred return address: 0, or 4 where it is the next instruction.
 * @param syndrome ESR_ELx, or -1 for an interrupt, which has none.
 */
export function takeException(
  cpu: Processor,
  target: 1 | 2,
  vector: Vector,
  returnOffset: 0 | 4,
  syndrome: number,
): void {
  const { u32 } = cpu
  const el = u32[EL]
  const base = target > el ? 0x400 : u32[SPSEL] ? 0x200 : 0
  u32[SPSR[target]] = savedProgramStatus(u32)
  u32[SPSR[target] + 1] = 0
  const lo = u32[PC] + returnOffset
  u32[ELR[target]] = lo
  u32[ELR[target] + 1] = u32[PC + 1] + (lo > 0xffff_ffff ? 1 : 0)
  if (syndrome !== -1) {
    u32[ESR[target]] = syndrome
    u32[ESR[target] + 1] = 0
  }
  // Whether alignment is checked may differ there, and a run checks it or not as a whole.
  if (target === 2 && el !== 2) cpu.stop()
  selectStack(u32, target, 1)
  u32[DAIF] = Daif.ALL
  // The architecture leaves NZCV as it was; QEMU clears it, and so do we, since a handler cannot rely on either.
  u32[NZCV] = 0
  u32[ILLEGAL] = 0
  const vectorLo = (u32[VBAR[target]] >>> 0) + base + vector
  u32[PC] = vectorLo
  u32[PC + 1] = u32[VBAR[target] + 1] + (vectorLo > 0xffff_ffff ? 1 : 0)
  if (syndrome !== -1) cpu.exceptionTaken(target, syndrome >>> 0)
}

/** Where an exception of the current level goes: EL1, unless EL2 is running. */
function targetOf(cpu: Processor): 1 | 2 {
  return cpu.u32[EL] === 2 ? 2 : 1
}

/** Takes a synchronous exception with the PC as its return address. */
export function takeSynchronous(cpu: Processor, exceptionClass: number, iss: number): true {
  takeException(cpu, targetOf(cpu), Vector.SYNCHRONOUS, 0, ((exceptionClass << 26) | IL | iss) >>> 0)
  return true
}

/** The exception of an instruction that is UNDEFINED. */
export function takeUndefined(cpu: Processor): true {
  return takeSynchronous(cpu, ExceptionClass.UNKNOWN, 0)
}

/** The data abort for the MMU's last fault. */
export function takeDataAbort(cpu: Processor): void {
  cpu.events.timeless()
  const { fault } = cpu.mmu
  const target = targetOf(cpu)
  setFar(cpu, target, fault.lo, fault.hi)
  const exceptionClass = cpu.u32[EL] === target ? ExceptionClass.DATA_ABORT : ExceptionClass.DATA_ABORT_LOWER
  takeSynchronous(cpu, exceptionClass, (fault.status & 0x3f) | (fault.write ? 0x40 : 0))
}

/** The exception for a PC that cannot be fetched from: misaligned, or an instruction abort with the MMU's last fault. */
export function takeFetchFault(cpu: Processor): void {
  const { u32, mmu } = cpu
  const target = targetOf(cpu)
  setFar(cpu, target, u32[PC], u32[PC + 1])
  if ((u32[PC] & 3) !== 0) {
    takeSynchronous(cpu, ExceptionClass.PC_ALIGNMENT, 0)
    return
  }
  cpu.events.timeless()
  const exceptionClass = u32[EL] === target ? ExceptionClass.INSTRUCTION_ABORT : ExceptionClass.INSTRUCTION_ABORT_LOWER
  takeSynchronous(cpu, exceptionClass, mmu.fault.status & 0x3f)
}

function setFar(cpu: Processor, target: 1 | 2, lo: number, hi: number): void {
  cpu.u32[FAR[target]] = lo
  cpu.u32[FAR[target] + 1] = hi
}

/** Takes a pending interrupt at an instruction boundary. */
export function takeInterrupt(cpu: Processor, fiq: boolean): void {
  takeException(cpu, targetOf(cpu), fiq ? Vector.FIQ : Vector.IRQ, 0, -1)
}

/** SVC. */
export function callSupervisor(cpu: Processor, imm16: number): boolean {
  takeException(cpu, targetOf(cpu), Vector.SYNCHRONOUS, 4, ((ExceptionClass.SVC << 26) | IL | imm16) >>> 0)
  return true
}

/** HVC: PSCI where that is its conduit, otherwise a call to EL2, if there is one. */
export function callHypervisor(cpu: Processor, imm16: number): boolean {
  const { u32 } = cpu
  if (u32[EL] === 0) return takeUndefined(cpu)
  if (cpu.board.firmwareCall('hvc')) return false
  if (!cpu.hasEl2 || (u32[HCR] & HCR_HCD) !== 0) return takeUndefined(cpu)
  takeException(cpu, 2, Vector.SYNCHRONOUS, 4, ((ExceptionClass.HVC << 26) | IL | imm16) >>> 0)
  return true
}

/** SMC: PSCI where that is its conduit; there is no EL3 to call otherwise. */
export function callSecureMonitor(cpu: Processor): boolean {
  if (cpu.u32[EL] !== 0 && cpu.board.firmwareCall('smc')) return false
  return takeUndefined(cpu)
}

/** BRK. */
export function breakpointInstruction(cpu: Processor, imm16: number): boolean {
  return takeSynchronous(cpu, ExceptionClass.BREAKPOINT_INSTRUCTION, imm16)
}

/** HLT: UNDEFINED, since halting debug is off. */
export function haltInstruction(cpu: Processor): boolean {
  return takeUndefined(cpu)
}

/** ERET (`AArch64.ExceptionReturn`). */
export function exceptionReturn(cpu: Processor): boolean {
  const { u32 } = cpu
  const el = u32[EL]
  const spsr = u32[SPSR[el]]
  const target = (spsr >>> 2) & 3
  const spsel = spsr & 1
  if ((spsr & 0x10) !== 0 && target <= el)
    cpu.unsupported(`a return to AArch32 (SPSR_EL${el} = 0x${spsr.toString(16)})`)
  u32[EXCLUSIVE] = 0
  u32[PC] = u32[ELR[el]]
  u32[PC + 1] = u32[ELR[el] + 1]
  u32[NZCV] = spsr >>> 28
  u32[DAIF] = spsr & Daif.ALL
  const illegal = (spsr & 0x12) !== 0 || target > el || target === 3 || (target === 0 && spsel === 1)
  if (illegal) {
    u32[ILLEGAL] = 1
    cpu.stop()
  } else {
    u32[ILLEGAL] = (spsr >>> 20) & 1
    selectStack(u32, target, spsel)
    if (u32[ILLEGAL] || (el === 2 && target !== 2)) cpu.stop()
  }
  cpu.checkInterrupts()
  return true
}

/** WFI: waits unless an interrupt is pending, masked or not; traps from EL0 where SCTLR_EL1.nTWI is clear. */
export function waitForInterrupt(cpu: Processor): boolean {
  if (cpu.u32[EL] === 0 && (cpu.u32[SCTLR_EL1] & (1 << 16)) === 0)
    return takeSynchronous(cpu, ExceptionClass.WFX, CONDITION_ALWAYS)
  cpu.waitForInterrupt()
  return false
}

/** WFE: does not wait, as the architecture allows, and so never traps, as on QEMU. */
export function waitForEvent(): boolean {
  return false
}

const SCTLR_EL1 = word('sctlr_el', 1)
/** ISS.CV and COND for an instruction that is not conditional. */
const CONDITION_ALWAYS = 0x1e << 20

/** An FP or SIMD instruction: the trap that CPACR_EL1.FPEN or CPTR_EL2.TFP asks for, otherwise UNDEFINED. */
export function accessFpSimd(cpu: Processor): boolean {
  const { u32 } = cpu
  const el = u32[EL]
  const fpen = (u32[CPACR] >>> 20) & 3
  if (el < 2 && (fpen === 0 || fpen === 2 || (fpen === 1 && el === 0)))
    return takeSynchronous(cpu, ExceptionClass.FP_ACCESS, CONDITION_ALWAYS)
  if (cpu.hasEl2 && (u32[CPTR] & 0x400) !== 0) {
    takeException(cpu, 2, Vector.SYNCHRONOUS, 0, ((ExceptionClass.FP_ACCESS << 26) | IL | CONDITION_ALWAYS) >>> 0)
    return true
  }
  return takeUndefined(cpu)
}
