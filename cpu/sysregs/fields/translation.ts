/** Translation: SCTLR, TCR, TTBR, MAIR, PAR, and the descriptors of translation tables (Arm ARM DDI 0487, D8.3 and D17.2). */
import { type FieldRow, bit, bits, extract } from './field.js'
import { faultStatus } from './syndrome.js'

const hex = (value: bigint): string => `0x${value.toString(16)}`

/** SCTLR_EL1, as a Cortex-A53 has it. */
export const CONTROL_EL1: readonly FieldRow[] = [
  bit('UCI', 26, 'EL0 may maintain caches', 'cache maintenance at EL0 traps'),
  bit('EE', 25, 'big-endian data at EL1', 'little-endian data at EL1'),
  bit('E0E', 24, 'big-endian data at EL0', 'little-endian data at EL0'),
  bit('WXN', 19, 'what can be written is never executed', 'what can be written may be executed'),
  bit('nTWE', 18, 'WFE at EL0 does not trap', 'WFE at EL0 traps'),
  bit('nTWI', 16, 'WFI at EL0 does not trap', 'WFI at EL0 traps'),
  bit('UCT', 15, 'EL0 may read CTR_EL0', 'CTR_EL0 at EL0 traps'),
  bit('DZE', 14, 'EL0 may use DC ZVA', 'DC ZVA at EL0 traps'),
  bit('I', 12, 'instruction cache on', 'instruction cache off'),
  bit('UMA', 9, 'EL0 may access DAIF', 'DAIF at EL0 traps'),
  bit('SED', 8),
  bit('ITD', 7),
  bit('CP15BEN', 5),
  bit('SA0', 4, 'SP alignment checked at EL0', 'SP alignment not checked at EL0'),
  bit('SA', 3, 'SP alignment checked', 'SP alignment not checked'),
  bit('C', 2, 'data cache on', 'data cache off'),
  bit('A', 1, 'alignment checked', 'alignment not checked'),
  bit('M', 0, 'MMU on', 'MMU off'),
]

const EL2_CONTROLS = new Set(['EE', 'WXN', 'I', 'SA', 'C', 'A', 'M'])

/** SCTLR_EL2. */
export const CONTROL_EL2: readonly FieldRow[] = CONTROL_EL1.filter(({ name }) => EL2_CONTROLS.has(name)).map((row) =>
  row.name === 'EE' ? bit('EE', 25, 'big-endian data at EL2', 'little-endian data at EL2') : row,
)

const CACHEABILITY = {
  0: 'Non-cacheable',
  1: 'Write-Back Write-Allocate',
  2: 'Write-Through',
  3: 'Write-Back no Write-Allocate',
}
const SHAREABILITY = { 0: 'Non-shareable', 1: 'reserved', 2: 'Outer Shareable', 3: 'Inner Shareable' }
const SIZES = { 0: '32 bits', 1: '36 bits', 2: '40 bits', 3: '42 bits', 4: '44 bits', 5: '48 bits' }
const size = (value: bigint): string => `${64n - value} bits of address`

/** TCR_EL1. */
export const TRANSLATION_CONTROL_EL1: readonly FieldRow[] = [
  bit('TBI1', 38, 'top byte ignored (upper)', 'top byte used (upper)'),
  bit('TBI0', 37, 'top byte ignored (lower)', 'top byte used (lower)'),
  bit('AS', 36, '16-bit ASID', '8-bit ASID'),
  bits('IPS', 34, 32, SIZES),
  bits('TG1', 31, 30, { 1: '16 KiB', 2: '4 KiB', 3: '64 KiB' }),
  bits('SH1', 29, 28, SHAREABILITY),
  bits('ORGN1', 27, 26, CACHEABILITY),
  bits('IRGN1', 25, 24, CACHEABILITY),
  bit('EPD1', 23, 'walks by TTBR1_EL1 off', 'walks by TTBR1_EL1 on'),
  bit('A1', 22, 'ASID in TTBR1_EL1', 'ASID in TTBR0_EL1'),
  bits('T1SZ', 21, 16, size),
  bits('TG0', 15, 14, { 0: '4 KiB', 1: '64 KiB', 2: '16 KiB' }),
  bits('SH0', 13, 12, SHAREABILITY),
  bits('ORGN0', 11, 10, CACHEABILITY),
  bits('IRGN0', 9, 8, CACHEABILITY),
  bit('EPD0', 7, 'walks by TTBR0_EL1 off', 'walks by TTBR0_EL1 on'),
  bits('T0SZ', 5, 0, size),
]

/** TCR_EL2. */
export const TRANSLATION_CONTROL_EL2: readonly FieldRow[] = [
  bit('TBI', 20, 'top byte ignored', 'top byte used'),
  bits('PS', 18, 16, SIZES),
  bits('TG0', 15, 14, { 0: '4 KiB', 1: '64 KiB', 2: '16 KiB' }),
  bits('SH0', 13, 12, SHAREABILITY),
  bits('ORGN0', 11, 10, CACHEABILITY),
  bits('IRGN0', 9, 8, CACHEABILITY),
  bits('T0SZ', 5, 0, size),
]

/** TTBRn_EL1. */
export const TABLE_BASE: readonly FieldRow[] = [
  bits('ASID', 63, 48),
  bits('BADDR', 47, 1, (value) => `table at ${hex(value << 1n)}`),
]

/** TTBR0_EL2, which has no ASID. */
export const TABLE_BASE_EL2: readonly FieldRow[] = [bits('BADDR', 47, 1, (value) => `table at ${hex(value << 1n)}`)]

const DEVICES = ['nGnRnE', 'nGnRE', 'nGRE', 'GRE']

/** An attribute of MAIR_ELx, or PAR_EL1.ATTR, in words. */
export function memoryAttribute(value: bigint): string {
  const outer = Number(value >> 4n)
  const inner = Number(value & 15n)
  if (outer === 0) return (inner & 3) === 0 ? `Device-${DEVICES[inner >> 2]}` : 'unpredictable'
  if (inner === 0) return 'unpredictable'
  const [out, within] = [outer, inner].map((half) => {
    if (half === 4) return 'Non-cacheable'
    const policy = (half & 4) !== 0 ? 'Write-Back' : 'Write-Through'
    const allocate = ['no', 'Write', 'Read', 'Read and Write'][half & 3]
    return `${policy}${(half & 8) !== 0 ? '' : ' transient'}, ${allocate} allocate`
  })
  return out === within ? `Normal, ${out}` : `Normal, outer ${out}, inner ${within}`
}

/** MAIR_ELx. */
export const MEMORY_ATTRIBUTES: readonly FieldRow[] = Array.from({ length: 8 }, (_, n) =>
  bits(`Attr${7 - n}`, 63 - 8 * n, 56 - 8 * n, memoryAttribute),
)

/** PAR_EL1, after a translation that worked or one that did not. */
export function physicalAddress(value: bigint): readonly FieldRow[] {
  if ((value & 1n) === 1n) {
    return [
      bit('S', 9, 'stage 2', 'stage 1'),
      bit('PTW', 8, 'on a stage 2 walk for a stage 1 walk', 'not on a stage 2 walk for a stage 1 walk'),
      bits('FST', 6, 1, faultStatus),
      bit('F', 0, 'the translation failed'),
    ]
  }
  return [
    bits('ATTR', 63, 56, memoryAttribute),
    bits('PA', 47, 12, (page) => hex(page << 12n)),
    bit('NS', 9, 'Non-secure', 'Secure'),
    bits('SH', 8, 7, SHAREABILITY),
    bit('F', 0, undefined, 'the translation worked'),
  ]
}

/** A descriptor of a translation table: which kind it is. */
export type DescriptorKind = 'invalid' | 'table' | 'block' | 'page'

const AP = {
  0: 'read and write, EL0 nothing',
  1: 'read and write, EL0 too',
  2: 'read only, EL0 nothing',
  3: 'read only, EL0 too',
}

/** The fields of a descriptor but for its address. */
export function descriptorFields(kind: DescriptorKind, split: boolean): readonly FieldRow[] {
  if (kind === 'invalid') return []
  if (kind === 'table') {
    return [
      bits('APTable', 62, 61, {
        1: 'nothing below for EL0',
        2: 'all below read only',
        3: 'all below read only, nothing for EL0',
      }),
      bit('UXNTable', 60, 'nothing below is executed at EL0'),
      bit('PXNTable', 59, 'nothing below is executed at EL1'),
    ]
  }
  return [
    bit(
      split ? 'UXN' : 'XN',
      54,
      split ? 'not executed at EL0' : 'not executed',
      split ? 'may be executed at EL0' : 'may be executed',
    ),
    ...(split ? [bit('PXN', 53, 'not executed at EL1', 'may be executed at EL1')] : []),
    bit('Contiguous', 52),
    ...(split ? [bit('nG', 11, 'of this ASID', 'global')] : []),
    bit('AF', 10, 'accessed', 'not yet accessed: faults'),
    bits('SH', 9, 8, SHAREABILITY),
    split ? bits('AP', 7, 6, AP) : bits('AP', 7, 6, (value) => ((value & 2n) !== 0n ? 'read only' : 'read and write')),
    bits('AttrIndx', 4, 2),
  ]
}

/** The address in a descriptor: of the next table, the block or the page. */
export const descriptorAddress = (descriptor: bigint): bigint => extract(descriptor, 47, 12) << 12n
