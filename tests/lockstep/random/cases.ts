/** One random case: set-up code, one random word of a table row, and a safe way on; at most one slot. */
import type { Instruction } from '../../../cpu/isa/instruction.js'
import { decode, instructions } from '../../../cpu/isa/table.js'
import { systemInstructions } from '../../../cpu/sysregs/instructions.js'
import { systemRegisters } from '../../../cpu/sysregs/table.js'
import * as a from './encode.js'
import { System } from './encode.js'
import { excludedReads, excludedWrites } from './exclusions.js'
import { DATA, DATA_PAGES, END_CALL, HOLE, SLOT_BYTES, SLOT_WORDS, type Setting } from './image.js'
import type { Random } from './prng.js'

/** What a case needs to know. */
export interface CaseContext {
  readonly random: Random
  readonly setting: Setting
  /** Address of the slot. */
  readonly address: number
}

/** A finished case. */
export interface Case {
  readonly words: readonly number[]
  /** The random word, and the row it belongs to; `(no row)` if it must be UNDEFINED. */
  readonly word: number
  readonly row: string
}

/** Where words that match no row are counted. */
export const NO_ROW = '(no row)'

type Fields = Record<string, number>
/** Builds the words of a case around the fields chosen; returns undefined to be asked again with others. */
type Builder = (context: CaseContext, row: Instruction, fields: Fields) => number[] | undefined

const PAGE = 0x1000
const mask64 = (value: bigint): bigint => BigInt.asUintN(64, value)
const signed = (value: number, width: number): number => (value << (32 - width)) >> (32 - width)

/** The word of a row with the given fields. */
export function encodeRow(row: Instruction, fields: Fields): number {
  let word = row.value
  for (const { name, lsb, width } of row.fields) word |= (fields[name] & (2 ** width - 1)) << lsb
  return word >>> 0
}

function randomFields(random: Random, row: Instruction): Fields {
  const fields: Fields = {}
  for (const { name, width } of row.fields) fields[name] = Math.floor((random.u32() / 2 ** 32) * 2 ** width)
  return fields
}

/** Sets a register, SP (31, where `sp`) included; nothing for XZR. */
function setRegister(register: number, value: bigint, sp = true): number[] {
  if (register !== 31) return a.moveImmediate(register, value)
  return sp ? [...a.moveImmediate(19, value), a.addImmediate(31, 19, 0)] : []
}

/** An address to access: mostly data, aligned or not, at the end of a page or not; sometimes something that faults. */
function dataAddress({ random, setting }: CaseContext): bigint {
  const page = random.below(random.chance(0.6) ? 16 : DATA_PAGES)
  const offset = random.pick([
    () => random.below(256) * 16,
    () => random.below(PAGE),
    () => PAGE - 1 - random.below(20),
    () => random.below(512) * 8,
  ])()
  const address = BigInt(DATA + page * PAGE + offset)
  if (setting.el === 2) return address
  const kind = random.below(16)
  if (!setting.mmu) {
    if (kind === 0) return BigInt(HOLE + 64 * random.below(PAGE / 64))
    if (kind === 1) return (1n << BigInt(40 + random.below(24))) | address
    return address
  }
  const upper = setting.tsz === 16 ? 0xffff_0000_0000_0000n : 0xffff_ff80_0000_0000n
  if (kind === 0) return address | upper
  if (kind === 1) return address + 0x20_0000n
  if (kind === 2) return address + 0x60_0000n
  if (kind === 3) return address + 0x8000_0000n
  if (kind === 4) return awayFromNothing(random.value())
  if (kind === 5) return address | (BigInt(random.u32() & 0xff) << 56n)
  if (kind === 6) return (address | upper) ^ (BigInt(random.u32() & 0xff) << 56n)
  if (kind === 7) return BigInt(HOLE) + BigInt(offset)
  return address
}

/** Aligned, if it lies in the gigabyte that maps empty physical memory too. */
const awayFromNothing = (address: bigint): bigint =>
  ((address >> 30n) & 0x3ffffn) % 512n === 3n ? address & ~63n : address

/** Set-up, the word, and NOPs are added by the caller. */
const plain: Builder = (_context, row, fields) => [encodeRow(row, fields)]

/** A load or store of base register `Rn`: puts base + offset at a data address. */
function based(context: CaseContext, row: Instruction, fields: Fields, offset: bigint): number[] | undefined {
  const target = dataAddress(context)
  return [...setRegister(fields.Rn, mask64(target - offset)), encodeRow(row, fields)]
}

const pair: Builder = (context, row, fields) => {
  const scale = fields.opc === 2 ? 8 : 4
  return based(context, row, fields, fields.idx === 1 ? 0n : BigInt(signed(fields.imm7, 7) * scale))
}

const immediate9: Builder = (context, row, fields) =>
  based(context, row, fields, fields.idx === 1 ? 0n : BigInt(signed(fields.imm9, 9)))

const unsignedOffset: Builder = (context, row, fields) =>
  based(context, row, fields, BigInt(fields.imm12) << BigInt(fields.size))

/** The value that an extended register has (Arm ARM, ExtendReg). */
function extended(value: bigint, option: number): bigint {
  const width = 8 << (option & 3)
  return option & 4 ? BigInt.asIntN(width, value) : BigInt.asUintN(width, value)
}

const registerOffset: Builder = (context, row, fields) => {
  if (fields.Rm === fields.Rn && fields.Rm !== 31) return undefined
  const { random } = context
  const index = fields.Rm === 31 ? 0n : random.chance(0.5) ? BigInt(random.below(4096)) : random.value()
  const offset = extended(index, fields.option) << BigInt(fields.imm ? fields.size : 0)
  const words = setRegister(fields.Rm, index, false)
  // SP's set-up goes through X19.
  if (fields.Rn === 31 && fields.Rm === 19) return undefined
  const access = based(context, row, fields, offset)
  return access && [...words, ...access]
}

/** Store-exclusives mostly follow the load that opens the monitor. */
const exclusive: Builder = (context, row, fields) => {
  const target = dataAddress(context)
  if (target === mask64(-1n) || (context.setting.el === 2 && (target & 15n) !== 0n)) return undefined
  const access = [...setRegister(fields.Rn, target), encodeRow(row, fields)]
  if (fields.L !== 0 || fields.o2 !== 0 || context.random.chance(0.3)) return access
  const word = access[access.length - 1]
  // Its own registers are free to collide with the store's, but for the base.
  const load = encodeRow(row, { ...fields, L: 1, Rs: 31, Rt: (fields.Rn + 1) % 31, Rt2: (fields.Rn + 2) % 31 })
  const store = context.random.chance(0.3) ? [a.NOP, word] : [word]
  return [...access.slice(0, -1), load, ...store]
}

/**
 * A branch to somewhere in the slot. Word 0 jumps over word 1, which leads out, so that a branch backwards finds an end.
 *
 * @param target the place of the target, in words from the branch; set into `fields` by the caller's function.
 */
function branchInSlot(context: CaseContext, setUp: readonly number[], word: (distance: number) => number): number[] {
  const at = 2 + setUp.length
  const way = context.random.below(SLOT_WORDS - at + 1)
  const distance = way === 0 ? 1 - at : way
  return [a.b(2), a.b(SLOT_WORDS - 1), ...setUp, word(distance)]
}

const immediateBranch =
  (field: string, width: number, setUp: (context: CaseContext, fields: Fields) => number[]): Builder =>
  (context, row, fields) => {
    const { random, setting } = context
    if (setting.mmu && width >= 19 && random.chance(0.1)) {
      // Into nothing: the case says where to go on. At least 2 MiB away, so that no case is hit.
      const far = (random.chance(0.5) ? 1 : -1) * (0x20_0000 + random.below(0x6_0000)) * (width === 26 ? 8 : 1)
      if (width === 19) return undefined
      return [...resumeBehind(context), ...setUp(context, fields), encodeRow(row, { ...fields, [field]: far })]
    }
    return branchInSlot(context, setUp(context, fields), (distance) => encodeRow(row, { ...fields, [field]: distance }))
  }

/** TPIDR_EL0 = the next slot, for a case that leaves the cases. */
const resumeBehind = ({ address }: CaseContext): number[] => [
  ...a.moveImmediate(19, BigInt(address + SLOT_BYTES)),
  a.msr(System.TPIDR_EL0, 19),
]

/** Registers that a compare-and-branch tests: as they are, or zero, or a single bit. */
const testedRegister = ({ random }: CaseContext, fields: Fields): number[] => {
  const kind = random.below(4)
  if (kind > 1) return []
  return setRegister(fields.Rt, kind === 0 ? 0n : 1n << BigInt(random.below(64)), false)
}

const registerBranch: Builder = (context, row, fields) => {
  const { random, setting } = context
  if (fields.Rn === 31) return undefined
  if (random.chance(0.25)) {
    const misaligned = BigInt(context.address + 4 * random.below(16)) | BigInt(1 + random.below(3))
    const unmapped = [5, 6, 8].map((page) => BigInt(DATA + page * PAGE))
    const nothing = random.pick(setting.mmu ? [...unmapped, BigInt(HOLE), 0x8000_0000n, 0x0001_0000_0000_0000n, 0xffff_0000_0000_0000n] : [BigInt(HOLE), 1n << 41n]) // prettier-ignore
    const target = random.chance(0.5) ? misaligned : nothing
    if (fields.Rn === 19) return undefined
    return [...resumeBehind(context), ...setRegister(fields.Rn, target), encodeRow(row, fields)]
  }
  const setUp = 3
  const place = 2 + setUp + 1 + random.below(SLOT_WORDS - 2 - setUp - 1)
  const target = a.moveImmediate(fields.Rn, BigInt(context.address + 4 * place))
  while (target.length < setUp) target.unshift(a.NOP)
  return [a.b(2), a.b(SLOT_WORDS - 1), ...target, encodeRow(row, fields)]
}

/** Returns to EL0, EL1t or EL1h, or somewhere illegal; an SVC behind brings every one of them back, an HVC where that is EL2. */
const exceptionReturn: Builder = (context, row, fields) => {
  const { random } = context
  const word = encodeRow(row, fields)
  if (context.setting.el === 0) return [word]
  const el2 = context.setting.el === 2
  const mode = random.pick(el2 ? [4, 5, 8, 9, 1, 2, 6, 10, 12, 13, 15] : [0, 4, 5, 5, 1, 2, 6, 8, 9, 12, 13, 15])
  const flags = BigInt(random.below(16)) << 28n
  const illegal = random.chance(0.1) ? 1n << 20n : 0n
  const daif = BigInt(random.below(16)) << 6n
  const program = [
    ...a.moveImmediate(19, flags | illegal | daif | BigInt(mode)),
    a.msr(el2 ? System.SPSR_EL2 : System.SPSR_EL1, 19),
    ...a.moveImmediate(19, BigInt(context.address + 4 * (SLOT_WORDS - 3)) | (random.chance(0.1) ? 2n : 0n)),
    a.msr(el2 ? System.ELR_EL2 : System.ELR_EL1, 19),
    ...resumeBehind(context),
    word,
  ]
  // The SVC is not the last word, as it returns behind itself.
  if (program.length > SLOT_WORDS - 3) return undefined
  while (program.length < SLOT_WORDS - 3) program.push(a.NOP)
  return [...program, a.addImmediate(19, 31, 0), el2 ? a.hvc(1) : a.svc(random.below(0xffff) & ~1)]
}

/** PSCI functions that only answer: versions, features, and numbers that mean nothing. */
const HARMLESS_CALLS = [
  0x8400_0000n,
  0x8400_0006n,
  0x8400_000an,
  0x8400_0004n,
  0xc400_0004n,
  0x8400_00ffn,
  0n,
  0xffff_ffffn,
]

const exceptionCall: Builder = ({ random }, row, fields) => {
  if (fields.opc === 0 && fields.LL === 1 && fields.imm16 === END_CALL) return undefined
  const call = random.pick(HARMLESS_CALLS)
  const argument = random.pick([0x8400_0000n, 0x8400_0008n, 0xc400_0003n, 1n, 0n])
  return [
    ...a.moveImmediate(0, call),
    ...a.moveImmediate(1, argument),
    ...a.moveImmediate(2, 0n),
    encodeRow(row, fields),
  ]
}

const hint: Builder = (_context, row, fields) =>
  fields.CRm === 0 && fields.op2 === 3 ? undefined : [encodeRow(row, fields)]

const UMA = 1 << 9

const moveImmediate: Builder = ({ setting }, row, fields) =>
  setting.el === 0 && (setting.sctlr & UMA) === 0 && fields.op1 === 3 ? undefined : [encodeRow(row, fields)]

const systemInstruction: Builder = (context, row, fields) => {
  const { random, setting } = context
  const chosen = { ...fields }
  if (random.chance(0.8)) {
    const { key } = random.pick(systemInstructions)
    Object.assign(chosen, { L: 0, op1: key >> 11, CRn: (key >> 7) & 15, CRm: (key >> 3) & 15, op2: key & 7 })
  }
  // DC ZVA of address 0 would reach the flash.
  if (chosen.Rt === 31 && !setting.mmu) return undefined
  // What an address translation has found stands in PAR_EL1.
  const outcome =
    chosen.CRn === 7 && chosen.CRm === 8 && setting.el !== 0 ? [a.mrs(random.below(31), System.PAR_EL1)] : []
  return [...setRegister(chosen.Rt, dataAddress(context), false), encodeRow(row, chosen), ...outcome]
}

const named = (rules: readonly { register: RegExp }[], name: string): boolean =>
  rules.some(({ register }) => register.test(name))

const moveSystemRegister: Builder = (context, row, fields) => {
  const { random } = context
  const chosen = { ...fields }
  const register = random.chance(0.8) ? random.pick(systemRegisters) : undefined
  if (register) {
    const { key } = register
    Object.assign(chosen, {
      o0: key >> 14,
      op1: (key >> 11) & 7,
      CRn: (key >> 7) & 15,
      CRm: (key >> 3) & 15,
      op2: key & 7,
    })
  }
  const name = registerName(chosen)
  const word = encodeRow(row, chosen)
  if (name !== undefined && named(chosen.L ? excludedReads : excludedWrites, name)) return undefined
  if (chosen.L) return [word]
  const values = random.chance(0.5) ? setRegister(chosen.Rt, random.value(), false) : []
  // What has been written is read again.
  const read =
    name === undefined || named(excludedReads, name) ? [] : [encodeRow(row, { ...chosen, L: 1, Rt: random.below(31) })]
  return [...values, word, ...read]
}

const registerNames = new Map(systemRegisters.map(({ key, name }) => [key, name]))

/** The name of the system register with an encoding, op0<0>:op1:CRn:CRm:op2. */
export const systemRegisterName = (encoding: number): string | undefined => registerNames.get(encoding)

/** Whether random MRS leaves a register out. */
export const isExcludedRead = (name: string): boolean => named(excludedReads, name)

function registerName({ o0, op1, CRn, CRm, op2 }: Fields): string | undefined {
  return systemRegisterName((o0 << 14) | (op1 << 11) | (CRn << 7) | (CRm << 3) | op2)
}

/** Allocated FP and SIMD instructions: FADD, FMOV, FCVT, SCVTF, ADD, MUL, DUP, LDR, STR, LDP, LD1, AESE … */
const FP_SIMD = [
  0x1e622820, 0x1e6e1000, 0x1e22c020, 0x9e620020, 0x4ee28420, 0x0e229c20, 0x4e080c20, 0x3dc00020, 0x3d800020, 0xad400420,
  0x4c407020, 0x4e284820, 0x1e602020, 0x9e660020, 0x5e0c0420, 0x7ee0b820, 0xbd400020, 0xfc408420, 0x1f430841, 0x6ea0f820,
] // prettier-ignore

const builders: ReadonlyMap<string, Builder> = new Map([
  ['LDP/STP/LDNP/STNP/LDPSW', pair],
  ['LDR/STR (unscaled, indexed, unprivileged)', immediate9],
  ['LDR/STR (register offset)', registerOffset],
  ['LDR/STR (unsigned offset)', unsignedOffset],
  ['LDXR/STXR/LDXP/STXP/LDAR/STLR', exclusive],
  ['B.cond', immediateBranch('imm19', 19, () => [])],
  ['B/BL', immediateBranch('imm26', 26, () => [])],
  ['CBZ/CBNZ', immediateBranch('imm19', 19, testedRegister)],
  ['TBZ/TBNZ', immediateBranch('imm14', 14, testedRegister)],
  ['BR/BLR/RET', registerBranch],
  ['ERET', exceptionReturn],
  ['SVC/HVC/SMC/BRK/HLT', exceptionCall],
  ['HINT', hint],
  ['MSR (immediate)', moveImmediate],
  ['SYS/SYSL', systemInstruction],
  ['MRS/MSR (register)', moveSystemRegister],
])

/** A random case of a row. */
export function randomCase(context: CaseContext, row: Instruction): Case {
  const { random } = context
  if (row.name.startsWith('FP/SIMD')) {
    const words = FP_SIMD.filter((word) => decode(word)?.instruction === row)
    const word = random.pick(words)
    return { words: [word], word, row: row.name }
  }
  const build = builders.get(row.name) ?? plain
  for (;;) {
    const fields = randomFields(random, row)
    if (!row.allocated(fields) && !random.chance(0.1)) continue
    const words = build(context, row, fields)
    if (!words || words.length > SLOT_WORDS) continue
    const word = encodeRow(row, fields)
    return { words, word, row: row.name }
  }
}

/** A random word that no row matches, or that its row does not allocate: UNDEFINED. */
export function undefinedCase({ random }: CaseContext): Case {
  for (;;) {
    const word = random.chance(0.7) ? random.u32() : nearMiss(random)
    if (decode(word) !== undefined || isEretWithRegister(word)) continue
    return { words: [word], word, row: NO_ROW }
  }
}

const isEretWithRegister = (word: number): boolean => (word & 0xfffffc1f) >>> 0 === 0xd69f0000

/** A word one or two bits away from a row. */
function nearMiss(random: Random): number {
  const row = random.pick(instructions)
  const word = encodeRow(row, randomFields(random, row))
  return (word ^ (1 << random.below(32)) ^ (random.chance(0.3) ? 1 << random.below(32) : 0)) >>> 0
}
