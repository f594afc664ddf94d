/** Engines agree at limits: of the pool of decoded pages, of the stores that a page of code bears, of addresses, and between pages. */
import { describe, expect, test } from 'vitest'
import { DECODED_PAGES } from '../../cpu/layout.js'
import { PAGE_SIZE } from '../../cpu/machine-memory.js'
import type { Processor } from '../../cpu/processor.js'
import { START, agree, tested } from './agreement.js'

const ADD = 0x91000400 // add x0, x0, #0x1
const ADD_TWO = 0x91000800 // add x0, x0, #0x2
const STORE = 0xf9000040 // str x0, [x2]
const branch = (from: number, to: number): number => (0x14000000 | (((to - from) >> 2) & 0x3ffffff)) >>> 0

/** Distances between comparisons that have little in common with any loop. */
const strides = (count: number, stride: number): number[] => Array.from({ length: count }, (_, i) => stride + (i % 7))

test('more pages of code than there are decoded ones', () => {
  const pages = DECODED_PAGES + 40
  const words: Record<number, number> = {}
  for (let page = 0; page < pages; page++) {
    const at = page * PAGE_SIZE
    words[at] = ADD
    words[at + 4] = branch(at + 4, page === pages - 1 ? 0 : at + PAGE_SIZE)
  }
  const translated = agree(words, () => {}, strides(40, 400))
  expect(tested.cpu.state.x[0]).toBeGreaterThan(2 * pages)
  expect(translated).toBeGreaterThan(10)
})

describe('a page of code is stored to again and again', () => {
  test.each([
    ['beside the loop', START + 0x800n],
    ['into the loop', START + 12n],
    ['in the other page of the loop', START + 0x1800n],
  ])('%s', (_, x2) => {
    const words = {
      0: ADD,
      4: STORE,
      8: branch(8, 0x1000),
      12: 0,
      0x1000: ADD,
      0x1004: branch(0x1004, 0),
    }
    const translated = agree(words, ({ state }) => (state.x[2] = x2), strides(60, 97))
    expect(translated).toBeGreaterThan(0)
  })
})

describe('a loop around the end of', () => {
  // Level 1 of both halves of the address space; 39 bits of addresses, so that an entry is for 1 GiB.
  const TABLES = 0x10000
  const table = (level: number): number => TABLES + level * PAGE_SIZE
  test.each([
    ['4 GiB', 0xffff_f000n],
    ['the address space', 0xffff_ffff_ffff_f000n],
    ['the lower half', 0x7f_ffff_f000n],
  ])('%s', (_, first) => {
    const words: Record<number, number> = {
      0xff8: ADD,
      0xffc: ADD,
      0x1000: ADD,
      0x1004: branch(0x1004, 0xff8),
      // Handlers for what cannot be fetched behind the lower half.
      0x2200: 0xd5184023, // msr elr_el1, x3
      0x2204: 0xd69f03e0, // eret
    }
    const pages: [bigint, number][] = [
      [first, 0],
      [BigInt.asUintN(64, first + 0x1000n), 0x1000],
      [START, 0x2000],
    ]
    let free = 2
    for (const [address, offset] of pages) {
      if (((address >> 39n) & 1n) !== ((address >> 63n) & 1n)) continue
      let at = table(0)
      for (const shift of [30n, 21n]) {
        const entry = at + 8 * Number((address >> shift) & 511n)
        const next = words[entry] ? words[entry] - 3 - Number(START) : table(free++)
        words[entry] = Number(START) + next + 3
        at = next
      }
      words[at + 8 * Number((address >> 12n) & 511n)] = Number(START) + offset + 0x703
    }
    const translated = agree(
      words,
      ({ state }) => {
        state.pc = first + 0xff8n
        state.x[3] = first + 0xff8n
        state.vbar_el[1] = START
        state.tcr_el[1] = 25n | (25n << 16n) | (2n << 30n) | (2n << 32n)
        state.ttbr0_el[1] = START + BigInt(table(0))
        state.ttbr1_el1 = START + BigInt(table(0))
        state.mair_el[1] = 0xffn
        state.sctlr_el[1] |= 1n
      },
      strides(60, 23),
    )
    expect(tested.cpu.state.x[0]).toBeGreaterThan(400)
    expect(translated).toBeGreaterThan(0)
  })
})

describe('a page that another has taken the place of', () => {
  const [VIRTUAL, TABLE] = [START >> 12n, 0x10000]
  const entry = (page: number): number => TABLE + 0x2000 + 8 * page

  /** Pages 0 and 1 of virtual memory are pages 0 and 1 of RAM at first, and page 1 becomes page 2 on the way. */
  function replaced(words: Readonly<Record<number, number>>, prepare: (cpu: Processor) => void, x5: bigint): number {
    const physical = Number(START)
    const tables = {
      [TABLE + 8]: physical + TABLE + 0x1003,
      [TABLE + 0x1000]: physical + TABLE + 0x2003,
      [entry(0)]: physical + 0x703,
      [entry(1)]: physical + 0x1703,
    }
    return agree(
      { ...words, ...tables },
      (cpu) => {
        const { state } = cpu
        state.tcr_el[1] = 25n | (25n << 16n) | (2n << 30n) | (2n << 32n)
        state.ttbr0_el[1] = START + BigInt(TABLE)
        state.mair_el[1] = 0xffn
        state.sctlr_el[1] |= 1n
        prepare(cpu)
      },
      strides(30, 101),
      (subject, i) => {
        if (i !== 20) return
        // What TLBI VAAE1 does.
        subject.poke(physical + entry(1), BigInt(physical + 0x2703))
        subject.cpu.mmu.tlb.invalidatePage(Number((VIRTUAL + 1n) << 12n), 0, {
          el2: false,
          asid: undefined,
          globals: true,
        })
        subject.cpu.codeMappingChanged()
        subject.cpu.state.x[5] = x5
      },
      // By then page 1 is mapped, so that regions that begin in page 0 reach into it.
      8,
    )
  }

  test('is met by a branch', () => {
    const words = {
      0: ADD,
      4: branch(4, 0x1000),
      0x1000: ADD,
      0x1004: branch(0x1004, 0),
      0x2000: ADD_TWO,
      0x2004: branch(0x1004, 0),
    }
    expect(replaced(words, () => {}, 0n)).toBeGreaterThan(0)
  })

  test('is met by a return, though not by the call that was before it', () => {
    const words = {
      0: 0xb4000065, // cbz x5, to 12
      4: branch(4, 0x1000),
      12: ADD,
      16: 0xd65f03c0, // ret
      0x1000: 0x94000000 | (((12 - 0x1000) >> 2) & 0x3ffffff),
      0x1004: ADD,
      0x1008: branch(0x1008, 0),
      0x2004: ADD_TWO,
      0x2008: branch(0x1008, 0),
    }
    expect(replaced(words, ({ state }) => (state.x[5] = 1n), 0n)).toBeGreaterThan(0)
  })
})
