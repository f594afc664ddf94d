/** The translation TLB's invalidation rules (Arm ARM DDI 0487, D8.13), its snapshot, and the fast TLBs. */
import { describe, expect, test } from 'vitest'
import { FAST_ENTRIES, FAST_ENTRY_SIZE, regimeAddress } from '../../cpu/layout.js'
import { MachineMemory, RAM_MIN } from '../../cpu/machine-memory.js'
import { FastTable, FastTlb } from '../../cpu/mmu/fast-tlb.js'
import { TranslationTlb } from '../../cpu/mmu/translation-tlb.js'
import type { Translation } from '../../cpu/mmu/walk.js'

const memory = new MachineMemory(RAM_MIN)

interface Entry {
  readonly address: bigint
  readonly size?: number
  readonly asid?: number
  readonly global?: boolean
  readonly el2?: boolean
  readonly code?: boolean
}

const lo = (address: bigint) => Number(BigInt.asIntN(32, address))
const hi = (address: bigint) => Number(BigInt.asIntN(32, address >> 32n))

function tlb(...entries: Entry[]) {
  const evicted: string[] = []
  const unit = new TranslationTlb(memory, (pageLo, pageHi) =>
    evicted.push(((BigInt(pageHi >>> 0) << 32n) | BigInt(pageLo >>> 0)).toString(16)),
  )
  unit.load([])
  for (const { address, size = 12, asid = 0, global = false, el2 = false, code = false } of entries)
    unit.insert(lo(address), hi(address), code, el2, asid, global, {
      fault: 0,
      page: 0x4000_0000,
      attributes: 5,
      size,
      level: 3,
    })
  const into: Translation = { fault: 0, page: 0, attributes: 0, size: 0, level: 0 }
  const has = ({ address, asid = 0, el2 = false, code = false }: Entry) =>
    unit.find(lo(address), hi(address), code, el2, asid, into)
  return { unit, evicted, has, into }
}

const kernel: Entry = { address: 0xffff_0000_4020_1000n, global: true }
const user: Entry = { address: 0x20_0000n, asid: 1 }
const other: Entry = { address: 0x30_1000n, asid: 2 }
const hypervisor: Entry = { address: 0x5000_3000n, el2: true, global: true }
const all = [kernel, user, other, hypervisor]

describe('lookup', () => {
  test('finds what was entered, with its translation', () => {
    const { has, into } = tlb(...all)
    expect(all.map(has)).toEqual([true, true, true, true])
    expect(into).toEqual({ fault: 0, page: 0x4000_0000, attributes: 5, size: 12, level: 3 })
  })

  test('global entries serve every ASID, others their own alone', () => {
    const { has } = tlb(...all)
    expect(has({ ...kernel, asid: 77 })).toBe(true)
    expect(has({ ...user, asid: 2 })).toBe(false)
  })

  test('code and data, EL2 and EL1&0, other pages and other high halves are apart', () => {
    const { has } = tlb(...all)
    expect(has({ ...user, code: true })).toBe(false)
    expect(has({ ...kernel, el2: true })).toBe(false)
    expect(has({ ...hypervisor, el2: false })).toBe(false)
    expect(has({ ...user, address: user.address + 0x1000n })).toBe(false)
    expect(has({ ...user, address: user.address | (1n << 40n) })).toBe(false)
    expect(has({ ...user, address: user.address + 0xfffn })).toBe(true)
  })
})

describe('TLBI', () => {
  const left = (unit: ReturnType<typeof tlb>) => all.filter(unit.has)

  test('VMALLE1 and ALLE1: all of EL1&0', () => {
    const t = tlb(...all)
    t.unit.invalidateAll({ el2: false, asid: undefined, globals: true })
    expect(left(t)).toEqual([hypervisor])
    expect(new Set(t.evicted)).toEqual(new Set(['ffff000040201000', '200000', '301000']))
  })

  test('ALLE2: all of EL2', () => {
    const t = tlb(...all)
    t.unit.invalidateAll({ el2: true, asid: undefined, globals: true })
    expect(left(t)).toEqual([kernel, user, other])
  })

  test('ASIDE1: one address space, without the global entries', () => {
    const t = tlb(...all)
    t.unit.invalidateAll({ el2: false, asid: 1, globals: false })
    expect(left(t)).toEqual([kernel, other, hypervisor])
  })

  test('VAE1: one page of one address space, global entries too', () => {
    const t = tlb(...all)
    t.unit.invalidatePage(lo(user.address), hi(user.address), { el2: false, asid: 2, globals: true })
    expect(left(t)).toEqual(all)
    t.unit.invalidatePage(lo(user.address), hi(user.address), { el2: false, asid: 1, globals: true })
    t.unit.invalidatePage(lo(kernel.address), hi(kernel.address), { el2: false, asid: 9, globals: true })
    expect(left(t)).toEqual([other, hypervisor])
  })

  test('VAAE1: one page of every address space', () => {
    const t = tlb(...all)
    t.unit.invalidatePage(lo(other.address), hi(other.address), { el2: false, asid: undefined, globals: true })
    expect(left(t)).toEqual([kernel, user, hypervisor])
  })

  test.each([
    [21, 0x4020_0000n, 0x403f_f000n, 0x4040_0000n],
    [30, 0x4000_0000n, 0x7fff_f000n, 0x8000_0000n],
    [39, 0x80_0000_0000n, 0xff_ffff_f000n, 0x100_0000_0000n],
  ])('by any address of a 2^%s block takes what was cached of it, and nothing beyond', (size, first, last, beyond) => {
    const within = { address: first + 0x5000n, size, asid: 1 }
    const outside = { address: beyond, size, asid: 1 }
    const t = tlb(within, outside)
    t.unit.invalidatePage(lo(last), hi(last), { el2: false, asid: 1, globals: true })
    expect([t.has(within), t.has(outside)]).toEqual([false, true])
  })

  test('code entries go like data entries', () => {
    const t = tlb({ ...user, code: true })
    t.unit.invalidatePage(lo(user.address), hi(user.address), { el2: false, asid: 1, globals: true })
    expect(t.has({ ...user, code: true })).toBe(false)
  })
})

describe('snapshot', () => {
  test('what is saved is put back', () => {
    const t = tlb(...all, { ...user, code: true })
    const saved = t.unit.save()
    expect(saved).toHaveLength(5 * 7)
    t.unit.load([])
    expect(all.some(t.has)).toBe(false)
    t.unit.load(saved)
    expect(all.every(t.has)).toBe(true)
    expect(t.unit.save()).toEqual(saved)
  })

  test('lists of another shape are refused', () => {
    const { unit } = tlb()
    expect(() => unit.load([1, 2, 3])).toThrow('snapshot of the TLB has 3 words, not a multiple of 7')
    expect(() => unit.load([1280, 1, 0, 0, 0, 0, 0])).toThrow('snapshot of the TLB names entry 1280')
  })
})

test('an entry that takes the place of another evicts it', () => {
  const clash = { address: user.address + 0x40_0000_0000n, asid: 1 }
  const sharing = Array.from({ length: 4096 }, (_, n) => ({ ...clash, address: BigInt(n) << 12n }))
  const t = tlb(...sharing)
  const left = sharing.filter(t.has)
  expect(left.length).toBeLessThanOrEqual(1024)
  expect(new Set([...t.evicted, ...left.map(({ address }) => address.toString(16))]).size).toBe(4096)
})

describe('fast TLBs', () => {
  const u32 = memory.u32
  const at = (el: number, table: number, page: number) =>
    (regimeAddress(el) + table + (page % FAST_ENTRIES) * FAST_ENTRY_SIZE) >>> 2
  const tag = (el: number, table: number, page: number) => u32[at(el, table, page)]

  test('filling one entry fills no other, and dropping its page drops it in every regime', () => {
    const fast = new FastTlb(memory)
    const tables = [FastTable.READ, FastTable.WRITE, FastTable.CODE]
    for (const el of [0, 1, 2])
      for (const table of tables) fast.fill(el, table, 0x4020_1234, 0xffff_0000, el * 3 + table)
    for (const el of [0, 1, 2]) {
      for (const table of tables) {
        const entry = at(el, table, 0x40201)
        expect([...u32.subarray(entry, entry + 3)]).toEqual([0x4020_1000, 0xffff_0000, el * 3 + table])
      }
    }
    fast.dropPage(0x4020_1000, false)
    expect([0, 1, 2].map((el) => tables.map((table) => tag(el, table, 0x40201)))).toEqual([0, 1, 2].map(() => [0xfff, 0xfff, 0x4020_1000])) // prettier-ignore
    fast.dropPage(0x4020_1000, true)
    expect([0, 1, 2].map((el) => tag(el, FastTable.CODE, 0x40201))).toEqual([0xfff, 0xfff, 0xfff])
  })

  test('flush empties one kind, dropValue what it is asked for, flushAll everything', () => {
    const fast = new FastTlb(memory)
    for (let page = 0; page < FAST_ENTRIES; page++) for (const table of Object.values(FastTable)) fast.fill(1, table, page << 12, 0, page & 1) // prettier-ignore
    fast.dropValue(FastTable.CODE, (_tag, value) => value === 1)
    const valid = (table: number) => Array.from({ length: FAST_ENTRIES }, (_, page) => tag(1, table, page)).filter((t) => t !== 0xfff).length // prettier-ignore
    expect([FastTable.READ, FastTable.WRITE, FastTable.CODE].map(valid)).toEqual([256, 256, 128])
    fast.flush(FastTable.WRITE)
    expect([FastTable.READ, FastTable.WRITE, FastTable.CODE].map(valid)).toEqual([256, 0, 128])
    fast.flushAll()
    expect([FastTable.READ, FastTable.WRITE, FastTable.CODE].map(valid)).toEqual([0, 0, 0])
  })
})
