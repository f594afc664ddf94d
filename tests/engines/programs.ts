/**
 * Generated guests: an image of RAM with vectors, page tables and blocks of random instructions, made from lists of numbers that a
 * property-testing library can shrink. Each instruction depends on its own number alone, so that the others stay when one goes.
 */
import { decode } from '../../cpu/isa/table.js'
import { disassemble } from '../../cpu/isa/disassembler.js'
import { PAGE_SIZE, RAM_PHYSICAL } from '../../cpu/machine-memory.js'
import type { Processor } from '../../cpu/processor.js'
import type { Random } from '../cpu/words.js'
import { type Emit, type Flavour, type Surroundings, endOf, itemOf, numbered } from './items.js'
import { DEVICE } from './subject.js'

/** What a guest is made from. */
export interface Recipe {
  readonly blocks: readonly { readonly at: number; readonly body: readonly number[]; readonly end: number }[]
  /** Numbers that change how virtual pages are mapped. */
  readonly pages: readonly number[]
  readonly flavour: Flavour
  readonly seed: number
}

/** A guest, ready to be loaded. */
export interface Program {
  readonly image: Uint8Array
  /** Virtual addresses of the blocks, as far as there was room for them. */
  readonly blocks: readonly bigint[]
  readonly prepare: (cpu: Processor) => void
  /** All blocks, disassembled. */
  listing(): string
}

const CODE_PAGES = 8
const DATA_PAGES = 8
/** Physical page numbers, from the begin of RAM. */
export const Physical = { VECTORS: 0, CODE: 1, DATA: 9, TABLES: 17, END: 23 } as const
/**
 * Virtual page numbers, from 0x4000_0000 and, by TTBR1, from 0xffff_ff80_4000_0000: the vectors, the code, the code again, perhaps in
 * another order, the code as data, data, the device with nothing behind it, the tables of level 3 of both address spaces.
 */
export const Virtual = { VECTORS: 0, CODE: 16, ALIAS: 24, CODE_AS_DATA: 32, DATA: 48, DEVICE: 56, TABLES: 60 } as const
/** Pages so far apart have the same entries in the fast TLBs. Code and data stand there once more. */
const CONFLICT = 256
/** Everything stands here once more: a page has the same entry in the translation TLB as its neighbour but one has there. */
const AGAIN = 1024
/** Bytes of RAM that a program fills; stores reach beyond only if it spoils its tables. */
export const IMAGE_SIZE = Physical.END * PAGE_SIZE
const START = BigInt(RAM_PHYSICAL)
const HIGH = 0xffff_ff80_0000_0000n
/** Tables of levels 1, 2 and 3 of each address space. */
const TABLES = [0, 3].map((first) => [0, 1, 2].map((level) => Physical.TABLES + first + level))

/** Descriptor bits. */
const KERNEL = 0x703n
const USER = KERNEL | 0x40n
const SHARED = USER | 0x80n
const READ_ONLY = KERNEL | 0x80n
const NOT_GLOBAL = 1n << 11n
const PXN = 1n << 53n
const UXN = 1n << 54n

/** Offsets in a page of code: where blocks begin, behind the rest of one that comes from the page before; and where the literals are. */
const HEAD = 0x40
const POOL = 0xe00

/** Kinds of literals, 64 bits each: the index of the first, and how many there are. */
export const Literal = {
  DATA: [0, 10],
  BLOCK: [10, 6],
  CODE_AS_DATA: [16, 4],
  LEVEL3: [20, 2],
  DESCRIPTOR: [22, 5],
  TTBR: [27, 3],
  SCTLR: [30, 2],
  WORDS: [32, 6],
  PAGE: [38, 5],
} as const
/** One of {@link Literal}. */
export type LiteralKind = keyof typeof Literal

/** Offset in each page of code, and in that of the vectors, of a literal. */
export const literalOffset = (kind: LiteralKind, index: number): number =>
  POOL + 8 * (Literal[kind][0] + (index % Literal[kind][1]))

/** Registers that the handlers and the first instructions set: x16 to x19 and SP lead to data, x20 to x22 to blocks, x24 to code as data. */
const POINTERS: readonly (readonly [number, LiteralKind, number])[] = [
  [16, 'DATA', 0],
  [17, 'DATA', 1],
  [18, 'DATA', 2],
  [19, 'DATA', 3],
  [20, 'BLOCK', 1],
  [21, 'BLOCK', 2],
  [22, 'BLOCK', 3],
  [24, 'CODE_AS_DATA', 0],
]

/** Offsets of what the vectors lead to. */
const HANDLER = 0x800
const RECOVER = 0x880
const NOP = 0xd503201f
const ERET = 0xd69f03e0
/** `br x20`: what stands where there is no block. */
const FILLER = 0xd61f0280
const branchTo = (from: number, to: number): number => (0x14000000 | (((to - from) >> 2) & 0x3ffffff)) >>> 0

/**
 * The page of vectors. A faulting instruction is skipped; SVC changes between EL0 and EL1; what cannot be fetched, and interrupts,
 * lead back to the first block at EL1; a fast interrupt does nothing.
 */
function vectors(): Map<number, number> {
  const words = new Map<number, number>()
  for (const base of [0, 0x200, 0x400]) {
    words.set(base, branchTo(base, HANDLER))
    words.set(base + 0x80, branchTo(base + 0x80, RECOVER))
    words.set(base + 0x100, ERET)
  }
  const put = (start: number, list: readonly number[]): void =>
    list.forEach((word, i) => words.set(start + 4 * i, word >>> 0))
  const conditional = (from: number, cond: number, to: number): number =>
    0x54000000 | ((((to - from) >> 2) & 0x7ffff) << 5) | cond
  const svc = HANDLER + 0x40
  put(HANDLER, [
    0xd538521b, // mrs x27, esr_el1
    0xd35aff7b, // lsr x27, x27, #26
    0xd100837b, // sub x27, x27, #0x20
    0xf1000b7f, // cmp x27, #0x2
    conditional(HANDLER + 0x10, 9, RECOVER), // b.ls: instruction aborts, a misaligned PC
    0xb1004b7f, // cmn x27, #0x12
    conditional(HANDLER + 0x18, 0, RECOVER), // b.eq: illegal state
    0xb1002f7f, // cmn x27, #0xb
    conditional(HANDLER + 0x20, 0, svc), // b.eq
    0xd538403b, // mrs x27, elr_el1
    0x9100137b, // add x27, x27, #0x4
    0xd518403b, // msr elr_el1, x27
    ERET,
  ])
  put(svc, [
    0xd538401b, // mrs x27, spsr_el1
    0xd240037b, // eor x27, x27, #0x1
    0xd27e037b, // eor x27, x27, #0x4
    0xd518401b, // msr spsr_el1, x27
    ERET,
  ])
  const load = (at: number, register: number, kind: LiteralKind, index: number): number =>
    0x58000000 | ((((literalOffset(kind, index) - at) >> 2) & 0x7ffff) << 5) | register
  const recover = [
    (at: number) => load(at, 27, 'BLOCK', 0),
    () => 0xd518403b, // msr elr_el1, x27
    () => 0xd28000bb, // mov x27, #0x5
    () => 0xd518401b, // msr spsr_el1, x27
    ...POINTERS.map(
      ([register, kind, index]) =>
        (at: number) =>
          load(at, register, kind, index),
    ),
    () => ERET,
  ]
  put(
    RECOVER,
    recover.map((emit, i) => emit(RECOVER + 4 * i)),
  )
  return words
}

const VECTORS = vectors()

interface Placed {
  readonly address: bigint
  readonly words: readonly Emit[]
  /** Physical address of each. */
  readonly places: readonly number[]
}

/** Makes a guest. */
export function makeProgram(recipe: Recipe): Program {
  const random = numbered(recipe.seed)
  const image = new Uint8Array(IMAGE_SIZE)
  const view = new DataView(image.buffer)
  for (let at = Physical.CODE * PAGE_SIZE; at < Physical.DATA * PAGE_SIZE; at += 4) view.setUint32(at, FILLER, true)
  for (let at = Physical.DATA * PAGE_SIZE; at < Physical.TABLES * PAGE_SIZE; at += 64)
    view.setUint32(at, random.next(), true)
  for (const [at, word] of VECTORS) view.setUint32(Physical.VECTORS * PAGE_SIZE + at, word, true)

  const placed = place(recipe)
  const surroundings: Surroundings = { blocks: placed.map(({ address }) => address), literalOffset }
  for (const { address, words, places } of placed)
    words.forEach((emit, i) => view.setUint32(places[i], emit(address + BigInt(4 * i), surroundings), true))

  const mapped = tables(recipe, random, view)
  const literals = literalsOf(random, surroundings.blocks, mapped)
  for (let page = Physical.VECTORS; page < Physical.DATA; page++)
    literals.forEach((value, i) => view.setBigUint64(page * PAGE_SIZE + POOL + 8 * i, value, true))

  const registers = Array.from({ length: 31 }, () => (random.below(2) ? BigInt(random.below(64)) : wide(random)))
  registers[14] = BigInt(random.below(32))
  registers[15] = BigInt(random.below(600))
  for (const [register, kind, index] of POINTERS) registers[register] = literals[Literal[kind][0] + index]
  const stack = literals[4]
  const tcr = 25n | (25n << 16n) | (2n << 30n) | (2n << 32n) | (BigInt(random.below(4)) << 36n)
  const flags = random.below(16)
  const sctlr = literals[Literal.SCTLR[0]]
  return {
    image,
    blocks: surroundings.blocks,
    prepare({ state }) {
      state.x.set(registers)
      state.sp = stack
      state.pc = surroundings.blocks[0] ?? START
      state.nzcv = flags
      state.daif = 0
      state.vbar_el[1] = START
      state.tcr_el[1] = tcr
      state.ttbr0_el[1] = literals[Literal.TTBR[0]]
      state.ttbr1_el1 = literals[Literal.TTBR[0]] & 0xffff_ffffn
      state.mair_el[1] = 0xffn
      state.sctlr_el[1] = sctlr
    },
    listing: () => listing(placed, view),
  }
}

/** Where the blocks stand, one behind the other in some pages, and some across the end of a page. */
function place(recipe: Recipe): Placed[] {
  const cursors = Array.from({ length: CODE_PAGES }, () => HEAD)
  const tails = new Set<number>()
  const placed: Placed[] = []
  recipe.blocks.forEach(({ at, body, end }, index) => {
    const items = [...body.map((number) => itemOf(number, recipe.flavour)), endOf(end, index, recipe.flavour)]
    const words = items.flat()
    if (words.length === 0) words.push(() => NOP)
    let page = [0, 0, 1, 1, 1, 2, 3, 7][at & 7] % CODE_PAGES
    const physical = (offset: number) => (Physical.CODE + page) * PAGE_SIZE + offset
    const behind = Math.max(words.length - ((at >>> 5) % words.length) - 1, 0)
    if (((at >>> 3) & 3) === 0 && !tails.has(page) && words.length <= 30 && words.length > 1 && behind * 4 <= HEAD) {
      tails.add(page)
      const first = words.length - behind
      const next = (Physical.CODE + ((page + 1) % CODE_PAGES)) * PAGE_SIZE
      const places = words.map((_, i) => (i < first ? physical(PAGE_SIZE + 4 * (i - first)) : next + 4 * (i - first)))
      placed.push({ address: virtualOf(page, PAGE_SIZE - 4 * first), words, places })
      return
    }
    for (let tries = 0; cursors[page] + 4 * words.length > POOL; tries++) {
      if (tries === CODE_PAGES) return
      page = (page + 1) % CODE_PAGES
    }
    const offset = cursors[page]
    cursors[page] += 4 * words.length
    placed.push({ address: virtualOf(page, offset), words, places: words.map((_, i) => physical(offset + 4 * i)) })
  })
  return placed
}

const virtualOf = (page: number, offset: number): bigint => START + BigInt((Virtual.CODE + page) * PAGE_SIZE + offset)

const wide = (random: Random): bigint => (BigInt(random.next()) << 32n) | BigInt(random.next())
const physicalPage = (page: number): bigint => START + BigInt(page * PAGE_SIZE)

/** Writes the page tables of both address spaces; returns the descriptors by virtual page number. */
function tables(recipe: Recipe, random: Random, view: DataView): Map<number, bigint>[] {
  const attributes = [KERNEL, SHARED][random.below(2)]
  const global = random.below(2) ? 0n : NOT_GLOBAL
  const spaces = TABLES.map((_, space) => {
    const map = new Map<number, bigint>()
    map.set(Virtual.VECTORS, physicalPage(Physical.VECTORS) | READ_ONLY)
    const order = space === 1 && random.below(2) ? otherOrder(random) : (page: number) => page
    const aliasOrder = random.below(2) ? otherOrder(random) : (page: number) => page
    const aliasAttributes = [KERNEL, SHARED, USER][random.below(3)]
    for (let i = 0; i < CODE_PAGES; i++) {
      const code = physicalPage(Physical.CODE + order(i))
      map.set(Virtual.CODE + i, code | attributes | global)
      map.set(Virtual.CODE + i + CONFLICT, code | attributes | global)
      const alias = physicalPage(Physical.CODE + aliasOrder(i))
      map.set(Virtual.ALIAS + i, alias | aliasAttributes | global)
      map.set(Virtual.CODE_AS_DATA + i, physicalPage(Physical.CODE + i) | USER | UXN | PXN | global)
    }
    for (let i = 0; i < DATA_PAGES; i++) {
      map.set(Virtual.DATA + i, physicalPage(Physical.DATA + i) | USER | global)
      map.set(Virtual.DATA + i + CONFLICT, physicalPage(Physical.DATA + i) | USER | global)
    }
    map.set(Virtual.DEVICE, BigInt(DEVICE) | USER)
    TABLES.forEach(([, , level3], i) => map.set(Virtual.TABLES + i, physicalPage(level3) | KERNEL))
    return map
  })
  for (const number of recipe.pages) {
    const choice = numbered(number)
    const space = spaces[choice.below(2)]
    const pages = [...space.keys()].slice(1)
    space.set(pages[choice.below(pages.length)], descriptor(choice))
  }
  TABLES.forEach(([one, two, three], space) => {
    view.setBigUint64(one * PAGE_SIZE + 8, physicalPage(two) | 3n, true)
    for (const at of [0, 16]) view.setBigUint64(two * PAGE_SIZE + at, physicalPage(three) | 3n, true)
    for (const [page, value] of spaces[space]) view.setBigUint64(three * PAGE_SIZE + 8 * page, value, true)
  })
  return spaces
}

/** Another order of the pages of code: most have other neighbours in it. */
function otherOrder(random: Random): (page: number) => number {
  const [factor, first] = [1 + 2 * random.below(4), random.below(CODE_PAGES)]
  return (page) => (page * factor + first) % CODE_PAGES
}

/** Any descriptor of a page: nothing, code, data, the device, or where nothing answers. */
function descriptor(random: Random): bigint {
  const kinds = [
    KERNEL,
    KERNEL,
    SHARED,
    SHARED,
    USER,
    USER,
    READ_ONLY,
    KERNEL & ~0x400n,
    USER | UXN | PXN,
    SHARED | UXN,
  ]
  const attributes = kinds[random.below(kinds.length)] | (random.below(3) ? 0n : NOT_GLOBAL)
  switch (random.below(12)) {
    case 0:
      return 0n
    case 1:
      return BigInt(DEVICE) | attributes
    case 2:
      return (BigInt(DEVICE) + 0x1000n) | attributes
    case 3:
    case 4:
    case 5:
      return physicalPage(Physical.DATA + random.below(DATA_PAGES)) | attributes
    default:
      return physicalPage(Physical.CODE + random.below(CODE_PAGES)) | attributes
  }
}

const codeDescriptor = (random: Random): bigint =>
  physicalPage(Physical.CODE + random.below(CODE_PAGES)) | [KERNEL, SHARED][random.below(2)]

/** The literals in each page of code. */
function literalsOf(random: Random, blocks: readonly bigint[], mapped: readonly Map<number, bigint>[]): bigint[] {
  const many = (kind: LiteralKind, make: (index: number) => bigint): bigint[] =>
    Array.from({ length: Literal[kind][1] }, (_, i) => make(i))
  const pages = [...mapped[0].keys()].slice(1)
  const chosen = Array.from({ length: Literal.PAGE[1] }, () => pages[random.below(pages.length)])
  // Mostly code that there is, seen from the outside or run on into.
  chosen[0] = Virtual.CODE + random.below(3)
  chosen[1] = Virtual.CODE + random.below(3)
  return [
    ...many('DATA', () => dataPointer(random)),
    ...many('BLOCK', (i) => {
      const block = blocks[i === 0 ? 0 : random.below(Math.max(blocks.length, 1))] ?? START
      const elsewhere = [Virtual.ALIAS - Virtual.CODE, CONFLICT, AGAIN]
      const other = [0n, 0n, 0n, HIGH, ...elsewhere.map((page) => BigInt(page * PAGE_SIZE))]
      return i === 0 ? block : block + other[random.below(other.length)] + (random.below(40) ? 0n : 2n)
    }),
    ...many('CODE_AS_DATA', () => START + BigInt((Virtual.CODE_AS_DATA + [0, 0, 1, 2][random.below(4)]) * PAGE_SIZE)),
    ...many('LEVEL3', (i) => START + BigInt((Virtual.TABLES + i) * PAGE_SIZE)),
    ...many('DESCRIPTOR', (i) => (i < 3 ? codeDescriptor(random) : descriptor(random))),
    ...many('TTBR', (i) => physicalPage(TABLES[i % 2][0]) | (BigInt(i + 1) << 48n)),
    ...many('SCTLR', (i) => 0x04c5_4839n | (random.below(2) === i ? 2n : 0n)),
    ...many('WORDS', () => (BigInt(plainWord(random)) << 32n) | BigInt(plainWord(random))),
    ...many('PAGE', (i) => (START >> 12n) + BigInt(chosen[i])),
  ]
}

function dataPointer(random: Random): bigint {
  const pages = [Virtual.DATA, Virtual.DATA, Virtual.DATA, Virtual.DATA + CONFLICT, Virtual.CODE, Virtual.CODE_AS_DATA]
  const again = random.below(6) ? 0 : AGAIN
  const page =
    again + (random.below(20) ? pages[random.below(pages.length)] + random.below(DATA_PAGES) : Virtual.DEVICE)
  const offset = [random.below(512) * 8, PAGE_SIZE - random.below(24), PAGE_SIZE - 8, random.below(16)][random.below(4)]
  const space = random.below(10) ? 0n : random.below(2) ? HIGH : BigInt(random.below(256)) << 56n
  return START + BigInt(page * PAGE_SIZE + offset) + space
}

/** A word that a program may put among its own: arithmetic, a short branch, or nothing. */
function plainWord(random: Random): number {
  switch (random.below(8)) {
    case 0:
      return NOP
    case 1:
      return 0x14000000 | (1 + random.below(3))
    case 2:
      return (0x54000000 | ((1 + random.below(3)) << 5) | random.below(16)) >>> 0
    case 3:
      return random.next()
    case 4:
      return (0xb1000000 | (random.below(0x1000) << 10) | (random.below(16) << 5) | random.below(14)) >>> 0
    default:
      return (0x91000000 | (random.below(0x1000) << 10) | (random.below(16) << 5) | random.below(14)) >>> 0
  }
}

function listing(placed: readonly Placed[], view: DataView): string {
  const lines = placed.flatMap(({ address, places }, block) => [
    `block ${block}:`,
    ...places.map((physical, i) => {
      const at = address + BigInt(4 * i)
      const word = view.getUint32(physical, true)
      const text = disassemble(word, at)
      return `  ${at.toString(16)} ${word.toString(16).padStart(8, '0')} ${text}${decode(word) ? '' : ' !'}`
    }),
  ])
  return lines.join('\n')
}
