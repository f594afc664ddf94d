/** Performance monitor registers (Arm ARM DDI 0487, D17.5). They hold values; letting a counter run stops the guest with a message. */
import { registerAddress } from '../state.js'
import { EL } from './fields.js'
import { NEVER, type RegisterTrap, type RowOptions, type SystemRegister, constant, register } from './register.js'

const COUNTERS = 0x8000_003fn
const COUNTERS_LOW = 0x8000_003f
const PMCR = registerAddress('pmcr_el0') >>> 2
const ENABLED = registerAddress('pmcnten_el0') >>> 2
const OVERFLOWS = registerAddress('pmovs_el0') >>> 2
const INTERRUPTS = registerAddress('pminten_el1') >>> 2
const SELECTED = registerAddress('pmselr_el0') >>> 2
const USER = registerAddress('pmuserenr_el0') >>> 2
const EVENT_COUNTS = registerAddress('pmevcntr') >>> 2
const EVENT_TYPES = registerAddress('pmevtyper') >>> 2
const CYCLES = registerAddress('pmccntr_el0') >>> 2
const CYCLE_FILTER = registerAddress('pmccfiltr_el0') >>> 2
const EVENT_COUNTERS = 6
const CYCLE_COUNTER = 31
const EVENT_TYPE_MASK = 0xfe00_ffff
const CYCLE_FILTER_MASK = 0xfc00_0000

/** EL0 is let in by PMUSERENR_EL0: EN, or one of the bits for reading cycles, reading counters and software increment. */
const user =
  (bits: number): RegisterTrap =>
  (cpu) =>
    cpu.u32[EL] === 0 && (cpu.u32[USER] & (1 | bits)) === 0 ? 1 : 0

/** What a write to PMCR_EL0 or PMCNTENSET_EL0 asks for if it leaves a counter running. */
function counting(control: number, enabled: number): string | undefined {
  if ((control & 1) === 0 || enabled === 0) return undefined
  return `counting by the performance monitors (PMCR_EL0.E with PMCNTENSET_EL0 = 0x${(enabled >>> 0).toString(16)})`
}

/** A pair of registers of which one sets and the other clears bits of the same word; `refuse` is asked before bits are set. */
function setAndClear(
  names: readonly [string, string],
  encodings: readonly [string, string],
  word: number,
  { refuse, ...options }: Pick<RowOptions, 'read' | 'trap' | 'refuse'>,
): SystemRegister[] {
  const row = (which: 0 | 1, change: (old: number, bits: number) => number, more: RowOptions): SystemRegister =>
    register(names[which], encodings[which], {
      ...options,
      ...more,
      mask: COUNTERS,
      onRead(cpu) {
        cpu.lo = cpu.u32[word]
        cpu.hi = 0
      },
      onWrite(cpu) {
        cpu.u32[word] = change(cpu.u32[word], cpu.lo & COUNTERS_LOW)
      },
    })
  return [row(0, (old, bits) => old | bits, refuse ? { refuse } : {}), row(1, (old, bits) => old & ~bits, {})]
}

/** A window on the counter or type that PMSELR_EL0 selects. */
function selected(
  name: string,
  encoding: string,
  place: (n: number) => readonly [number, number] | undefined,
): SystemRegister {
  return register(name, encoding, {
    read: 0,
    trap: user(0),
    onRead(cpu) {
      const found = place(cpu.u32[SELECTED] & 31)
      cpu.lo = found ? cpu.u32[found[0]] : 0
      cpu.hi = 0
    },
    onWrite(cpu) {
      const found = place(cpu.u32[SELECTED] & 31)
      if (found) cpu.u32[found[0]] = cpu.lo & found[1]
    },
  })
}

const eachCounter = (make: (n: number) => SystemRegister): SystemRegister[] =>
  Array.from({ length: EVENT_COUNTERS }, (_, n) => make(n))

/** The rows. */
export const performance: readonly SystemRegister[] = [
  register('PMCR_EL0', 'S3_3_C9_C12_0', {
    at: ['pmcr_el0'],
    reset: 0x4103_3000n,
    mask: 0xf9n,
    refuse: (cpu, lo) => counting(lo, cpu.u32[ENABLED]),
    read: 0,
    trap: user(0),
    onWrite(cpu) {
      if ((cpu.lo & 4) !== 0) cpu.u32[CYCLES] = cpu.u32[CYCLES + 1] = 0
      if ((cpu.lo & 2) !== 0) for (let n = 0; n < EVENT_COUNTERS; n++) cpu.u32[EVENT_COUNTS + 2 * n] = 0
    },
  }),
  ...setAndClear(['PMCNTENSET_EL0', 'PMCNTENCLR_EL0'], ['S3_3_C9_C12_1', 'S3_3_C9_C12_2'], ENABLED, {
    read: 0,
    trap: user(0),
    refuse: (cpu, lo) => counting(cpu.u32[PMCR], (cpu.u32[ENABLED] | lo) & COUNTERS_LOW),
  }),
  ...setAndClear(['PMOVSSET_EL0', 'PMOVSCLR_EL0'], ['S3_3_C9_C14_3', 'S3_3_C9_C12_3'], OVERFLOWS, {
    read: 0,
    trap: user(0),
  }),
  ...setAndClear(['PMINTENSET_EL1', 'PMINTENCLR_EL1'], ['S3_0_C9_C14_1', 'S3_0_C9_C14_2'], INTERRUPTS, { read: 1 }),
  register('PMSWINC_EL0', 'S3_3_C9_C12_4', { read: NEVER, write: 0, trap: user(2), onWrite: () => {} }),
  register('PMSELR_EL0', 'S3_3_C9_C12_5', { at: ['pmselr_el0'], mask: 0x1fn, read: 0, trap: user(8) }),
  constant('PMCEID0_EL0', 'S3_3_C9_C12_6', 0x2_0101n, { read: 0, trap: user(0) }),
  constant('PMCEID1_EL0', 'S3_3_C9_C12_7', 0n, { read: 0, trap: user(0) }),
  register('PMCCNTR_EL0', 'S3_3_C9_C13_0', {
    at: ['pmccntr_el0'],
    read: 0,
    trap: (cpu, write) => user(write ? 0 : 4)(cpu, write),
  }),
  selected('PMXEVTYPER_EL0', 'S3_3_C9_C13_1', (n) =>
    n < EVENT_COUNTERS
      ? [EVENT_TYPES + 2 * n, EVENT_TYPE_MASK]
      : n === CYCLE_COUNTER
        ? [CYCLE_FILTER, CYCLE_FILTER_MASK]
        : undefined,
  ),
  selected('PMXEVCNTR_EL0', 'S3_3_C9_C13_2', (n) => (n < EVENT_COUNTERS ? [EVENT_COUNTS + 2 * n, -1] : undefined)),
  register('PMUSERENR_EL0', 'S3_3_C9_C14_0', { at: ['pmuserenr_el0'], mask: 0xfn, read: 0, write: 1 }),
  ...eachCounter((n) =>
    register(`PMEVCNTR${n}_EL0`, `S3_3_C14_C8_${n}`, {
      at: ['pmevcntr', n],
      mask: 0xffff_ffffn,
      read: 0,
      trap: user(0),
    }),
  ),
  ...eachCounter((n) =>
    register(`PMEVTYPER${n}_EL0`, `S3_3_C14_C12_${n}`, {
      at: ['pmevtyper', n],
      mask: BigInt(EVENT_TYPE_MASK >>> 0),
      read: 0,
      trap: user(0),
    }),
  ),
  register('PMCCFILTR_EL0', 'S3_3_C14_C15_7', { at: ['pmccfiltr_el0'], mask: 0xfc00_0000n, read: 0, trap: user(0) }),
]
