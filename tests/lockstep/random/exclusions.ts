/** What the random comparison leaves out, and why. Everything else must agree with QEMU. */

/** System registers that random MRS or MSR leaves out. */
export interface ExcludedRegister {
  readonly register: RegExp
  readonly reason: string
}

/** Writes left out, by register name. */
export const excludedWrites: readonly ExcludedRegister[] = [
  { register: /^VBAR_EL[12]$/, reason: 'the guest would lose its exception handler' },
  { register: /^TPIDR_EL[12]$/, reason: 'holds the mode that the exception handler returns to' },
  {
    register: /^(SCTLR|TCR|TTBR0|TTBR1|MAIR)_EL[12]$/,
    reason: 'would unmap the guest; each image sets its own random SCTLR, T0SZ and TBI instead',
  },
  {
    register: /^(HCR|MDCR|HSTR|VTCR|VTTBR|CNTHCTL|CNTVOFF)_EL2$/,
    reason: 'traps to EL2 and stage 2 translation are not built',
  },
  { register: /^(CPACR_EL1|CPTR_EL2)$/, reason: 'would let FP and SIMD instructions through, which are not built yet' },
  { register: /^(MDSCR_EL1|OSDLR_EL1)$/, reason: 'debug exceptions and single step are not built' },
  {
    register:
      /^(PMCR|PMCNTENSET|PMCNTENCLR|PMOVSSET|PMOVSCLR|PMCCNTR|PMCCFILTR|PMXEV\w+|PMEV\w+|PMSWINC)_EL0$|^PMINTEN\w+$/,
    reason: "running event counters count QEMU's host events and cycles of a 1 GHz clock",
  },
]

/** Registers whose value is left out, so never read either. */
export const excludedReads: readonly ExcludedRegister[] = [
  { register: /^(MDCCINT_EL1|DBGVCR32_EL2)$/, reason: 'on QEMU an MRS of it leaves the destination as it was' },
]

/** Words left out, by what they do. */
export const excludedWords: readonly { readonly what: string; readonly reason: string }[] = [
  { what: 'WFI', reason: 'waits for ever, as the guests arm no timer; the irq guest covers it' },
  {
    what: 'FP and SIMD encodings, but for a list of allocated ones',
    reason: 'all of them trap by CPACR_EL1 here; QEMU tells unallocated ones apart first',
  },
  {
    what: 'MSR DAIFSet/DAIFClr at EL0 with SCTLR_EL1.UMA = 0',
    reason: 'QEMU 7.2 exchanges op1 and op2 in the syndrome',
  },
  {
    what: 'data aborts from EL2 to EL2',
    reason: 'QEMU adds the instruction syndrome (ESR_EL2.ISV) that the architecture has for stage 2 only',
  },
  { what: 'ERET with Rn other than 31 (unallocated)', reason: 'QEMU 7.2 does not look at Rn and returns' },
  {
    what: 'unaligned accesses to empty physical memory',
    reason: 'QEMU splits them into aligned ones, and FAR is that of the first',
  },
  {
    what: 'branches to a misaligned address in an unmapped page',
    reason: 'QEMU takes the instruction abort first, the architecture the PC alignment fault',
  },
  {
    what: 'store-exclusive to address 2^64-1',
    reason: 'QEMU keeps that address in a closed monitor, and so takes it for a match',
  },
  { what: 'ERET to AArch32 (SPSR.M<4> = 1)', reason: 'AArch32 is not built; the machine stops with a message' },
  { what: 'HVC with a PSCI function that switches a CPU or the machine off', reason: 'ends the guest' },
  { what: 'B, BL with a target outside the case and the MMU off', reason: 'would run data or devices' },
]
