/**
 * What is known of writes: for stretches that the timeline has run, which virtual pages were written in them.
 *
 * Execution is the same each time, so what was seen once holds for ever, whatever has become of the checkpoints. A search backwards for a
 * write skips the stretches in which none can be.
 */

/** A range of addresses by its first and last virtual page (VA[63:12]). */
export interface PageRange {
  readonly first: number
  readonly last: number
}

interface Stretch {
  readonly from: number
  readonly to: number
  readonly pages: ReadonlySet<number>
}

/** Stretches and pages in them that are remembered; more are forgotten, the oldest first. */
const STRETCHES = 8192
const PAGES = 2 ** 20

/** Written pages by stretch. */
export class WrittenPages {
  private stretches: Stretch[] = []
  private pages = 0

  /** From position `from` until `to` these pages were written, and no others. */
  add(from: number, to: number, pages: ReadonlySet<number>): void {
    if (to <= from || this.stretches.some((known) => known.from === from && known.to === to)) return
    this.stretches.push({ from, to, pages })
    this.pages += pages.size
    if (this.stretches.length <= STRETCHES && this.pages <= PAGES) return
    this.stretches = this.stretches.slice(this.stretches.length >> 1)
    this.pages = this.stretches.reduce((sum, stretch) => sum + stretch.pages.size, 0)
  }

  /** The first position from which until `position` nothing was written in the ranges, as far as known. */
  untouchedSince(position: number, ranges: readonly PageRange[]): number {
    const clean = this.stretches.filter(({ pages }) => !ranges.some((range) => touches(pages, range)))
    let start = position
    for (;;) {
      let next = start
      for (const { from, to } of clean) if (from < next && to >= start) next = from
      if (next === start) return start
      start = next
    }
  }
}

function touches(pages: ReadonlySet<number>, { first, last }: PageRange): boolean {
  if (last - first < pages.size) {
    for (let page = first; page <= last; page++) if (pages.has(page)) return true
    return false
  }
  for (const page of pages) if (page >= first && page <= last) return true
  return false
}
