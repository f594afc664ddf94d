/** Identification registers (Arm ARM DDI 0487, D17.2): what QEMU's `-cpu cortex-a53` reports, a Cortex-A53 r0p4. */
import type { Processor } from '../processor.js'
import { EL } from './fields.js'
import { type SystemRegister, constant, register } from './register.js'

const MIDR = 0x410f_d034n
const MPIDR = 0x8000_0000n

/** ID registers S3_0_C0_C1_0 … C7_7 that are not zero. */
const NON_ZERO: Record<string, readonly [string, bigint]> = {
  C1_0: ['ID_PFR0_EL1', 0x131n],
  C1_2: ['ID_DFR0_EL1', 0x0301_0006n],
  C1_4: ['ID_MMFR0_EL1', 0x1010_1105n],
  C1_5: ['ID_MMFR1_EL1', 0x4000_0000n],
  C1_6: ['ID_MMFR2_EL1', 0x0126_0000n],
  C1_7: ['ID_MMFR3_EL1', 0x0210_2211n],
  C2_0: ['ID_ISAR0_EL1', 0x0210_1110n],
  C2_1: ['ID_ISAR1_EL1', 0x1311_2111n],
  C2_2: ['ID_ISAR2_EL1', 0x2123_2042n],
  C2_3: ['ID_ISAR3_EL1', 0x0111_2131n],
  C2_4: ['ID_ISAR4_EL1', 0x0001_1142n],
  C2_5: ['ID_ISAR5_EL1', 0x0001_1121n],
  C3_0: ['MVFR0_EL1', 0x1011_0222n],
  C3_1: ['MVFR1_EL1', 0x1211_1111n],
  C3_2: ['MVFR2_EL1', 0x43n],
  C5_0: ['ID_AA64DFR0_EL1', 0x1030_5106n],
  C6_0: ['ID_AA64ISAR0_EL1', 0x0001_1120n],
  C7_0: ['ID_AA64MMFR0_EL1', 0x1122n],
}

/** An identification register that tells whether EL2 is there. */
function withEl2(name: string, encoding: string, without: number, present: number): SystemRegister {
  return register(name, encoding, {
    write: 4,
    onRead(cpu) {
      cpu.lo = cpu.hasEl2 ? present : without
      cpu.hi = 0
    },
  })
}

/** At EL1 under an EL2, MIDR_EL1 and MPIDR_EL1 read as the hypervisor's virtual values. */
function virtualized(
  name: string,
  encoding: string,
  value: bigint,
  virtual: 'vpidr_el2' | 'vmpidr_el2',
): SystemRegister {
  return register(name, encoding, {
    write: 4,
    onRead(cpu: Processor) {
      const seen = cpu.hasEl2 && cpu.u32[EL] < 2 ? cpu.state[virtual] : value
      cpu.lo = Number(seen & 0xffff_ffffn)
      cpu.hi = Number(seen >> 32n)
    },
  })
}

function featureRegisters(): SystemRegister[] {
  const rows: SystemRegister[] = []
  for (let m = 1; m <= 7; m++) {
    for (let op2 = 0; op2 <= 7; op2++) {
      const place = `C${m}_${op2}`
      if (place === 'C1_1' || place === 'C4_0') continue
      const [name, value] = NON_ZERO[place] ?? [`S3_0_C0_${place}`, 0n]
      rows.push(constant(name, `S3_0_C0_${place}`, value))
    }
  }
  return rows
}

/** CCSIDR_EL1 by CSSELR_EL1: 32 KiB data, 32 KiB instruction, 1 MiB unified second level. */
const CACHES: readonly number[] = [0x700f_e01a, 0x201f_e00a, 0x707f_e07a]

/** The rows. */
export const identification: readonly SystemRegister[] = [
  virtualized('MIDR_EL1', 'S3_0_C0_C0_0', MIDR, 'vpidr_el2'),
  virtualized('MPIDR_EL1', 'S3_0_C0_C0_5', MPIDR, 'vmpidr_el2'),
  constant('REVIDR_EL1', 'S3_0_C0_C0_6', 0n),
  withEl2('ID_PFR1_EL1', 'S3_0_C0_C1_1', 0x0001_0001, 0x0001_1001),
  withEl2('ID_AA64PFR0_EL1', 'S3_0_C0_C4_0', 0x22, 0x222),
  ...featureRegisters(),
  register('CCSIDR_EL1', 'S3_1_C0_C0_0', {
    write: 4,
    onRead(cpu) {
      cpu.lo = CACHES[Number(cpu.state.csselr_el1)] ?? 0
      cpu.hi = 0
    },
  }),
  constant('CLIDR_EL1', 'S3_1_C0_C0_1', 0x0a20_0023n),
  constant('AIDR_EL1', 'S3_1_C0_C0_7', 0n),
  register('CSSELR_EL1', 'S3_2_C0_C0_0', { at: ['csselr_el1'], mask: 0xfn }),
  constant('CTR_EL0', 'S3_3_C0_C0_1', 0x8444_8004n, {
    read: 0,
    trap: (cpu) => (cpu.u32[EL] === 0 && !cpu.sctlr(1 << 15) ? 1 : 0),
  }),
  register('DCZID_EL0', 'S3_3_C0_C0_7', {
    write: 4,
    onRead(cpu) {
      const prohibited = cpu.u32[EL] === 0 && !cpu.sctlr(1 << 14)
      cpu.lo = prohibited ? 0x14 : 4
      cpu.hi = 0
    },
  }),
  register('VPIDR_EL2', 'S3_4_C0_C0_0', { at: ['vpidr_el2'], reset: MIDR }),
  register('VMPIDR_EL2', 'S3_4_C0_C0_5', { at: ['vmpidr_el2'], reset: MPIDR }),
]
