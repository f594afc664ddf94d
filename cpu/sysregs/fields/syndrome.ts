/** ESR_ELx: the exception class and, for each class, the syndrome (Arm ARM DDI 0487, D17.2.37). */
import { systemRegisters } from '../table.js'
import { type FieldRow, bit, bits, extract } from './field.js'

/** ESR_ELx.EC. */
export const EXCEPTION_CLASSES: Readonly<Record<number, string>> = {
  0x00: 'Unknown reason',
  0x01: 'Trapped WFI or WFE',
  0x03: 'Trapped MCR or MRC (coproc 15)',
  0x04: 'Trapped MCRR or MRRC (coproc 15)',
  0x05: 'Trapped MCR or MRC (coproc 14)',
  0x06: 'Trapped LDC or STC',
  0x07: 'Access to Advanced SIMD or floating-point trapped',
  0x0c: 'Trapped MRRC (coproc 14)',
  0x0e: 'Illegal Execution state',
  0x11: 'SVC in AArch32',
  0x12: 'HVC in AArch32',
  0x13: 'SMC in AArch32',
  0x15: 'SVC in AArch64',
  0x16: 'HVC in AArch64',
  0x17: 'SMC in AArch64',
  0x18: 'Trapped MSR, MRS or System instruction',
  0x20: 'Instruction Abort from a lower Exception level',
  0x21: 'Instruction Abort from the current Exception level',
  0x22: 'PC alignment fault',
  0x24: 'Data Abort from a lower Exception level',
  0x25: 'Data Abort from the current Exception level',
  0x26: 'SP alignment fault',
  0x28: 'Trapped floating-point exception in AArch32',
  0x2c: 'Trapped floating-point exception in AArch64',
  0x2f: 'SError interrupt',
  0x30: 'Breakpoint from a lower Exception level',
  0x31: 'Breakpoint from the current Exception level',
  0x32: 'Software Step from a lower Exception level',
  0x33: 'Software Step from the current Exception level',
  0x34: 'Watchpoint from a lower Exception level',
  0x35: 'Watchpoint from the current Exception level',
  0x38: 'BKPT in AArch32',
  0x3a: 'Vector Catch from AArch32',
  0x3c: 'BRK in AArch64',
}

const LEVELED: Readonly<Record<number, string>> = {
  0x00: 'Address size fault',
  0x01: 'Translation fault',
  0x02: 'Access flag fault',
  0x03: 'Permission fault',
  0x05: 'Synchronous External abort on a table walk',
  0x07: 'Synchronous parity or ECC error on a table walk',
}
const STATUSES: Readonly<Record<number, string>> = {
  0x10: 'Synchronous External abort',
  0x18: 'Synchronous parity or ECC error',
  0x21: 'Alignment fault',
  0x22: 'Debug exception',
  0x30: 'TLB conflict abort',
  0x34: 'IMPLEMENTATION DEFINED (lockdown)',
  0x35: 'IMPLEMENTATION DEFINED (unsupported exclusive or atomic)',
}

/** DFSC, IFSC or FST: a fault status code of six bits in words. */
export function faultStatus(code: bigint): string | undefined {
  const leveled = LEVELED[Number(code >> 2n)]
  return leveled === undefined ? STATUSES[Number(code)] : `${leveled}, level ${code & 3n}`
}

const CONDITION: readonly FieldRow[] = [bit('CV', 24, 'COND is valid', 'COND is not valid'), bits('COND', 23, 20)]
const IMMEDIATE: readonly FieldRow[] = [bits('imm16', 15, 0)]
const ABORT: readonly FieldRow[] = [
  bit('FnV', 10, 'FAR is not valid', 'FAR is valid'),
  bit('EA', 9),
  bit('S1PTW', 7, 'on a stage 2 walk for a stage 1 walk', 'not on a stage 2 walk for a stage 1 walk'),
]
const INSTRUCTION_ABORT: readonly FieldRow[] = [...ABORT, bits('IFSC', 5, 0, faultStatus)]
const DEBUG_EVENT: readonly FieldRow[] = [bits('IFSC', 5, 0, faultStatus)]

/** The fields of a Data Abort; those of the access are there if ISV is set. */
function dataAbort(value: bigint): FieldRow[] {
  const access = [
    bits('SAS', 23, 22, { 0: 'byte', 1: 'halfword', 2: 'word', 3: 'doubleword' }),
    bit('SSE', 21, 'sign-extended', 'not sign-extended'),
    bits('SRT', 20, 16, (n) => `x${n}`),
    bit('SF', 15, '64-bit register', '32-bit register'),
    bit('AR', 14, 'acquire or release', 'no acquire or release'),
  ]
  const [fnv, ea, s1ptw] = ABORT
  return [
    bit('ISV', 24, 'SAS, SSE, SRT, SF and AR are valid', 'no description of the access'),
    ...(extract(value, 24, 24) === 1n ? access : []),
    fnv,
    ea,
    bit('CM', 8, 'cache maintenance or address translation', 'not cache maintenance or address translation'),
    s1ptw,
    bit('WnR', 6, 'write', 'read'),
    bits('DFSC', 5, 0, faultStatus),
  ]
}

const SYSTEM_ACCESS: readonly FieldRow[] = [
  bits('Op0', 21, 20),
  bits('Op2', 19, 17),
  bits('Op1', 16, 14),
  bits('CRn', 13, 10),
  bits('Rt', 9, 5, (n) => (n === 31n ? 'xzr' : `x${n}`)),
  bits('CRm', 4, 1),
  bit('Direction', 0, 'read (MRS)', 'write (MSR) or System instruction'),
]

/** The same, with the register's name beside its encoding. */
function systemAccess(value: bigint): FieldRow[] {
  const part = (high: number, low: number) => Number(extract(value, high, low))
  const key = ((part(21, 20) & 1) << 14) | (part(16, 14) << 11) | (part(13, 10) << 7) | (part(4, 1) << 3) | part(19, 17)
  const name = part(21, 20) >= 2 ? systemRegisters.find((row) => row.key === key)?.name : undefined
  return SYSTEM_ACCESS.map((row) => (row.name === 'Op0' && name !== undefined ? { ...row, meaning: () => name } : row))
}

/** The fields of ISS for an exception class. */
function issFields(exceptionClass: number, value: bigint): readonly FieldRow[] {
  switch (exceptionClass) {
    case 0x01:
      return [...CONDITION, bits('TI', 1, 0, { 0: 'WFI', 1: 'WFE' })]
    case 0x07:
      return CONDITION
    case 0x15:
    case 0x16:
    case 0x17:
      return IMMEDIATE
    case 0x18:
      return systemAccess(value)
    case 0x20:
    case 0x21:
      return INSTRUCTION_ABORT
    case 0x24:
    case 0x25:
      return dataAbort(value)
    case 0x30:
    case 0x31:
      return DEBUG_EVENT
    case 0x32:
    case 0x33:
      return [bit('ISV', 24, 'EX is valid', 'EX is not valid'), bit('EX', 6), bits('IFSC', 5, 0, faultStatus)]
    case 0x34:
    case 0x35:
      return [bit('CM', 8), bit('WnR', 6, 'write', 'read'), bits('DFSC', 5, 0, faultStatus)]
    case 0x2f:
      return [bit('IDS', 24, 'IMPLEMENTATION DEFINED', 'architectural'), bits('ISS', 23, 0)]
    case 0x3c:
      return [bits('Comment', 15, 0)]
    default:
      return [bits('ISS', 24, 0)]
  }
}

/** ESR_ELx. */
export function syndromeFields(value: bigint): readonly FieldRow[] {
  const exceptionClass = Number(extract(value, 31, 26))
  return [
    bits('EC', 31, 26, EXCEPTION_CLASSES),
    bit('IL', 25, '32-bit instruction', '16-bit instruction'),
    ...issFields(exceptionClass, value),
  ]
}
