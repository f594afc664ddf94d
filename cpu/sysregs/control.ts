/** Control and exception-handling registers of EL1 and EL2 (Arm ARM DDI 0487, D17.2). */
import { fpTrap } from './state.js'
import type { Processor } from '../processor.js'
import { type SystemRegister, constant, hex, register } from './register.js'

/** Translation may give other results from now on; entries of the translation TLB stay until a TLBI. */
const translationChanged = (cpu: Processor) => cpu.translationChanged()
/** VBAR_ELx ignores bits 4:0, as QEMU has it. */
const VECTOR_BASE = 0xffff_ffff_ffff_ffe0n

/** HCR_EL2 bits without an effect that this processor lacks: RW, HCD and SWIO. */
const HCR_HARMLESS = (1 << 31) | (1 << 29) | (1 << 1)

/** The rows. */
export const control: readonly SystemRegister[] = [
  register('SCTLR_EL1', 'S3_0_C1_C0_0', { at: ['sctlr_el', 1], reset: 0x00c5_0838n, onWrite: translationChanged }),
  constant('ACTLR_EL1', 'S3_0_C1_C0_1', 0n, { write: 1 }),
  register('CPACR_EL1', 'S3_0_C1_C0_2', { at: ['cpacr_el1'] }),
  register('TTBR0_EL1', 'S3_0_C2_C0_0', { at: ['ttbr0_el', 1], onWrite: translationChanged }),
  register('TTBR1_EL1', 'S3_0_C2_C0_1', { at: ['ttbr1_el1'], onWrite: translationChanged }),
  register('TCR_EL1', 'S3_0_C2_C0_2', { at: ['tcr_el', 1], onWrite: translationChanged }),
  register('SPSR_EL1', 'S3_0_C4_C0_0', { at: ['spsr_el', 1] }),
  register('ELR_EL1', 'S3_0_C4_C0_1', { at: ['elr_el', 1] }),
  constant('AFSR0_EL1', 'S3_0_C5_C1_0', 0n, { write: 1 }),
  constant('AFSR1_EL1', 'S3_0_C5_C1_1', 0n, { write: 1 }),
  register('ESR_EL1', 'S3_0_C5_C2_0', { at: ['esr_el', 1] }),
  register('FAR_EL1', 'S3_0_C6_C0_0', { at: ['far_el', 1] }),
  register('PAR_EL1', 'S3_0_C7_C4_0', { at: ['par_el1'] }),
  register('MAIR_EL1', 'S3_0_C10_C2_0', { at: ['mair_el', 1] }),
  constant('AMAIR_EL1', 'S3_0_C10_C3_0', 0n, { write: 1 }),
  register('VBAR_EL1', 'S3_0_C12_C0_0', { at: ['vbar_el', 1], mask: VECTOR_BASE }),
  constant('RVBAR_EL1', 'S3_0_C12_C0_1', 0n, { onlyWithoutEl2: true }),
  register('CONTEXTIDR_EL1', 'S3_0_C13_C0_1', { at: ['contextidr_el1'] }),
  register('TPIDR_EL1', 'S3_0_C13_C0_4', { at: ['tpidr_el', 1] }),
  constant('L2CTLR_EL1', 'S3_1_C11_C0_2', 0n, { write: 1 }),
  constant('L2ECTLR_EL1', 'S3_1_C11_C0_3', 0n, { write: 1 }),
  constant('L2ACTLR_EL1', 'S3_1_C15_C0_0', 0n, { write: 1 }),
  constant('CPUACTLR_EL1', 'S3_1_C15_C2_0', 0n, { write: 1 }),
  constant('CPUECTLR_EL1', 'S3_1_C15_C2_1', 0n, { write: 1 }),
  constant('CPUMERRSR_EL1', 'S3_1_C15_C2_2', 0n, { write: 1 }),
  constant('L2MERRSR_EL1', 'S3_1_C15_C2_3', 0n, { write: 1 }),
  constant('CBAR_EL1', 'S3_1_C15_C3_0', 0x0800_0000n),
  register('TPIDR_EL0', 'S3_3_C13_C0_2', { at: ['tpidr_el', 0] }),
  register('TPIDRRO_EL0', 'S3_3_C13_C0_3', { at: ['tpidrro_el0'], write: 1 }),

  register('SCTLR_EL2', 'S3_4_C1_C0_0', { at: ['sctlr_el', 2], onWrite: translationChanged }),
  constant('ACTLR_EL2', 'S3_4_C1_C0_1', 0n, { write: 2 }),
  register('HCR_EL2', 'S3_4_C1_C1_0', {
    at: ['hcr_el2'],
    refuse: (_cpu, lo, hi) => {
      if ((lo & ~HCR_HARMLESS) === 0 && hi === 0) return undefined
      return `HCR_EL2 = 0x${hex(hi, lo)}: traps and stage 2 translation for EL1`
    },
  }),
  register('MDCR_EL2', 'S3_4_C1_C1_1', { at: ['mdcr_el2'], reset: 6n }),
  register('CPTR_EL2', 'S3_4_C1_C1_2', { at: ['cptr_el2'] }),
  register('HSTR_EL2', 'S3_4_C1_C1_3', { at: ['hstr_el2'] }),
  constant('HACR_EL2', 'S3_4_C1_C1_7', 0n, { write: 2 }),
  register('TTBR0_EL2', 'S3_4_C2_C0_0', { at: ['ttbr0_el', 2], onWrite: translationChanged }),
  register('TCR_EL2', 'S3_4_C2_C0_2', { at: ['tcr_el', 2], onWrite: translationChanged }),
  register('VTTBR_EL2', 'S3_4_C2_C1_0', { at: ['vttbr_el2'] }),
  register('VTCR_EL2', 'S3_4_C2_C1_2', { at: ['vtcr_el2'] }),
  register('DACR32_EL2', 'S3_4_C3_C0_0', { at: ['dacr32_el2'] }),
  register('SPSR_EL2', 'S3_4_C4_C0_0', { at: ['spsr_el', 2] }),
  register('ELR_EL2', 'S3_4_C4_C0_1', { at: ['elr_el', 2] }),
  register('SPSR_irq', 'S3_4_C4_C3_0', { at: ['spsr_irq'] }),
  register('SPSR_abt', 'S3_4_C4_C3_1', { at: ['spsr_abt'] }),
  register('SPSR_und', 'S3_4_C4_C3_2', { at: ['spsr_und'] }),
  register('SPSR_fiq', 'S3_4_C4_C3_3', { at: ['spsr_fiq'] }),
  register('IFSR32_EL2', 'S3_4_C5_C0_1', { at: ['ifsr32_el2'] }),
  constant('AFSR0_EL2', 'S3_4_C5_C1_0', 0n, { write: 2 }),
  constant('AFSR1_EL2', 'S3_4_C5_C1_1', 0n, { write: 2 }),
  register('ESR_EL2', 'S3_4_C5_C2_0', { at: ['esr_el', 2] }),
  register('FPEXC32_EL2', 'S3_4_C5_C3_0', { at: ['fpexc32_el2'], onRead: fpTrap, onWrite: fpTrap }),
  register('FAR_EL2', 'S3_4_C6_C0_0', { at: ['far_el', 2] }),
  register('HPFAR_EL2', 'S3_4_C6_C0_4', { at: ['hpfar_el2'] }),
  register('MAIR_EL2', 'S3_4_C10_C2_0', { at: ['mair_el', 2] }),
  constant('AMAIR_EL2', 'S3_4_C10_C3_0', 0n, { write: 2 }),
  register('VBAR_EL2', 'S3_4_C12_C0_0', { at: ['vbar_el', 2], mask: VECTOR_BASE }),
  constant('RVBAR_EL2', 'S3_4_C12_C0_1', 0n),
  register('TPIDR_EL2', 'S3_4_C13_C0_2', { at: ['tpidr_el', 2] }),
]
