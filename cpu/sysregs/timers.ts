/** Generic timer registers (Arm ARM DDI 0487, D11): counters, and the physical, virtual and hypervisor timers. */
import type { Processor } from '../processor.js'
import { registerAddress } from '../state.js'
import { EL } from './fields.js'
import { type RegisterTrap, type SystemRegister, register } from './register.js'

/** Timers by their index in the state (`cnt_ctl`, `cnt_cval`). */
const Timer = { PHYSICAL: 0, VIRTUAL: 1, HYPERVISOR: 2 } as const

const CNTKCTL = registerAddress('cntkctl_el1') >>> 2
const CNTHCTL = registerAddress('cnthctl_el2') >>> 2
const CNTVOFF = registerAddress('cntvoff_el2') >>> 2
const CVAL = registerAddress('cnt_cval') >>> 2
const CTL = registerAddress('cnt_ctl') >>> 2
const ISTATUS = 4

/** Traps EL0 to EL1 unless a bit of CNTKCTL_EL1 is set, and EL0 and EL1 to EL2 unless one of CNTHCTL_EL2 is. */
const unless =
  (kernelBits: number, hypervisorBit = 0): RegisterTrap =>
  (cpu) => {
    const el = cpu.u32[EL]
    if (el === 0 && (cpu.u32[CNTKCTL] & kernelBits) === 0) return 1
    return hypervisorBit !== 0 && el < 2 && cpu.hasEl2 && (cpu.u32[CNTHCTL] & hypervisorBit) === 0 ? 2 : 0
  }

/** Puts the count that a timer compares with into `lo` and `hi`. */
function readCount(cpu: Processor, virtual: boolean): void {
  cpu.board.readCounter()
  let lo = cpu.board.lo
  let hi = cpu.board.hi
  if (virtual) {
    lo -= cpu.u32[CNTVOFF]
    hi -= cpu.u32[CNTVOFF + 1]
    if (lo < 0) hi--
  }
  cpu.lo = lo >>> 0
  cpu.hi = hi >>> 0
}

function timer(
  name: string,
  suffix: string,
  encoding: string,
  index: number,
  options: { read: number; trap?: RegisterTrap },
): SystemRegister[] {
  const virtual = index === Timer.VIRTUAL
  const cval = CVAL + 2 * index
  const ctl = CTL + 2 * index
  const changed = (cpu: Processor) => cpu.board.timersChanged()
  return [
    register(`${name}_TVAL_${suffix}`, `${encoding}_0`, {
      ...options,
      onRead(cpu) {
        readCount(cpu, virtual)
        cpu.lo = (cpu.u32[cval] - cpu.lo) >>> 0
        cpu.hi = 0
      },
      onWrite(cpu) {
        const offset = cpu.lo | 0
        readCount(cpu, virtual)
        const lo = cpu.lo + offset
        cpu.u32[cval] = lo
        cpu.u32[cval + 1] = cpu.hi + (lo > 0xffff_ffff ? 1 : lo < 0 ? -1 : 0)
        changed(cpu)
      },
    }),
    register(`${name}_CTL_${suffix}`, `${encoding}_1`, {
      ...options,
      onRead(cpu) {
        cpu.lo = cpu.u32[ctl]
        cpu.hi = 0
      },
      onWrite(cpu) {
        cpu.u32[ctl] = (cpu.u32[ctl] & ISTATUS) | (cpu.lo & 3)
        changed(cpu)
      },
    }),
    register(`${name}_CVAL_${suffix}`, `${encoding}_2`, { ...options, at: ['cnt_cval', index], onWrite: changed }),
  ]
}

const counter = (name: string, encoding: string, virtual: boolean, trap: RegisterTrap): SystemRegister =>
  register(name, encoding, { read: 0, write: 4, trap, onRead: (cpu) => readCount(cpu, virtual) })

/** The rows. */
export const timers: readonly SystemRegister[] = [
  register('CNTKCTL_EL1', 'S3_0_C14_C1_0', { at: ['cntkctl_el1'] }),
  register('CNTFRQ_EL0', 'S3_3_C14_C0_0', {
    at: ['cntfrq_el0'],
    reset: 62_500_000n,
    read: 0,
    write: 1,
    trap: unless(3),
    onWrite(cpu) {
      // Only the highest exception level may set the frequency.
      if (cpu.hasEl2 && cpu.u32[EL] < 2) cpu.undefinedAccess()
    },
  }),
  counter('CNTPCT_EL0', 'S3_3_C14_C0_1', false, unless(1, 1)),
  counter('CNTVCT_EL0', 'S3_3_C14_C0_2', true, unless(2)),
  ...timer('CNTP', 'EL0', 'S3_3_C14_C2', Timer.PHYSICAL, { read: 0, trap: unless(1 << 9, 2) }),
  ...timer('CNTV', 'EL0', 'S3_3_C14_C3', Timer.VIRTUAL, { read: 0, trap: unless(1 << 8) }),
  ...timer('CNTHP', 'EL2', 'S3_4_C14_C2', Timer.HYPERVISOR, { read: 2 }),
  register('CNTVOFF_EL2', 'S3_4_C14_C0_3', { at: ['cntvoff_el2'], onWrite: (cpu) => cpu.board.timersChanged() }),
  register('CNTHCTL_EL2', 'S3_4_C14_C1_0', { at: ['cnthctl_el2'], reset: 3n }),
]
