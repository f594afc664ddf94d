/** What generated guests are made of: instructions and short sequences, each from one number. */
import type { Instruction } from '../../cpu/isa/instruction.js'
import { disassemble } from '../../cpu/isa/disassembler.js'
import { decode, instructions } from '../../cpu/isa/table.js'
import { Random, randomWord } from '../cpu/words.js'
import type { LiteralKind } from './programs.js'

/** What an instruction may need to know of the rest of the program. */
export interface Surroundings {
  readonly blocks: readonly bigint[]
  readonly literalOffset: (kind: LiteralKind, index: number) => number
}

/** The word at an address. */
export type Emit = (address: bigint, surroundings: Surroundings) => number

/** Random numbers that depend on one number only, close numbers having nothing in common. */
export function numbered(number: number): Random {
  let state = number >>> 0
  for (let i = 0; i < 2; i++) state = Math.imul(state ^ (state >>> 16), 0x45d9f3b) >>> 0
  return new Random(((state ^ (state >>> 16)) + 0x9e3779b9) >>> 0 || 1)
}

const rowsOf = (pattern: RegExp): Instruction[] => instructions.filter(({ name }) => pattern.test(name))
const MEMORY = rowsOf(/LD|ST/)
const EXCLUSIVE = rowsOf(/LDXR/)
const CONDITIONAL = rowsOf(/CCM|CSEL|CSINV|ADC/)
const SETTING = rowsOf(/^ADD\/SUB|^AND/)
const SYSTEM = rowsOf(/HINT|CLREX|MSR|MRS|SYS|SVC|FP/)
const BRANCH = rowsOf(/^B|CBZ|TBZ/)
const PLAIN = instructions.filter((row) => ![...MEMORY, ...SYSTEM, ...BRANCH].includes(row) && !/ERET/.test(row.name))
/** What would end a program, or take its ground away. Sequences of their own do that in a way that it survives. */
const SPOILING = /^msr (sctlr|tcr|ttbr0|ttbr1|vbar|spsr|mair|cpacr|osdlr|oslar)_el1|^(hlt|brk)/

const constant = (word: number): Emit => {
  return () => word >>> 0
}

/** A random word of one of the rows, allocated if one is found soon. */
function wordOf(
  rows: readonly Instruction[],
  random: Random,
  change: (row: Instruction, word: number) => number,
): number {
  let word = 0
  for (let tries = 0; tries < 6; tries++) {
    const row = rows[random.below(rows.length)]
    word = change(row, randomWord(row, random)) >>> 0
    if (decode(word)) break
  }
  return word
}

function withField(row: Instruction, word: number, name: string, value: number): number {
  const field = row.fields.find((each) => each.name === name)
  if (!field) return word
  const ones = 2 ** field.width - 1
  return ((word & ~(ones << field.lsb)) | ((value & ones) << field.lsb)) >>> 0
}

/** Registers 0 to 13 take results, so that most pointers and indices survive. */
function withResults(row: Instruction, word: number, random: Random): number {
  let changed = word
  for (const name of ['Rd', 'Rt', 'Rt2', 'Rs'])
    if (random.below(24)) changed = withField(row, changed, name, random.below(8) ? random.below(14) : 31)
  return changed
}

const POINTERS = [16, 17, 18, 19, 16, 17, 31, 24]

/** Loads and stores whose base leads to data, and whose offset leads not far from there. */
function access(rows: readonly Instruction[], random: Random): Emit[] {
  const word = wordOf(rows, random, (row, plain) => {
    let changed = withResults(row, plain, random)
    changed = withField(row, changed, 'Rn', POINTERS[random.below(POINTERS.length)])
    if (random.below(16)) changed = withField(row, changed, 'imm12', random.below(24))
    changed = withField(row, changed, 'Rm', [14, 15, 31, random.below(31)][random.below(4)])
    if (random.below(3)) changed = withField(row, changed, 'imm9', random.below(32) - 16)
    if (random.below(3)) changed = withField(row, changed, 'imm7', random.below(8) - 4)
    if (row.name.includes('literal')) changed = withField(row, changed, 'imm19', random.below(128) - 64)
    return changed
  })
  return [constant(word)]
}

const load = (register: number, kind: LiteralKind, index: number, narrow = false): Emit => {
  return (address, { literalOffset }) => {
    const offset = literalOffset(kind, index) - Number(address & 0xfffn)
    return ((narrow ? 0x18000000 : 0x58000000) | (((offset >> 2) & 0x7ffff) << 5) | register) >>> 0
  }
}

const msr = (base: number, register: number): Emit => constant(base | register)
const TTBR0 = 0xd5182000
const SCTLR = 0xd5181000
const SPSR = 0xd5184000
const ELR = 0xd5184020
const NZCV = 0xd51b4200
const ERET = 0xd69f03e0
const TLBI_ALL = 0xd508871f
const TLBI_PAGE = 0xd5088760
const TLBI_ASID = 0xd5088740
const IC_IVAU = 0xd50b7520
const DC_ZVA = 0xd50b7420

const plain = (random: Random): Emit[] => [
  constant(wordOf(PLAIN, random, (row, word) => withResults(row, word, random))),
]
const conditional = (random: Random): Emit[] => [
  constant(wordOf(CONDITIONAL, random, (row, word) => withResults(row, word, random))),
]

/** Any instruction that sets flags, of any kind. */
const setting = (random: Random): Emit[] => {
  const change = (row: Instruction, word: number): number =>
    withField(row, withField(row, withResults(row, word, random), 'S', 1), 'opc', 3)
  return [constant(wordOf(SETTING, random, change))]
}

function system(random: Random): Emit[] {
  for (let tries = 0; tries < 8; tries++) {
    const word = wordOf(SYSTEM, random, (row, found) => withResults(row, found, random))
    if (!SPOILING.test(disassemble(word, 0n))) return [constant(word)]
  }
  return []
}

function pointer(random: Random): Emit[] {
  switch (random.below(8)) {
    case 0:
      return [load(20 + random.below(3), 'BLOCK', random.next())]
    case 1:
      return [load(30, 'BLOCK', random.next())]
    case 2:
      return [load(24, 'CODE_AS_DATA', random.next())]
    case 3:
      // mov sp, x<n>
      return [constant(0x910003e0 | 31 | ((16 + random.below(4)) << 5))]
    case 4:
      return [constant(0xd2800000 | ((1 + random.below(40)) << 5) | [14, 15, 23, 23][random.below(4)])]
    default:
      return [load(16 + random.below(4), 'DATA', random.next())]
  }
}

/** A store among the code. */
function modify(random: Random): Emit[] {
  const value = random.below(14)
  const index = 16 + random.below(random.below(2) ? 24 : 200)
  const word = random.below(8) ? [load(value, 'WORDS', random.next(), random.below(2) === 0)] : []
  const stores = [
    0xb9000000 | (index << 10), // str w
    0xb9000000 | (index << 10),
    0xf9000000 | ((index >> 1) << 10), // str x
    0x29000000 | ((index & 63) << 15) | (random.below(14) << 10), // stp w
    0x39000000 | (((index * 4 + random.below(4)) & 0xfff) << 10), // strb
    0xb8004000 | (random.below(256) << 12), // stur w, at any offset
  ]
  const store = constant(stores[random.below(stores.length)] | (24 << 5) | value)
  return [...word, store, ...(random.below(3) ? [] : [constant(IC_IVAU | 24)])]
}

/** A change of a page table, mostly with a TLBI. */
function remap(random: Random): Emit[] {
  const [value, table, page] = [random.below(7), 7 + random.below(3), 10 + random.below(3)]
  const which = random.next()
  return [
    load(page, 'PAGE', which),
    load(value, 'DESCRIPTOR', random.next()),
    load(table, 'LEVEL3', random.below(4) ? 0 : 1),
    // ubfiz x13, x<page>, #3, #9; str x<value>, [x<table>, x13]
    constant(0xd37d2000 | (page << 5) | 13),
    constant(0xf82d6800 | (table << 5) | value),
    ...(random.below(5) ? [random.below(2) ? constant(TLBI_ALL) : msr(TLBI_PAGE, page)] : []),
  ]
}

function space(random: Random): Emit[] {
  const value = random.below(14)
  const change = [load(value, 'TTBR', random.next()), msr(TTBR0, value)]
  return random.below(3) ? change : [...change, random.below(2) ? msr(TLBI_ASID, value) : constant(TLBI_ALL)]
}

function alignment(random: Random): Emit[] {
  const value = random.below(14)
  return [load(value, 'SCTLR', random.next()), msr(SCTLR, value)]
}

function other(random: Random): Emit[] {
  switch (random.below(7)) {
    case 0:
      return [constant(random.next())]
    case 1:
      return [constant(0xd4000001 | (random.below(0x10000) << 5))]
    case 2:
      return [constant(DC_ZVA | POINTERS[random.below(4)])]
    case 3:
      return [constant(TLBI_ALL)]
    case 4:
      return [msr(NZCV, random.below(14))]
    case 5:
      return [constant(0)]
    default:
      // msr daifset or daifclr
      return [constant((random.below(2) ? 0xd50340df : 0xd50340ff) | (random.below(16) << 8))]
  }
}

type Make = (random: Random) => Emit[]
function weighted(table: readonly (readonly [number, Make])[]): (random: Random) => Make {
  const total = table.reduce((sum, [weight]) => sum + weight, 0)
  return (random) => {
    let left = random.below(total)
    for (const [weight, make] of table) {
      if (left < weight) return make
      left -= weight
    }
    throw new Error('weights do not add up')
  }
}

const memory = (random: Random): Emit[] => access(MEMORY, random)
const exclusive = (random: Random): Emit[] => access(EXCLUSIVE, random)

/** What guests of different kinds are made of, mostly. */
const FLAVOURS = {
  /** Arithmetic and control flow; what faults is rare. */
  calm: weighted([
    [60, plain],
    [24, conditional],
    [12, memory],
    [4, pointer],
  ]),
  /** Flags of all kinds, and what depends on them. */
  flags: weighted([
    [30, setting],
    [44, conditional],
    [20, plain],
    [6, pointer],
  ]),
  /** Indirect branches, chosen by what is computed. */
  jumping: weighted([
    [70, plain],
    [10, conditional],
    [10, pointer],
    [3, memory],
    [1, modify],
    [1, remap],
  ]),
  /** Accesses of all kinds, many of which fault, and other exceptions. */
  faults: weighted([
    [20, plain],
    [4, conditional],
    [40, memory],
    [10, exclusive],
    [14, pointer],
    [3, alignment],
    [4, system],
    [6, other],
  ]),
  /** Changes of page tables and address spaces. */
  spaces: weighted([
    [40, plain],
    [6, conditional],
    [20, memory],
    [10, pointer],
    [8, remap],
    [3, space],
    [2, other],
  ]),
  /** Stores among the code. */
  modifying: weighted([
    [40, plain],
    [10, conditional],
    [6, memory],
    [8, pointer],
    [20, modify],
  ]),
  /** All of it. */
  all: weighted([
    [36, plain],
    [12, conditional],
    [26, memory],
    [4, exclusive],
    [10, pointer],
    [5, modify],
    [2, remap],
    [1, space],
    [1, alignment],
    [2, system],
    [2, other],
  ]),
} as const
/** A kind of guest. */
export type Flavour = keyof typeof FLAVOURS

/** An instruction, or a few, in the middle of a block. */
export function itemOf(number: number, flavour: Flavour): Emit[] {
  const random = numbered(number)
  return FLAVOURS[flavour](random)(random)
}

/** Distance to a block: one close by, mostly. */
function target(random: Random, block: number): (address: bigint, surroundings: Surroundings) => number {
  const near = random.below(4) > 0
  const step = near ? random.below(7) - 2 : random.below(200)
  return (address, { blocks }) => {
    const index = (((near ? block + step : step) % blocks.length) + blocks.length) % blocks.length
    return Number(blocks[index] - address) >> 2
  }
}

type MakeEnd = (random: Random, block: number) => Emit[]

const conditionalBranch: MakeEnd = (random, block) => {
  const to = target(random, block)
  const cond = random.below(15)
  return [(address, all) => (0x54000000 | ((to(address, all) & 0x7ffff) << 5) | cond) >>> 0]
}
const compareBranch: MakeEnd = (random, block) => {
  const to = target(random, block)
  const base = 0x34000000 | ((random.below(4) << 24) & 0x1000000) | random.below(random.below(4) ? 16 : 32)
  const wide = random.below(2) * 0x80000000
  return [(address, all) => (base | wide | ((to(address, all) & 0x7ffff) << 5)) >>> 0]
}
const testBranch: MakeEnd = (random, block) => {
  const to = target(random, block)
  const bit = random.below(2) * 0x80000000 + (random.below(32) << 19)
  const base = 0x36000000 | (random.below(2) << 24) | random.below(16)
  return [(address, all) => (base | bit | ((to(address, all) & 0x3fff) << 5)) >>> 0]
}
const branch: MakeEnd = (random, block) => {
  const to = target(random, block)
  return [(address, all) => (0x14000000 | (to(address, all) & 0x3ffffff)) >>> 0]
}
const call: MakeEnd = (random, block) => {
  const to = target(random, block)
  return [(address, all) => (0x94000000 | (to(address, all) & 0x3ffffff)) >>> 0]
}
const back: MakeEnd = (random) => [constant(0xd65f0000 | ((random.below(12) ? 30 : 20) << 5))]
const indirect: MakeEnd = (random) => [
  constant((random.below(2) ? 0xd61f0000 : 0xd63f0000) | ([20, 21, 22, 20, 30][random.below(5)] << 5)),
]
const computed: MakeEnd = (random, block) => {
  const to = target(random, block)
  return [
    (address, all) => {
      const offset = to(address, all) * 4
      return (0x10000000 | ((offset & 3) << 29) | (((offset >> 2) & 0x7ffff) << 5) | 20) >>> 0
    },
    constant(random.below(2) ? 0xd61f0280 : 0xd63f0280),
  ]
}
/** `subs x23, x23, #1` and around again while that is above zero, then a new count. */
const counted: MakeEnd = (random, block) => {
  const to = target(random, block)
  return [
    constant(0xf10006f7),
    (address, all) => (0x5400000c | ((to(address, all) & 0x7ffff) << 5)) >>> 0,
    constant(0xd2800017 | ((1 + random.below(24)) << 5)),
  ]
}
const through: MakeEnd = () => []
/** An exception return to a block, at EL0 or EL1. */
const returning: MakeEnd = (random) => {
  const status = [0, 0, 4, 5, 5, 9][random.below(6)] | (random.below(4) ? 0 : 0x3c0)
  return [
    load(0, 'BLOCK', random.next()),
    msr(ELR, 0),
    constant(0xd2800000 | (status << 5) | 1),
    msr(SPSR, 1),
    constant(ERET),
  ]
}

const ENDS: readonly MakeEnd[] = [
  conditionalBranch, conditionalBranch, conditionalBranch, conditionalBranch, compareBranch, compareBranch, testBranch, testBranch,
  branch, branch, branch, call, call, call, back, back, back, indirect, indirect, computed,
  counted, counted, counted, counted, through, through, through, through, through, returning,
] // prettier-ignore

/** A branch to one of four blocks, which some register chooses. */
const table: MakeEnd = (random) => {
  const [index, first] = [random.below(14), random.below(8)]
  return [
    // adr x13, to the literals; ubfx x12, x<index>, #<first>, #2; ldr x20, [x13, x12, lsl #3]
    (address, { literalOffset }) => {
      const offset = literalOffset('BLOCK', 0) - Number(address & 0xfffn)
      return (0x1000000d | ((offset & 3) << 29) | (((offset >> 2) & 0x7ffff) << 5)) >>> 0
    },
    constant(0xd340000c | (first << 16) | ((first + 1) << 10) | (index << 5)),
    constant(0xf86c79b4),
    constant(random.below(3) ? 0xd61f0280 : 0xd63f0280),
  ]
}

const JUMPING: readonly MakeEnd[] = [
  table, table, table, table, table, table, indirect, indirect, computed, back, back, call, conditionalBranch, conditionalBranch,
  counted, through,
] // prettier-ignore

/** How a block ends. */
export function endOf(number: number, block: number, flavour: Flavour): Emit[] {
  const random = numbered(number)
  const ends = flavour === 'jumping' ? JUMPING : ENDS
  return ends[random.below(ends.length)](random, block)
}
