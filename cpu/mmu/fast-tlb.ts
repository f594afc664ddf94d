/**
 * The fast TLBs: what generated code compares an address with, inline, at every access.
 *
 * For each regime (EL0, EL1, EL2) one for reads, one for writes and one for code, direct-mapped with 256 entries. An entry for data
 * leads to host memory; no entry means a call to the processor. That absence is also how first writes to a page are noticed
 * (dirty pages, pages that hold decoded code) and how devices are reached.
 */
import { CODE_TLB, FAST_ENTRIES, FAST_ENTRY_SIZE, FAST_TLBS_END, REGIMES, WRITE_TLB, regimeAddress } from '../layout.js'
import type { MachineMemory } from '../machine-memory.js'

/** The tables of a regime, as offsets from its start. */
export const FastTable = { READ: 0, WRITE: WRITE_TLB, CODE: CODE_TLB } as const
/** One of {@link FastTable}. */
export type FastTable = (typeof FastTable)[keyof typeof FastTable]

/** A tag that no address equals: its low bits are set where a page address has zeros. */
const INVALID = 0xfff

/** How many fills are remembered; after more, emptying goes through all entries. */
const REMEMBERED = 1024
/** Indices of the first words of all tables for data, and of those for code. */
const DATA_TABLES = Array.from({ length: 2 * REGIMES }, (_, i) => (regimeAddress(i >>> 1) + (i & 1) * WRITE_TLB) >>> 2)
const CODE_TABLES = Array.from({ length: REGIMES }, (_, el) => (regimeAddress(el) + CODE_TLB) >>> 2)

/** All fast TLBs of a machine. */
export class FastTlb {
  /** Changes whenever entries are dropped: what was concluded from a translation under another generation may not hold any more. */
  generation = 0
  private readonly words: Uint32Array
  /** Indices of the entries filled since everything was emptied, as far as there is room for them. */
  private readonly filled = new Uint32Array(REMEMBERED)
  private fills = Infinity

  constructor(memory: MachineMemory) {
    this.words = memory.u32
    this.flushAll()
  }

  /** Enters a page: `value` is the addend (host minus guest address, modulo 2^32) or, for code, the address of the page's records. */
  fill(el: number, table: FastTable, lo: number, hi: number, value: number): void {
    const at = (regimeAddress(el) + table + ((lo >>> 12) % FAST_ENTRIES) * FAST_ENTRY_SIZE) >>> 2
    this.words[at] = lo & ~0xfff
    this.words[at + 1] = hi
    this.words[at + 2] = value
    if (this.fills < REMEMBERED) this.filled[this.fills] = at
    this.fills++
  }

  /** The value of a page's entry, or 0 if it has none. */
  find(el: number, table: FastTable, lo: number, hi: number): number {
    const at = (regimeAddress(el) + table + ((lo >>> 12) % FAST_ENTRIES) * FAST_ENTRY_SIZE) >>> 2
    return this.words[at] === (lo & ~0xfff) >>> 0 && this.words[at + 1] === hi >>> 0 ? this.words[at + 2] : 0
  }

  /** Drops whatever stands where a page's entries would, in all regimes: data entries or code entries. */
  dropPage(lo: number, code: boolean): void {
    const { words } = this
    const index = (((lo >>> 12) % FAST_ENTRIES) * FAST_ENTRY_SIZE) >>> 2
    this.generation++
    if (code) {
      for (const table of CODE_TABLES) words[table + index] = INVALID
      return
    }
    words[DATA_TABLES[0] + index] = INVALID
    words[DATA_TABLES[1] + index] = INVALID
    words[DATA_TABLES[2] + index] = INVALID
    words[DATA_TABLES[3] + index] = INVALID
    words[DATA_TABLES[4] + index] = INVALID
    words[DATA_TABLES[5] + index] = INVALID
  }

  /** Drops every entry of one kind that has this value, in all regimes. */
  dropValue(table: FastTable, matches: (tagLo: number, value: number) => boolean): void {
    this.forEach(table, (at) => {
      if (matches(this.words[at], this.words[at + 2])) this.words[at] = INVALID
    })
  }

  /** Empties one kind of table in all regimes. */
  flush(table: FastTable): void {
    this.forEach(table, (at) => {
      this.words[at] = INVALID
    })
  }

  /** Empties everything. Guests do this at every switch of address spaces, so it costs what has been filled in between. */
  flushAll(): void {
    const { words, filled, fills } = this
    this.generation++
    this.fills = 0
    if (fills <= REMEMBERED) {
      for (let i = 0; i < fills; i++) words[filled[i]] = INVALID
      return
    }
    for (let at = regimeAddress(0) >>> 2; at < FAST_TLBS_END >>> 2; at += FAST_ENTRY_SIZE >>> 2) words[at] = INVALID
  }

  private forEach(table: FastTable, visit: (at: number) => void): void {
    for (let el = 0; el < REGIMES; el++) {
      const start = (regimeAddress(el) + table) >>> 2
      for (let i = 0; i < FAST_ENTRIES; i++) visit(start + i * (FAST_ENTRY_SIZE >>> 2))
    }
  }
}
