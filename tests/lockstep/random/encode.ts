/** The few instructions that the guests' own code is written in. */

/** A general register; 31 is XZR or SP, as the instruction has it. */
type Register = number

/** System registers that the guests' own code uses: op0<0>:op1:CRn:CRm:op2 at bits <19:5>. */
const systemRegister = (op0: number, op1: number, crn: number, crm: number, op2: number): number =>
  (((op0 & 1) << 19) | (op1 << 16) | (crn << 12) | (crm << 8) | (op2 << 5)) >>> 0

/** The registers by name. */
export const System = {
  SCTLR_EL1: systemRegister(3, 0, 1, 0, 0),
  CPACR_EL1: systemRegister(3, 0, 1, 0, 2),
  TTBR0_EL1: systemRegister(3, 0, 2, 0, 0),
  TTBR1_EL1: systemRegister(3, 0, 2, 0, 1),
  TCR_EL1: systemRegister(3, 0, 2, 0, 2),
  SPSR_EL1: systemRegister(3, 0, 4, 0, 0),
  ELR_EL1: systemRegister(3, 0, 4, 0, 1),
  ESR_EL1: systemRegister(3, 0, 5, 2, 0),
  FAR_EL1: systemRegister(3, 0, 6, 0, 0),
  PAR_EL1: systemRegister(3, 0, 7, 4, 0),
  MAIR_EL1: systemRegister(3, 0, 10, 2, 0),
  VBAR_EL1: systemRegister(3, 0, 12, 0, 0),
  CNTKCTL_EL1: systemRegister(3, 0, 14, 1, 0),
  TPIDR_EL1: systemRegister(3, 0, 13, 0, 4),
  TPIDR_EL0: systemRegister(3, 3, 13, 0, 2),
  HCR_EL2: systemRegister(3, 4, 1, 1, 0),
  CPTR_EL2: systemRegister(3, 4, 1, 1, 2),
  SPSR_EL2: systemRegister(3, 4, 4, 0, 0),
  ELR_EL2: systemRegister(3, 4, 4, 0, 1),
  ESR_EL2: systemRegister(3, 4, 5, 2, 0),
  FAR_EL2: systemRegister(3, 4, 6, 0, 0),
  VBAR_EL2: systemRegister(3, 4, 12, 0, 0),
  TPIDR_EL2: systemRegister(3, 4, 13, 0, 2),
} as const

const word = (value: number): number => value >>> 0

export const NOP = 0xd503201f
export const ISB = 0xd5033fdf
export const DSB_SY = 0xd5033f9f
export const ERET = 0xd69f03e0
export const TLBI_VMALLE1 = 0xd508871f

export const mrs = (rt: Register, register: number): number => word(0xd5300000 | register | rt)
export const msr = (register: number, rt: Register): number => word(0xd5100000 | register | rt)
/** A branch by `words` instructions. */
export const b = (words: number): number => word(0x14000000 | (words & 0x3ffffff))
export const bCond = (condition: number, words: number): number =>
  word(0x54000000 | ((words & 0x7ffff) << 5) | condition)
/** LDR (literal), 64 bits, from `words` instructions away. */
export const ldrLiteral = (rt: Register, words: number): number => word(0x58000000 | ((words & 0x7ffff) << 5) | rt)
/** ADR of an address `bytes` away. */
export const adr = (rd: Register, bytes: number): number =>
  word(0x10000000 | ((bytes & 3) << 29) | (((bytes >> 2) & 0x7ffff) << 5) | rd)
/** LDP of two 64-bit registers at `offset` bytes from Rn. */
export const ldp = (rt: Register, rt2: Register, rn: Register, offset: number): number =>
  word(0xa9400000 | (((offset / 8) & 0x7f) << 15) | (rt2 << 10) | (rn << 5) | rt)
export const ldr = (rt: Register, rn: Register, offset: number): number =>
  word(0xf9400000 | ((offset / 8) << 10) | (rn << 5) | rt)
/** ADD (immediate): copies to and from SP. */
export const addImmediate = (rd: Register, rn: Register, imm12: number): number =>
  word(0x91000000 | (imm12 << 10) | (rn << 5) | rd)
export const sub = (rd: Register, rn: Register, rm: Register): number => word(0xcb000000 | (rm << 16) | (rn << 5) | rd)
export const cmp = (rn: Register, rm: Register): number => word(0xeb00001f | (rm << 16) | (rn << 5))
export const orr = (rd: Register, rn: Register, rm: Register): number => word(0xaa000000 | (rm << 16) | (rn << 5) | rd)
/** AND with a mask of ones from bit `low` to bit 63. */
export const keepFrom = (rd: Register, rn: Register, low: number): number =>
  word(0x92400000 | ((64 - low) << 16) | ((63 - low) << 10) | (rn << 5) | rd)
/** AND with 0xf0000000: NZCV of an SPSR. */
export const keepFlags = (rd: Register, rn: Register): number =>
  word(0x92400000 | (36 << 16) | (3 << 10) | (rn << 5) | rd)
export const svc = (imm16: number): number => word(0xd4000001 | (imm16 << 5))
export const smc = (imm16: number): number => word(0xd4000003 | (imm16 << 5))
export const hvc = (imm16: number): number => word(0xd4000002 | (imm16 << 5))

/** Loads any value with as few MOVZ, MOVN and MOVK as it takes. */
export function moveImmediate(rd: Register, value: bigint): number[] {
  const wanted = BigInt.asUintN(64, value)
  const parts = [0, 1, 2, 3].map((i) => Number((wanted >> BigInt(16 * i)) & 0xffffn))
  const ones = parts.filter((part) => part === 0xffff).length
  const inverted = ones > parts.filter((part) => part === 0).length
  const background = inverted ? 0xffff : 0
  const words: number[] = []
  parts.forEach((part, i) => {
    if (part === background) return
    const first = words.length === 0
    const opcode = first ? (inverted ? 0x92800000 : 0xd2800000) : 0xf2800000
    words.push(word(opcode | (i << 21) | ((first && inverted ? ~part & 0xffff : part) << 5) | rd))
  })
  if (words.length === 0) words.push(word((inverted ? 0x92800000 : 0xd2800000) | rd))
  return words
}
