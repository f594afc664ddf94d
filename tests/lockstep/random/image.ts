/**
 * The guest around the random words: start-up code, vectors, page tables and data, in one ELF file.
 *
 * Cases stand in slots of 16 words. After an exception the handler goes on with the next slot: that behind ELR, or, if ELR lies outside the
 * cases (a branch into nothing), the one that the case has left in TPIDR_EL0. X20-X23 then hold ESR, FAR, ELR and SPSR, so that they are compared.
 */
import * as a from './encode.js'
import { System } from './encode.js'
import type { Random } from './prng.js'

export const BASE = 0x4020_0000
const VECTORS = BASE + 0x800
const HANDLER = BASE + 0x1000
/** Those of EL2, where there is one. */
const VECTORS_EL2 = BASE + 0x1800
const HANDLER_EL2 = BASE + 0x1400
const TABLES = BASE + 0x4000
/** The cases start here. */
export const CASES = BASE + 0x10000
export const SLOT_WORDS = 16
export const SLOT_BYTES = 4 * SLOT_WORDS
/** Data pages, in a 2 MiB block of their own. */
export const DATA = 0x4040_0000
export const DATA_PAGES = 48
/** A hole in the physical memory map. */
export const HOLE = 0x0980_0000
/** The SVC that ends a guest. */
export const END_CALL = 0xdead

const PAGE = 0x1000
const POWER_OFF = 0x8400_0008n

/** How the cases of one image run. */
export interface Setting {
  readonly el: 0 | 1 | 2
  readonly mmu: boolean
  /** Whether there is an EL2, which the guest then starts at. */
  readonly virtualization: boolean
  /** SCTLR_EL1 but for the M bit. */
  readonly sctlr: number
  /** T0SZ and T1SZ. */
  readonly tsz: 16 | 25
  /** TBI0 and TBI1. */
  readonly tbi: number
  /** CNTKCTL_EL1. */
  readonly cntkctl: number
}

/** SCTLR_EL1 bits that change what instructions do: A, SA, SA0, UMA, I, C, DZE, UCT, nTWI, nTWE, UCI. Reserved ones are set. */
const SCTLR_RESERVED = 0x30d0_0800
const SCTLR_FREE = [1, 2, 3, 4, 9, 12, 14, 15, 16, 18, 26]

/** Level, MMU and EL2 of the guests, in turn. */
const TURNS: readonly Pick<Setting, 'el' | 'mmu' | 'virtualization'>[] = [
  { el: 1, mmu: false, virtualization: false },
  { el: 0, mmu: false, virtualization: false },
  { el: 1, mmu: true, virtualization: false },
  { el: 0, mmu: true, virtualization: false },
  { el: 1, mmu: true, virtualization: true },
  { el: 2, mmu: false, virtualization: true },
  { el: 0, mmu: true, virtualization: true },
]

/** A setting: `number` counts through the combinations of level and MMU, the rest is random. */
export function randomSetting(random: Random, number: number): Setting {
  let sctlr = SCTLR_RESERVED
  for (const bit of SCTLR_FREE) if (random.chance(bit === 1 ? 0.2 : 0.5)) sctlr |= 1 << bit
  return {
    ...TURNS[number % TURNS.length],
    sctlr: sctlr >>> 0,
    tsz: random.chance(0.5) ? 16 : 25,
    tbi: random.below(4),
    cntkctl: random.below(4) | (random.below(4) << 8),
  }
}

// Descriptor fields (Arm ARM DDI 0487, D8.3).
const VALID = 1n
const PAGE_OR_TABLE = 3n
const NORMAL = 0n
const DEVICE = 1n << 2n
const AP_USER = 1n << 6n
const AP_READ_ONLY = 1n << 7n
const INNER_SHAREABLE = 3n << 8n
const ACCESS_FLAG = 1n << 10n
const NOT_GLOBAL = 1n << 11n
const CONTIGUOUS = 1n << 52n
const PXN = 1n << 53n
const UXN = 1n << 54n
const USUAL = NORMAL | INNER_SHAREABLE | ACCESS_FLAG

/** What a data page's descriptor says, beside being a page; undefined leaves it unmapped. */
const DATA_ATTRIBUTES: readonly (bigint | undefined)[] = [
  USUAL | AP_USER,
  USUAL | AP_USER,
  USUAL,
  USUAL | AP_USER | AP_READ_ONLY,
  USUAL | AP_READ_ONLY,
  undefined,
  (USUAL & ~ACCESS_FLAG) | AP_USER,
  USUAL | DEVICE | AP_USER,
  USUAL | AP_USER | PXN | UXN,
  USUAL | AP_USER | NOT_GLOBAL,
  USUAL | AP_USER,
  USUAL | UXN,
  USUAL | AP_USER,
  USUAL | AP_USER | PXN,
]
/** These pages show page 0's memory, and nothing valid. */
const ALIAS_PAGE = 10
const RESERVED_PAGE = 12

/** An image under construction: memory from {@link BASE} in two pieces. */
class Memory {
  readonly code = new DataView(new ArrayBuffer(0x20_0000))
  readonly data = new DataView(new ArrayBuffer(DATA_PAGES * PAGE))
  /** End of what has been written to `code`. */
  end = BASE

  words(address: number, words: readonly number[]): void {
    words.forEach((word, i) => this.code.setUint32(address - BASE + 4 * i, word, true))
    this.end = Math.max(this.end, address + 4 * words.length)
  }

  long(address: number, value: bigint): void {
    this.code.setBigUint64(address - BASE, BigInt.asUintN(64, value), true)
    this.end = Math.max(this.end, address + 8)
  }
}

/**
 * Builds an ELF file.
 *
 * @param slots the cases, each {@link SLOT_WORDS} words; they may be read from behind as data.
 * @param pools 64-bit values, standing right behind the cases and the closing slot.
 */
export function buildImage(
  setting: Setting,
  slots: readonly (readonly number[])[],
  pools: readonly bigint[],
  random: Random,
): Uint8Array {
  const memory = new Memory()
  const closing = CASES + slots.length * SLOT_BYTES
  memory.words(BASE, startUp(setting))
  const caseBytes = slots.length * SLOT_BYTES
  const powerOff = setting.virtualization ? a.smc(0) : a.hvc(0)
  vectors(memory, VECTORS, HANDLER)
  handler(memory, HANDLER, caseBytes, EL1_REGISTERS, powerOff)
  if (setting.virtualization) {
    vectors(memory, VECTORS_EL2, HANDLER_EL2)
    handler(memory, HANDLER_EL2, caseBytes, EL2_REGISTERS, powerOff)
  }
  slots.forEach((slot, i) => memory.words(CASES + i * SLOT_BYTES, slot))
  memory.words(closing, [a.svc(END_CALL)])
  pools.forEach((value, i) => memory.long(poolAddress(slots.length) + 8 * i, value))
  const codeEnd = memory.end
  tables(memory, codeEnd)
  fillData(memory.data, random)
  return elf(memory, Math.max(codeEnd, memory.end))
}

/** Each page repeats a random block of its own, so that a stored image compresses well. */
function fillData(data: DataView, random: Random): void {
  for (let page = 0; page < DATA_PAGES; page++) {
    const block = Array.from({ length: 12 }, () => random.u32())
    for (let i = 0; i < PAGE; i += 4) data.setUint32(page * PAGE + i, block[(i / 4) % block.length], true)
  }
}

/** Where the pools stand for a number of slots. */
export const poolAddress = (slots: number): number => CASES + (slots + 1) * SLOT_BYTES

function startUp(setting: Setting): number[] {
  const set = (register: number, value: bigint): number[] => [...a.moveImmediate(0, value), a.msr(register, 0)]
  const tsz = BigInt(setting.tsz)
  const granules = (2n << 30n) | (3n << 28n) | (3n << 12n) | (2n << 32n) | (0x5n << 8n) | (0x5n << 24n)
  const tcr = tsz | (tsz << 16n) | granules | (BigInt(setting.tbi) << 37n)
  const root = BigInt(setting.tsz === 16 ? TABLES : TABLES + PAGE)
  const mode = setting.el === 0 ? 0x3c0n : 0x3c5n
  return [
    ...(setting.virtualization ? startUpEl2(set) : []),
    ...set(System.VBAR_EL1, BigInt(VECTORS)),
    ...set(System.CPACR_EL1, 0n),
    ...set(System.CNTKCTL_EL1, BigInt(setting.cntkctl)),
    ...set(System.MAIR_EL1, 0x00ffn),
    ...set(System.TCR_EL1, tcr),
    ...set(System.TTBR0_EL1, root),
    ...set(System.TTBR1_EL1, root),
    a.DSB_SY,
    a.TLBI_VMALLE1,
    a.DSB_SY,
    a.ISB,
    ...set(System.SCTLR_EL1, BigInt(setting.sctlr | (setting.mmu ? 1 : 0))),
    a.ISB,
    ...set(System.TPIDR_EL1, mode),
    ...(setting.virtualization
      ? [
          ...set(System.TPIDR_EL2, setting.el === 2 ? 0x3c9n : mode),
          ...set(System.SPSR_EL2, setting.el === 2 ? 0x3c9n : mode),
          ...set(System.ELR_EL2, BigInt(CASES)),
        ]
      : [...set(System.SPSR_EL1, mode), ...set(System.ELR_EL1, BigInt(CASES))]),
    a.ERET,
  ]
}

/** EL1 is AArch64, and EL2 takes nothing from it but its HVC. FP and SIMD trap at EL2 as they do at EL1. */
const startUpEl2 = (set: (register: number, value: bigint) => number[]): number[] => [
  ...set(System.HCR_EL2, 1n << 31n),
  ...set(System.CPTR_EL2, 0x33ffn | (1n << 10n)),
  ...set(System.VBAR_EL2, BigInt(VECTORS_EL2)),
]

function vectors(memory: Memory, at: number, target: number): void {
  for (let i = 0; i < 16; i++) memory.words(at + 0x80 * i, [a.b((target - at - 0x80 * i) / 4)])
}

/** The system registers of the handler's level. */
interface HandlerRegisters {
  readonly ESR: number
  readonly FAR: number
  readonly ELR: number
  readonly SPSR: number
  readonly TPIDR: number
}

const EL1_REGISTERS: HandlerRegisters = {
  ESR: System.ESR_EL1,
  FAR: System.FAR_EL1,
  ELR: System.ELR_EL1,
  SPSR: System.SPSR_EL1,
  TPIDR: System.TPIDR_EL1,
}
const EL2_REGISTERS: HandlerRegisters = {
  ESR: System.ESR_EL2,
  FAR: System.FAR_EL2,
  ELR: System.ELR_EL2,
  SPSR: System.SPSR_EL2,
  TPIDR: System.TPIDR_EL2,
}

/** Loads the exception's registers, picks the slot to go on with, and returns there in the setting's own mode. */
function handler(memory: Memory, at: number, caseBytes: number, registers: HandlerRegisters, powerOff: number): void {
  const code: number[] = []
  const literal = (offset: number): number => (0x100 + offset - 4 * code.length) / 4
  code.push(a.mrs(20, registers.ESR), a.mrs(21, registers.FAR), a.mrs(22, registers.ELR), a.mrs(23, registers.SPSR))
  code.push(a.ldrLiteral(24, literal(16)))
  code.push(a.cmp(20, 24), a.bCond(1, 4), ...a.moveImmediate(0, POWER_OFF), powerOff)
  code.push(a.ldrLiteral(24, literal(0)))
  code.push(a.sub(24, 22, 24))
  code.push(a.ldrLiteral(25, literal(8)))
  code.push(a.cmp(24, 25), a.bCond(2, 4), a.keepFrom(22, 22, 6), a.addImmediate(22, 22, SLOT_BYTES), a.b(2))
  code.push(a.mrs(22, System.TPIDR_EL0))
  code.push(
    a.msr(registers.ELR, 22),
    a.keepFlags(24, 23),
    a.mrs(25, registers.TPIDR),
    a.orr(24, 24, 25),
    a.msr(registers.SPSR, 24),
    a.ERET,
  )
  memory.words(at, code)
  memory.long(at + 0x100, BigInt(CASES))
  memory.long(at + 0x108, BigInt(caseBytes))
  memory.long(at + 0x110, 0x5600_0000n | BigInt(END_CALL))
}

/** Level 0 to 3 tables for the first 512 GiB; the level 1 table is the root where T0SZ is 25. */
function tables(memory: Memory, codeEnd: number): void {
  const [level0, level1, level2, code, data] = [0, 1, 2, 3, 4].map((i) => TABLES + i * PAGE)
  const table = (address: number): bigint => BigInt(address) | PAGE_OR_TABLE
  const entry = (at: number, index: number, value: bigint): void => memory.long(at + 8 * index, value)
  entry(level0, 0, table(level1))
  // A hole and a gigabyte that is read-only, beside the one in use.
  entry(level1, 1, table(level2))
  entry(level1, 3, 0x4000_0000n | VALID | USUAL | AP_USER | AP_READ_ONLY)
  entry(level2, 1, table(code))
  entry(level2, 2, table(data))
  // Blocks of 2 MiB on the data: one whole, one whose Access flag is clear.
  entry(level2, 3, BigInt(DATA) | VALID | USUAL | AP_USER)
  entry(level2, 5, BigInt(DATA) | VALID | (USUAL & ~ACCESS_FLAG) | AP_USER)
  for (let address = BASE; address < codeEnd; address += PAGE) {
    if (address >= TABLES && address < CASES) continue
    entry(code, (address >>> 12) & 511, BigInt(address) | PAGE_OR_TABLE | USUAL | AP_USER | AP_READ_ONLY)
  }
  // The tables themselves, for the kernel.
  for (let i = 0; i < 5; i++)
    entry(code, ((TABLES >>> 12) & 511) + i, BigInt(TABLES + i * PAGE) | PAGE_OR_TABLE | USUAL | AP_READ_ONLY)
  for (let page = 0; page < DATA_PAGES; page++) {
    const contiguous = page >= 16 && page < 32 ? CONTIGUOUS : 0n
    const attributes = page < DATA_ATTRIBUTES.length ? DATA_ATTRIBUTES[page] : USUAL | AP_USER | contiguous
    if (attributes === undefined) continue
    const target = BigInt(DATA + (page === ALIAS_PAGE ? 0 : page) * PAGE)
    entry(data, page, target | attributes | (page === RESERVED_PAGE ? VALID : PAGE_OR_TABLE))
  }
}

/** An ELF file with one segment for the code and tables and one for the data. */
function elf(memory: Memory, end: number): Uint8Array {
  const header = 0x1000
  const codeSize = (end - BASE + PAGE - 1) & ~(PAGE - 1)
  const dataSize = memory.data.byteLength
  const file = new Uint8Array(header + codeSize + dataSize)
  const view = new DataView(file.buffer)
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  view.setUint16(16, 2, true)
  view.setUint16(18, 183, true)
  view.setUint32(20, 1, true)
  view.setBigUint64(24, BigInt(BASE), true)
  view.setBigUint64(32, 64n, true)
  view.setUint16(52, 64, true)
  view.setUint16(54, 56, true)
  view.setUint16(56, 2, true)
  view.setUint16(58, 64, true)
  const segment = (at: number, offset: number, address: number, size: number): void => {
    view.setUint32(at, 1, true)
    view.setUint32(at + 4, 7, true)
    view.setBigUint64(at + 8, BigInt(offset), true)
    view.setBigUint64(at + 16, BigInt(address), true)
    view.setBigUint64(at + 24, BigInt(address), true)
    view.setBigUint64(at + 32, BigInt(size), true)
    view.setBigUint64(at + 40, BigInt(size), true)
    view.setBigUint64(at + 48, 0x1000n, true)
  }
  segment(64, header, BASE, codeSize)
  segment(120, header + codeSize, DATA, dataSize)
  file.set(new Uint8Array(memory.code.buffer, 0, codeSize), header)
  file.set(new Uint8Array(memory.data.buffer), header + codeSize)
  return file
}
