/** PSTATE and its saved copies (Arm ARM DDI 0487, C5.2): NZCV, DAIF, CurrentEL, SPSel, SPSR_ELx, ISR_EL1. */
import { type FieldRow, bit, bits, extract } from './field.js'

/** N, Z, C and V, in bits 31 to 28. */
export const CONDITION_FLAGS: readonly FieldRow[] = [
  bit('N', 31, 'negative', 'not negative'),
  bit('Z', 30, 'zero', 'not zero'),
  bit('C', 29, 'carry', 'no carry'),
  bit('V', 28, 'overflow', 'no overflow'),
]

/** D, A, I and F, in bits 9 to 6. */
export const MASKS: readonly FieldRow[] = [
  bit('D', 9, 'debug exceptions masked', 'debug exceptions not masked'),
  bit('A', 8, 'SError masked', 'SError not masked'),
  bit('I', 7, 'IRQ masked', 'IRQ not masked'),
  bit('F', 6, 'FIQ masked', 'FIQ not masked'),
]

/** M[3:0] of a state in AArch64. */
export const MODES: Readonly<Record<number, string>> = {
  0: 'EL0t',
  4: 'EL1t',
  5: 'EL1h',
  8: 'EL2t',
  9: 'EL2h',
  12: 'EL3t',
  13: 'EL3h',
}

/** SPSR_ELx. */
export function savedStatus(value: bigint): readonly FieldRow[] {
  const aarch32 = extract(value, 4, 4) === 1n
  return [
    ...CONDITION_FLAGS,
    bit('SS', 21, 'software step', 'no software step'),
    bit('IL', 20, 'Illegal Execution state', 'no Illegal Execution state'),
    ...MASKS,
    bit('M[4]', 4, 'AArch32', 'AArch64'),
    bits('M[3:0]', 3, 0, aarch32 ? undefined : MODES),
  ]
}

/** CurrentEL. */
export const CURRENT_EL: readonly FieldRow[] = [bits('EL', 3, 2, (el) => `EL${el}`)]

/** SPSel. */
export const STACK_SELECT: readonly FieldRow[] = [bit('SP', 0, 'SP_ELx', 'SP_EL0')]

/** ISR_EL1. */
export const INTERRUPT_STATUS: readonly FieldRow[] = [
  bit('A', 8, 'SError pending', 'no SError pending'),
  bit('I', 7, 'IRQ pending', 'no IRQ pending'),
  bit('F', 6, 'FIQ pending', 'no FIQ pending'),
]
