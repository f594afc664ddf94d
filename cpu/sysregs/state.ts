/** Registers that are views of processor state: PSTATE fields, stack pointers, pending interrupts, FP control. */
import { accessFpSimd, takeUndefined } from '../exceptions.js'
import type { Processor } from '../processor.js'
import { stateWord } from '../state.js'
import { EL } from './fields.js'
import { type SystemRegister, register } from './register.js'

const NZCV = stateWord('nzcv')
const DAIF = stateWord('daif')
const SPSEL = stateWord('spsel')
const IRQ = stateWord('irq')
const FIQ = stateWord('fiq')
/** SCTLR_EL1.UMA: EL0 may access DAIF. */
const UMA = 1 << 9

function give(cpu: Processor, value: number): void {
  cpu.lo = value
  cpu.hi = 0
}

/** SP_EL0 is not accessible under its own name while it is in use. */
const whileInUse = (cpu: Processor): void => {
  if (cpu.u32[SPSEL] === 0) takeUndefined(cpu)
}

/** FPCR, FPSR and FPEXC32_EL2 trap as FP instructions do. */
export const fpTrap = (cpu: Processor): void => {
  if (!cpu.fpEnabled) accessFpSimd(cpu)
}

/** The rows. */
export const state: readonly SystemRegister[] = [
  register('NZCV', 'S3_3_C4_C2_0', {
    onRead: (cpu) => give(cpu, (cpu.u32[NZCV] << 28) >>> 0),
    onWrite: (cpu) => {
      cpu.u32[NZCV] = cpu.lo >>> 28
    },
  }),
  register('DAIF', 'S3_3_C4_C2_1', {
    trap: (cpu) => (cpu.u32[EL] === 0 && !cpu.sctlr(UMA) ? 1 : 0),
    onRead: (cpu) => give(cpu, cpu.u32[DAIF]),
    onWrite: (cpu) => {
      cpu.u32[DAIF] = cpu.lo & 0x3c0
      cpu.checkInterrupts()
    },
  }),
  register('CurrentEL', 'S3_0_C4_C2_2', { write: 4, onRead: (cpu) => give(cpu, cpu.u32[EL] << 2) }),
  register('SPSel', 'S3_0_C4_C2_0', {
    onRead: (cpu) => give(cpu, cpu.u32[SPSEL]),
    onWrite: (cpu) => cpu.selectStack(cpu.lo & 1),
  }),
  register('SP_EL0', 'S3_0_C4_C1_0', { at: ['sp_el', 0], onRead: whileInUse, onWrite: whileInUse }),
  register('SP_EL1', 'S3_4_C4_C1_0', { at: ['sp_el', 1] }),
  register('ISR_EL1', 'S3_0_C12_C1_0', {
    write: 4,
    onRead: (cpu) => give(cpu, (cpu.u32[IRQ] << 7) | (cpu.u32[FIQ] << 6)),
  }),
  register('FPCR', 'S3_3_C4_C4_0', { at: ['fpcr'], mask: 0x07f7_0000n, onRead: fpTrap, onWrite: fpTrap }),
  register('FPSR', 'S3_3_C4_C4_1', { at: ['fpsr'], mask: 0xf800_009fn, onRead: fpTrap, onWrite: fpTrap }),
]
