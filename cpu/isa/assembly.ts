/** The words that rows of the instruction table write assembler text with (Arm ARM DDI 0487, C1.2): registers, immediates, addresses. */

/** Where an instruction stands, for those whose text depends on it. */
export interface Place {
  readonly word: number
  /** Text of the address `offset` bytes from the instruction, with its symbol if it has one. */
  label(offset: number): string
  /** The same, from the start of the instruction's 4 KiB page, as ADRP counts. */
  pageLabel(offset: number): string
}

/** `mnemonic a, b, c`; operands that are undefined are left out. */
export function text(mnemonic: string, ...operands: readonly (string | undefined)[]): string {
  const given = operands.filter((operand) => operand !== undefined)
  return given.length === 0 ? mnemonic : `${mnemonic} ${given.join(', ')}`
}

/** A general-purpose register, number 31 being the zero register: `x0`, `w7`, `xzr`. */
export function X(n: number, sf: number = 1): string {
  return `${sf ? 'x' : 'w'}${n === 31 ? 'zr' : n}`
}

/** A general-purpose register, number 31 being the stack pointer: `sp`, `wsp`. */
export function XSP(n: number, sf: number = 1): string {
  return n === 31 ? (sf ? 'sp' : 'wsp') : X(n, sf)
}

/** An immediate in hexadecimal: constants, masks, exception numbers. */
export function hex(value: number | bigint): string {
  return `#0x${value.toString(16)}`
}

/** An immediate in decimal: shift amounts, bit positions, offsets. */
export function decimal(value: number): string {
  return `#${value}`
}

const CONDITIONS = 'eq ne cs cc mi pl vs vc hi ls ge lt gt le al nv'.split(' ')

/** A condition's name. The inverse of condition `c` is `c ^ 1`. */
export function condition(cond: number): string {
  return CONDITIONS[cond]
}

const SHIFTS = ['lsl', 'lsr', 'asr', 'ror'] as const
const EXTENDS = ['uxtb', 'uxth', 'uxtw', 'uxtx', 'sxtb', 'sxth', 'sxtw', 'sxtx'] as const

/** The shift of a register operand; undefined for none, which is LSL by nothing. */
export function shift(type: number, amount: number): string | undefined {
  return type === 0 && amount === 0 ? undefined : `${SHIFTS[type]} #${amount}`
}

/**
 * A register operand with its extension. Where the operation is on the stack pointer, the extension that changes nothing is written
 * LSL, and left out if it does not shift.
 */
export function extended(Rm: number, option: number, amount: number, sf: number, stackPointer: boolean): string {
  const register = X(Rm, sf && (option & 3) === 3 ? 1 : 0)
  const plain = stackPointer && option === (sf ? 3 : 2)
  if (plain) return amount === 0 ? register : `${register}, lsl #${amount}`
  return amount === 0 ? `${register}, ${EXTENDS[option]}` : `${register}, ${EXTENDS[option]} #${amount}`
}

/** An address with an immediate offset, by index field: 1 post-indexed, 3 pre-indexed, else a plain offset. */
export function memory(Rn: number, offset: number, index = 0): string {
  const base = XSP(Rn)
  if (index === 1) return `[${base}], #${offset}`
  if (index === 3) return `[${base}, #${offset}]!`
  return offset === 0 ? `[${base}]` : `[${base}, #${offset}]`
}

/** An address with a register offset; `amount` is undefined where the encoding has no shift. */
export function indexed(Rn: number, Rm: number, option: number, amount: number | undefined): string {
  const name = option === 3 ? 'lsl' : EXTENDS[option]
  const register = X(Rm, option & 1)
  if (amount !== undefined) return `[${XSP(Rn)}, ${register}, ${name} #${amount}]`
  return option === 3 ? `[${XSP(Rn)}, ${register}]` : `[${XSP(Rn)}, ${register}, ${name}]`
}

/** An immediate in hexadecimal with two digits, where objdump has them. */
function twoDigits(value: number): string {
  return `#0x${value.toString(16).padStart(2, '0')}`
}

/** What PRFM is to do: `pldl1keep`, or its number where it has no name. */
export function prefetch(Rt: number): string {
  const type = ['pld', 'pli', 'pst'][Rt >>> 3]
  const target = (Rt >>> 1) & 3
  return type === undefined || target === 3 ? twoDigits(Rt) : `${type}l${target + 1}${Rt & 1 ? 'strm' : 'keep'}`
}

const DOMAINS = ['osh', 'nsh', 'ish', ''] as const

/** What DMB and DSB order: `ish`, `oshld`, `sy`, or a number where it has no name. */
export function barrier(CRm: number): string {
  const kind = CRm & 3
  if (kind === 0) return twoDigits(CRm)
  const name = `${DOMAINS[CRm >>> 2]}${['', 'ld', 'st', ''][kind]}`
  return name === '' ? 'sy' : name
}

/** Hints by CRm:op2. Those that came after Armv8.0 are named too: they are in the code of compilers, and do nothing here. */
const HINTS = new Map(
  Object.entries({
    0: 'nop', 1: 'yield', 2: 'wfe', 3: 'wfi', 4: 'sev', 5: 'sevl', 7: 'xpaclri',
    8: 'pacia1716', 10: 'pacib1716', 12: 'autia1716', 14: 'autib1716', 16: 'esb', 17: 'psb csync', 18: 'tsb csync', 20: 'csdb', 22: 'clearbhb',
    24: 'paciaz', 25: 'paciasp', 26: 'pacibz', 27: 'pacibsp', 28: 'autiaz', 29: 'autiasp', 30: 'autibz', 31: 'autibsp',
    32: 'bti', 34: 'bti c', 36: 'bti j', 38: 'bti jc',
  }).map(([number, name]) => [Number(number), name]),
) // prettier-ignore

/** A hint's name; HINT and its number where it has none. */
export function hint(number: number): string {
  return HINTS.get(number) ?? text('hint', hex(number))
}

/** A word that is no instruction here, and why. */
export function notAnInstruction(word: number, why: string): string {
  return `.inst 0x${word.toString(16).padStart(8, '0')} // ${why}`
}

/** A 64-bit pair as one number, for printing. */
export function unsigned([lo, hi]: readonly [number, number]): bigint {
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)
}
