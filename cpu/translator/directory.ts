/** Which regions there are, and which guest instructions each was made from, so that a store to one of them finds its regions. */
import { PAGE_INSTRUCTIONS } from '../layout.js'
import type { Regime } from './region-function.js'

/** A region that has a number. */
export interface RegionEntry {
  /** Its index in the table of functions. */
  readonly number: number
  /** Addresses of the records at which it may be entered. */
  readonly records: readonly number[]
  /** What its code depends on beside them. */
  readonly regime: Regime
  /** The instructions it was made from: physical page number times 1,024 plus index in the page. */
  readonly instructions: Int32Array
}

interface Page {
  readonly regions: Set<RegionEntry>
  /** How many regions were made from each instruction. */
  readonly covered: Uint16Array
}

/** The regions of a machine. */
export class RegionDirectory {
  private readonly pages = new Map<number, Page>()
  private readonly entries = new Map<number, RegionEntry>()

  /** All regions. */
  get all(): Iterable<RegionEntry> {
    return this.entries.values()
  }

  /** How many regions there are. */
  get size(): number {
    return this.entries.size
  }

  /** The region with a number. */
  get(number: number): RegionEntry | undefined {
    return this.entries.get(number)
  }

  add(entry: RegionEntry): void {
    this.entries.set(entry.number, entry)
    for (const instruction of entry.instructions) {
      const page = this.pageOf(instruction)
      page.regions.add(entry)
      page.covered[instruction % PAGE_INSTRUCTIONS]++
    }
  }

  delete(entry: RegionEntry): void {
    this.entries.delete(entry.number)
    for (const instruction of entry.instructions) {
      const page = this.pageOf(instruction)
      page.regions.delete(entry)
      page.covered[instruction % PAGE_INSTRUCTIONS]--
    }
  }

  /** The regions made from one of the instructions `first` to `last` of a page. */
  madeFrom(page: number, first: number, last: number): readonly RegionEntry[] {
    const known = this.pages.get(page)
    if (!known || !known.covered.subarray(first, last + 1).some((count) => count > 0)) return []
    const [from, to] = [page * PAGE_INSTRUCTIONS + first, page * PAGE_INSTRUCTIONS + last]
    return [...known.regions].filter(({ instructions }) => instructions.some((each) => each >= from && each <= to))
  }

  clear(): void {
    this.pages.clear()
    this.entries.clear()
  }

  private pageOf(instruction: number): Page {
    const number = Math.floor(instruction / PAGE_INSTRUCTIONS)
    let page = this.pages.get(number)
    if (!page) {
      page = { regions: new Set(), covered: new Uint16Array(PAGE_INSTRUCTIONS) }
      this.pages.set(number, page)
    }
    return page
  }
}
