/** Self-hosted debug registers (Arm ARM DDI 0487, D17.3). They hold values; asking for debug events stops the guest with a message. */
import { registerAddress } from '../state.js'
import { EL } from './fields.js'
import { type SystemRegister, constant, hex, register } from './register.js'

const OSLSR = registerAddress('oslsr_el1') >>> 2
const OSLK = 2
/** MDSCR_EL1.SS and MDE: single step, and breakpoints and watchpoints. */
const EVENTS = 0x8001

const numbered = (
  count: number,
  name: string,
  field: 'dbgbvr' | 'dbgbcr' | 'dbgwvr' | 'dbgwcr',
  op2: number,
  mask?: bigint,
): SystemRegister[] =>
  Array.from({ length: count }, (_, n) =>
    register(
      `${name}${n}_EL1`,
      `S2_0_C0_C${n}_${op2}`,
      mask === undefined ? { at: [field, n] } : { at: [field, n], mask },
    ),
  )

/** Breakpoint control registers: the byte address select has two bits that count. */
const breakpointControls: readonly SystemRegister[] = Array.from({ length: 6 }, (_, n) =>
  register(`DBGBCR${n}_EL1`, `S2_0_C0_C${n}_5`, {
    at: ['dbgbcr', n],
    onWrite(cpu) {
      // BAS<1> follows BAS<0>, and BAS<3> follows BAS<2>.
      const at = registerAddress('dbgbcr', n) >>> 2
      const value = cpu.u32[at]
      cpu.u32[at] = (value & ~0x140) | ((value & 0xa0) << 1)
    },
  }),
)

/** The rows. */
export const debug: readonly SystemRegister[] = [
  ...numbered(6, 'DBGBVR', 'dbgbvr', 4),
  ...breakpointControls,
  ...numbered(4, 'DBGWVR', 'dbgwvr', 6, 0xffff_ffff_ffff_fffcn),
  ...numbered(4, 'DBGWCR', 'dbgwcr', 7),
  register('MDCCINT_EL1', 'S2_0_C0_C2_0', { at: ['mdccint_el1'] }),
  register('MDSCR_EL1', 'S2_0_C0_C2_2', {
    at: ['mdscr_el1'],
    refuse: (_cpu, lo, hi) => {
      if ((lo & EVENTS) === 0) return undefined
      return `MDSCR_EL1 = 0x${hex(hi, lo)}: single step, breakpoints and watchpoints of the guest's own`
    },
  }),
  constant('MDRAR_EL1', 'S2_0_C1_C0_0', 0n),
  register('OSLAR_EL1', 'S2_0_C1_C0_4', {
    read: 4,
    write: 1,
    onWrite(cpu) {
      cpu.u32[OSLSR] = (cpu.u32[OSLSR] & ~OSLK) | (cpu.lo & 1 ? OSLK : 0)
    },
  }),
  register('OSLSR_EL1', 'S2_0_C1_C1_4', { at: ['oslsr_el1'], reset: 0xan, write: 4 }),
  register('OSDLR_EL1', 'S2_0_C1_C3_4', { at: ['osdlr_el1'], mask: 1n }),
  constant('MDCCSR_EL0', 'S2_3_C0_C1_0', 0n, {
    read: 0,
    trap: (cpu) => (cpu.u32[EL] === 0 && (cpu.state.mdscr_el1 & 0x1000n) !== 0n ? 1 : 0),
  }),
  constant('DBGVCR32_EL2', 'S2_4_C0_C7_0', 0n, { write: 2 }),
]
