/** The processor's architectural state: every register, with its place in machine memory. */
import { STATE_BASE } from './machine-memory.js'
import { stateBlock, u32, u64, u64s } from './state-block.js'

/**
 * Registers of one Cortex-A53. Names are the Arm ARM's; `sp` is the stack pointer in use, `sp_el` those of EL0 to EL2 while not in
 * use. System registers that only hold a value stand here under their names and are described in `sysregs/table.ts`.
 */
export const CPU_STATE = stateBlock('cpu0', {
  x: u64s(31),
  sp: u64,
  pc: u64,
  /** PSTATE.NZCV, N in bit 3. */
  nzcv: u32,
  /** PSTATE.DAIF, as in the DAIF register: D in bit 9, F in bit 6. */
  daif: u32,
  /** PSTATE.EL. */
  el: u32,
  /** PSTATE.SP. */
  spsel: u32,
  /** PSTATE.IL: the next instruction raises Illegal Execution State. */
  il: u32,
  /** The processor waits for an interrupt (WFI), or is off (PSCI). */
  halted: u32,
  /** Levels of the interrupt inputs. */
  irq: u32,
  fiq: u32,
  /** The exclusive monitor: whether it is open, and the address and data it watches. */
  exclusive: u32,
  exclusive_address: u64,
  exclusive_data: u64s(2),
  sp_el: u64s(3),
  elr_el: u64s(3),
  spsr_el: u64s(3),
  esr_el: u64s(3),
  far_el: u64s(3),
  vbar_el: u64s(3),
  sctlr_el: u64s(3),
  tcr_el: u64s(3),
  ttbr0_el: u64s(3),
  ttbr1_el1: u64,
  mair_el: u64s(3),
  tpidr_el: u64s(3),
  tpidrro_el0: u64,
  contextidr_el1: u64,
  cpacr_el1: u64,
  par_el1: u64,
  csselr_el1: u64,
  cntkctl_el1: u64,
  cntfrq_el0: u64,
  /** Generic timers in the order physical, virtual, hypervisor, secure. */
  cnt_ctl: u64s(4),
  cnt_cval: u64s(4),
  cntvoff_el2: u64,
  cnthctl_el2: u64,
  mdscr_el1: u64,
  osdlr_el1: u64,
  oslsr_el1: u64,
  mdccint_el1: u64,
  dbgbvr: u64s(6),
  dbgbcr: u64s(6),
  dbgwvr: u64s(4),
  dbgwcr: u64s(4),
  fpcr: u64,
  fpsr: u64,
  pmcr_el0: u64,
  pmcnten_el0: u64,
  pmovs_el0: u64,
  pmselr_el0: u64,
  pmuserenr_el0: u64,
  pminten_el1: u64,
  pmccntr_el0: u64,
  pmccfiltr_el0: u64,
  pmevcntr: u64s(6),
  pmevtyper: u64s(6),
  vpidr_el2: u64,
  vmpidr_el2: u64,
  hcr_el2: u64,
  mdcr_el2: u64,
  cptr_el2: u64,
  hstr_el2: u64,
  hpfar_el2: u64,
  vttbr_el2: u64,
  vtcr_el2: u64,
  dacr32_el2: u64,
  ifsr32_el2: u64,
  fpexc32_el2: u64,
  spsr_abt: u64,
  spsr_und: u64,
  spsr_irq: u64,
  spsr_fiq: u64,
})

/** Accessors of the processor's state. */
export type CpuState = ReturnType<typeof CPU_STATE.view>

type StateField = Parameters<typeof CPU_STATE.offsetOf>[0]

/** Address in machine memory of word `index` of a 64-bit register, for generated code. */
export function registerAddress(field: StateField, index = 0): number {
  return STATE_BASE + CPU_STATE.offsetOf(field) + 8 * index
}

/** Index of a 32-bit register in a 32-bit view of machine memory. */
export function stateWord(field: StateField): number {
  return (STATE_BASE + CPU_STATE.offsetOf(field)) >>> 2
}
