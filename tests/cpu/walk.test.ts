/** The table walker against a model in BigInt that follows the Arm ARM's description (DDI 0487, D8.2, D8.3) without its arithmetic. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MachineMemory, RAM_MIN, RAM_PHYSICAL } from '../../cpu/machine-memory.js'
import { ADDRESS_SIZE_LEVEL_0, Attribute, FaultStatus, TableWalker } from '../../cpu/mmu/walk.js'
import { Random } from './words.js'

const memory = new MachineMemory(RAM_MIN)
const walker = new TableWalker(memory)
const RAM = BigInt(RAM_PHYSICAL)
const RAM_END = RAM + BigInt(RAM_MIN)
const words = new BigUint64Array(memory.ram.buffer, memory.ram.byteOffset, memory.ram.length / 8)
/** Tables stand in the first 512 KiB, so that descriptors made at random often lead to one. */
const TABLES = 512 * 1024

interface Registers {
  readonly tcr: bigint
  readonly ttbr0: bigint
  readonly ttbr1: bigint
  readonly split: boolean
}

type Outcome = { fault: number } | { page: bigint; attributes: number; size: number; level: number }

const bits = (value: bigint, high: number, low: number) =>
  (value >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n)
const bit = (value: bigint, at: number) => bits(value, at, at) === 1n

function model({ tcr, ttbr0, ttbr1, split }: Registers, address: bigint): Outcome {
  const upper = split && bit(address, 55)
  const inputSize = 64 - Number(upper ? bits(tcr, 21, 16) : bits(tcr, 5, 0))
  const large = upper ? bits(tcr, 31, 30) === 3n : bits(tcr, 15, 14) === 1n
  const tbi = split ? bit(tcr, upper ? 38 : 37) : bit(tcr, 20)
  const ips = Number(split ? bits(tcr, 34, 32) : bits(tcr, 18, 16))
  const outputSize = [32, 36, 40][ips] ?? 40
  const fault = (status: number, level: number): Outcome => ({ fault: status + level || ADDRESS_SIZE_LEVEL_0 })
  // Sizes that are out of range fault, as the architecture allows and QEMU has it.
  if (inputSize > 48 || inputSize < 25) return fault(FaultStatus.TRANSLATION, 0)
  const above = bits(address, tbi ? 55 : 63, inputSize)
  const same = upper ? (1n << BigInt((tbi ? 56 : 64) - inputSize)) - 1n : 0n
  if (above !== same) return fault(FaultStatus.TRANSLATION, 0)
  if (split && bit(tcr, upper ? 23 : 7)) return fault(FaultStatus.TRANSLATION, 0)
  const ttbr = upper ? ttbr1 : ttbr0

  // What each level resolves: [level, highest bit, lowest bit] of the input address.
  const shifts = large ? [[1, 51, 42], [2, 41, 29], [3, 28, 16]] : [[0, 47, 39], [1, 38, 30], [2, 29, 21], [3, 20, 12]] // prettier-ignore
  const levels = shifts.filter(([, , low]) => low < inputSize)
  levels[0][1] = inputSize - 1
  const granule = large ? 16 : 12
  const firstSize = BigInt(8 << (levels[0][1] - levels[0][2] + 1))
  const base = bits(ttbr, 47, 1) << 1n
  if (base >> BigInt(outputSize) !== 0n) return fault(FaultStatus.ADDRESS_SIZE, 0)
  let table = base & ~(firstSize - 1n)
  const restrict = { user: true, writable: true, pxn: false, uxn: false }
  for (const [level, high, low] of levels) {
    const at = table + 8n * bits(address, high, low)
    if (at < RAM || at >= RAM_END) return fault(FaultStatus.EXTERNAL_ON_WALK, level)
    const descriptor = words[Number((at - RAM) / 8n)]
    const type = Number(bits(descriptor, 1, 0))
    const isLeaf = level === 3 ? type === 3 : type === 1
    if (type === 0 || type === 2 || (level === 3 && type === 1)) return fault(FaultStatus.TRANSLATION, level)
    if (isLeaf && level < 3 && (large ? level === 1 : level === 0)) return fault(FaultStatus.TRANSLATION, level)
    const target = bits(descriptor, 47, 12) << 12n
    if (target >> BigInt(outputSize) !== 0n) return fault(FaultStatus.ADDRESS_SIZE, level)
    if (!isLeaf) {
      restrict.user &&= !bit(descriptor, 61)
      restrict.writable &&= !bit(descriptor, 62)
      restrict.pxn ||= bit(descriptor, 59)
      restrict.uxn ||= bit(descriptor, 60)
      table = (target >> BigInt(granule)) << BigInt(granule)
      continue
    }
    if (!bit(descriptor, 10)) return fault(FaultStatus.ACCESS_FLAG, level)
    const output = ((target >> BigInt(low)) << BigInt(low)) | bits(address, low - 1, 0)
    const attributes =
      (restrict.user && bit(descriptor, 6) ? Attribute.USER : 0) |
      (restrict.writable && !bit(descriptor, 7) ? 0 : Attribute.READ_ONLY) |
      (restrict.pxn || bit(descriptor, 53) ? Attribute.PXN : 0) |
      (restrict.uxn || bit(descriptor, 54) ? Attribute.UXN : 0) |
      (split && bit(descriptor, 11) ? Attribute.NOT_GLOBAL : 0) |
      (Number(bits(descriptor, 4, 2)) << Attribute.INDEX_SHIFT) |
      (Number(bits(descriptor, 9, 8)) << Attribute.SHAREABILITY_SHIFT)
    return { page: (output >> 12n) << 12n, attributes, size: low, level }
  }
  throw new Error('a walk went past level 3')
}

function walk({ tcr, ttbr0, ttbr1, split }: Registers, address: bigint): Outcome {
  const lo = (value: bigint) => Number(bits(value, 31, 0))
  const hi = (value: bigint) => Number(bits(value, 63, 32))
  const regime = { tcrLo: lo(tcr), tcrHi: hi(tcr), ttbr0Lo: lo(ttbr0), ttbr0Hi: hi(ttbr0), ttbr1Lo: lo(ttbr1), ttbr1Hi: hi(ttbr1), split } // prettier-ignore
  const { fault, page, attributes, size, level } = walker.walk(regime, lo(address), hi(address))
  return fault ? { fault } : { page: BigInt(page), attributes, size, level }
}

/** Fills the tables: half of the descriptors lead to tables, most others are leaves; a few are invalid or point too high. */
function fillTables(seed: number): void {
  const random = new Random(seed)
  for (let i = 0; i < TABLES / 8; i++) {
    const kind = random.below(16)
    const type = kind < 11 ? 3n : kind < 14 ? 1n : BigInt(random.below(4))
    const address = kind < 14 ? RAM + BigInt(random.below(TABLES) & ~0xfff) : (BigInt(random.below(2 ** 16)) << 32n) | 0x4567_8000n // prettier-ignore
    const attributes = (BigInt(random.next()) << 48n) | BigInt(random.next() & 0xffc)
    words[i] = BigInt.asUintN(64, (attributes & 0xffff_0000_0000_0ffcn) | address | type | (kind % 4 ? 0x400n : 0n))
  }
}

/** A field of TCR that is mostly in range. */
const size = fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 16, max: 39 }) }, { weight: 1, arbitrary: fc.nat(63) })
const registers = fc
  .record({
    split: fc.boolean(),
    t0: size,
    t1: size,
    epd: fc.constantFrom(0, 0, 0, 0, 1 << 7, 1 << 23),
    large: fc.constantFrom(0n, 0n, 1n << 14n, 3n << 30n),
    ips: fc.constantFrom(0, 1, 2, 2, 2, 5, 7),
    tbi: fc.nat(3),
    ttbrs: fc.tuple(fc.nat(TABLES - 1), fc.nat(TABLES - 1), fc.constantFrom(0n, 0n, 0n, 0n, 1n << 41n, 1n << 36n)),
  })
  .map(({ split, t0, t1, epd, large, ips, tbi, ttbrs }): Registers => {
    const common = BigInt(t0) | large
    const tcr = split
      ? common | BigInt(t1 << 16) | BigInt(epd) | 0x8000_0000n | (BigInt(ips) << 32n) | (BigInt(tbi) << 37n)
      : (common & 0x7fffn) | BigInt(ips << 16) | (BigInt(tbi & 1) << 20n)
    const asid = 0x1234n << 48n
    return {
      split,
      tcr,
      ttbr0: asid | RAM | BigInt(ttbrs[0] & ~0xffe) | ttbrs[2],
      ttbr1: RAM | BigInt(ttbrs[1] & ~0xffe),
    }
  })
/** Addresses: any, or with the high bits that make them canonical for one of the ranges. */
const addresses = fc
  .tuple(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.integer({ min: 25, max: 48 }),
    fc.constantFrom('any', 'low', 'high', 'tagged', 'tagged high'),
  )
  .map(([any, width, kind]) => {
    const low = bits(any, width - 1, 0)
    const ones = BigInt.asUintN(64, -1n << BigInt(width))
    const tag = kind.startsWith('tagged') ? bits(any, 63, 56) << 56n : 0n
    if (kind === 'any') return any
    if (kind === 'low' || kind === 'tagged') return low | tag
    return kind === 'high' ? low | ones : ((low | ones) & ~(0xffn << 56n)) | tag
  })

test('walks random tables as the model does', () => {
  const outcomes = new Map<string, number>()
  fillTables(5)
  fc.assert(
    fc.property(registers, addresses, (given, address) => {
      const expected = model(given, address)
      expect(walk(given, address)).toEqual(expected)
      const name = 'fault' in expected ? `fault ${expected.fault.toString(16)}` : `level ${expected.level}`
      outcomes.set(name, (outcomes.get(name) ?? 0) + 1)
    }),
    { numRuns: 20_000, seed: 1 },
  )
  // Every way that a walk can end has been seen.
  expect([...outcomes.keys()].toSorted()).toEqual([
    'fault 1', 'fault 100', 'fault 14', 'fault 15', 'fault 16', 'fault 17', 'fault 2', 'fault 3', 'fault 4', 'fault 5',
    'fault 6', 'fault 7', 'fault 9', 'fault a', 'fault b', 'level 1', 'level 2', 'level 3',
  ]) // prettier-ignore
})

describe('one walk of each kind by hand', () => {
  /** T0SZ 25: one table of 1 GiB entries. */
  const tcr = 25n | (25n << 16n) | (2n << 30n) | (2n << 32n)
  const given: Registers = { tcr, ttbr0: RAM, ttbr1: RAM + 0x1000n, split: true }

  test('a 1 GiB block', () => {
    words[3] = 0x8000_0000n | 0x0060_0000_0000_0000n | 0x705n
    expect(walk(given, 0xf123_4567n)).toEqual({ page: 0xb123_4000n, attributes: Attribute.PXN | Attribute.UXN | (1 << 5) | (3 << 8), size: 30, level: 1 }) // prettier-ignore
  })

  test('a page of the upper range, through three levels, with APTable and PXNTable on the way', () => {
    words[0x1000 / 8 + 511] = (RAM + 0x2000n) | 3n | (1n << 61n)
    words[0x2000 / 8 + 511] = (RAM + 0x3000n) | 3n | (1n << 59n)
    words[0x3000 / 8 + 511] = 0x4020_1000n | 0xf4bn
    const expected = Attribute.PXN | Attribute.NOT_GLOBAL | (2 << 5) | (3 << 8)
    expect(walk(given, 0xffff_ffff_ffff_ffffn)).toEqual({
      page: 0x4020_1000n,
      attributes: expected,
      size: 12,
      level: 3,
    })
  })
})
