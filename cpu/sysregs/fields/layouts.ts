/** Registers whose fields are known, by name: the one table of fields. */
import { type DecodedField, type FieldRow, type RegisterLayout, bit, bits, decodeFields } from './field.js'
import { CONDITION_FLAGS, CURRENT_EL, INTERRUPT_STATUS, MASKS, STACK_SELECT, savedStatus } from './status.js'
import { syndromeFields } from './syndrome.js'
import {
  CONTROL_EL1,
  CONTROL_EL2,
  MEMORY_ATTRIBUTES,
  TABLE_BASE,
  TABLE_BASE_EL2,
  TRANSLATION_CONTROL_EL1,
  TRANSLATION_CONTROL_EL2,
  physicalAddress,
} from './translation.js'

const TIMER: readonly FieldRow[] = [
  bit('ISTATUS', 2, 'its time has come', 'its time has not come'),
  bit('IMASK', 1, 'interrupt masked', 'interrupt not masked'),
  bit('ENABLE', 0, 'on', 'off'),
]

const VECTORS: readonly FieldRow[] = [bits('VBA', 63, 11, (value) => `table at 0x${(value << 11n).toString(16)}`)]

const FLOATING_POINT = { 0: 'traps at EL0 and EL1', 1: 'traps at EL0', 2: 'traps at EL0 and EL1', 3: 'does not trap' }

const AFFINITY: readonly FieldRow[] = [
  bits('Aff3', 39, 32),
  bit('U', 30, 'one processor', 'one of several processors'),
  bit('MT', 24),
  bits('Aff2', 23, 16),
  bits('Aff1', 15, 8),
  bits('Aff0', 7, 0),
]

const MAIN_ID: readonly FieldRow[] = [
  bits('Implementer', 31, 24, { 0x41: 'Arm' }),
  bits('Variant', 23, 20),
  bits('Architecture', 19, 16),
  bits('PartNum', 15, 4, { 0xd03: 'Cortex-A53' }),
  bits('Revision', 3, 0),
]

/** Layouts by name. */
export const LAYOUTS: ReadonlyMap<string, RegisterLayout> = new Map<string, RegisterLayout>([
  ['NZCV', CONDITION_FLAGS],
  ['DAIF', MASKS],
  ['CurrentEL', CURRENT_EL],
  ['SPSel', STACK_SELECT],
  ['ISR_EL1', INTERRUPT_STATUS],
  ['SPSR_EL1', savedStatus],
  ['SPSR_EL2', savedStatus],
  ['ESR_EL1', syndromeFields],
  ['ESR_EL2', syndromeFields],
  ['SCTLR_EL1', CONTROL_EL1],
  ['SCTLR_EL2', CONTROL_EL2],
  ['TCR_EL1', TRANSLATION_CONTROL_EL1],
  ['TCR_EL2', TRANSLATION_CONTROL_EL2],
  ['TTBR0_EL1', TABLE_BASE],
  ['TTBR1_EL1', TABLE_BASE],
  ['TTBR0_EL2', TABLE_BASE_EL2],
  ['MAIR_EL1', MEMORY_ATTRIBUTES],
  ['MAIR_EL2', MEMORY_ATTRIBUTES],
  ['PAR_EL1', physicalAddress],
  ['VBAR_EL1', VECTORS],
  ['VBAR_EL2', VECTORS],
  ['CPACR_EL1', [bit('TTA', 28), bits('FPEN', 21, 20, FLOATING_POINT)]],
  [
    'CPTR_EL2',
    [
      bit('TCPAC', 31, 'CPACR_EL1 at EL1 traps'),
      bit('TTA', 20),
      bit('TFP', 10, 'floating point traps', 'floating point does not trap'),
    ],
  ],
  [
    'HCR_EL2',
    [
      bit('RW', 31, 'EL1 is AArch64', 'EL1 is AArch32'),
      bit('HCD', 29, 'HVC is UNDEFINED', 'HVC calls EL2'),
      bit('TGE', 27, "EL0's exceptions go to EL2", "EL0's exceptions go to EL1"),
      bit('TWE', 14),
      bit('TWI', 13),
      bit('AMO', 5, 'SError goes to EL2', 'SError goes to EL1'),
      bit('IMO', 4, 'IRQ goes to EL2', 'IRQ goes to EL1'),
      bit('FMO', 3, 'FIQ goes to EL2', 'FIQ goes to EL1'),
      bit('SWIO', 1),
      bit('VM', 0, 'stage 2 translation on', 'stage 2 translation off'),
    ],
  ],
  [
    'CNTKCTL_EL1',
    [
      bit('EL0PTEN', 9, 'EL0 may use the physical timer', 'the physical timer at EL0 traps'),
      bit('EL0VTEN', 8, 'EL0 may use the virtual timer', 'the virtual timer at EL0 traps'),
      bits('EVNTI', 7, 4),
      bit('EVNTDIR', 3),
      bit('EVNTEN', 2, 'event stream on', 'event stream off'),
      bit('EL0VCTEN', 1, 'EL0 may read the virtual counter', 'the virtual counter at EL0 traps'),
      bit('EL0PCTEN', 0, 'EL0 may read the physical counter', 'the physical counter at EL0 traps'),
    ],
  ],
  ['CNTP_CTL_EL0', TIMER],
  ['CNTV_CTL_EL0', TIMER],
  ['CNTHP_CTL_EL2', TIMER],
  [
    'MDSCR_EL1',
    [
      bit('MDE', 15, 'breakpoints and watchpoints on', 'breakpoints and watchpoints off'),
      bit('KDE', 13, 'debug exceptions within EL1', 'no debug exceptions within EL1'),
      bit('TDCC', 12, 'the debug channel at EL0 traps'),
      bit('SS', 0, 'software step on', 'software step off'),
    ],
  ],
  ['MPIDR_EL1', AFFINITY],
  ['VMPIDR_EL2', AFFINITY],
  ['MIDR_EL1', MAIN_ID],
  ['VPIDR_EL2', MAIN_ID],
])

/** A register's value by its fields; undefined if they are not known. */
export function registerFields(name: string, value: bigint): DecodedField[] | undefined {
  const layout = LAYOUTS.get(name)
  return layout && decodeFields(layout, value)
}
