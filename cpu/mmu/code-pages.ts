/**
 * Decoded pages: for each page of guest memory that code was fetched from, a record for each of its 1,024 instructions.
 *
 * Records are filled in when first executed. Stores to such a page come to {@link CodePages.written} and make records decode again;
 * the pool is emptied when it is full. None of this is visible to the guest.
 */
import { DECODED_PAGES, DECODED_PAGE_SIZE, DECODED_POOL, PAGE_INSTRUCTIONS, RECORD_SIZE, Record } from '../layout.js'
import { type MachineMemory, PAGE_SIZE, RAM_PHYSICAL } from '../machine-memory.js'

/** Number of the first page of RAM. */
const FIRST_PAGE = RAM_PHYSICAL / PAGE_SIZE
/** Stores to a code page after which it is forgotten, since it seems to hold data now. */
const DATA_THRESHOLD = 512

/** Who keeps more than records of pages of code. Each is told before the records are gone. */
export interface CodeObserver {
  /** Instructions `first` to `last` of a page have been overwritten. */
  written(page: number, first: number, last: number): void
  /** An instruction of a page is to be decoded again, though it is as it was. */
  forgotten(page: number, index: number): void
  dropped(page: number): void
  cleared(): void
}

const NOBODY: CodeObserver = { written: () => {}, forgotten: () => {}, dropped: () => {}, cleared: () => {} }

/** The pool of decoded pages. */
export class CodePages {
  observer: CodeObserver = NOBODY
  private readonly memory: MachineMemory
  private readonly pageEnd: number
  /** Slot by physical page number. */
  private readonly slots = new Map<number, number>()
  /** 1 for each page of RAM that has records: what every write that misses the fast TLB asks. */
  private readonly marked: Uint8Array
  /** Physical page number by slot. */
  private readonly pages: number[] = []
  private readonly stores: number[] = []

  /** @param pageEnd handler number of the record that leads out of a page. */
  constructor(memory: MachineMemory, pageEnd: number) {
    this.memory = memory
    this.pageEnd = pageEnd
    this.marked = new Uint8Array(memory.ramSize / PAGE_SIZE)
  }

  /** Whether the page with this number has records. */
  has(page: number): boolean {
    return this.marked[page - FIRST_PAGE] === 1 || (page < FIRST_PAGE && this.slots.has(page))
  }

  /** Address of the page's first record, or 0 if it has none. */
  find(page: number): number {
    const slot = this.slots.get(page)
    return slot === undefined ? 0 : DECODED_POOL + slot * DECODED_PAGE_SIZE
  }

  /** Whether {@link add} needs {@link clear} first. */
  get full(): boolean {
    return this.pages.length === DECODED_PAGES
  }

  /** Gives a page its records, all of them still to be decoded; returns the address of the first. */
  add(page: number): number {
    const slot = this.pages.length
    this.slots.set(page, slot)
    this.mark(page, 1)
    this.pages.push(page)
    this.stores.push(0)
    const base = DECODED_POOL + slot * DECODED_PAGE_SIZE
    this.memory.u8.fill(0, base, base + DECODED_PAGE_SIZE)
    this.memory.view.setUint16(base + PAGE_INSTRUCTIONS * RECORD_SIZE + Record.HANDLER, this.pageEnd, true)
    return base
  }

  /** The page number and the instruction's index that a record's address stands for. */
  locate(record: number): { page: number; index: number } {
    const slot = Math.floor((record - DECODED_POOL) / DECODED_PAGE_SIZE)
    return { page: this.pages[slot], index: (record - DECODED_POOL - slot * DECODED_PAGE_SIZE) / RECORD_SIZE }
  }

  /**
   * Notes a store of `bytes` bytes at `offset` into a page with records: those instructions are decoded again.
   *
   * @returns whether the page has seen so many stores that the caller should {@link drop} it.
   */
  written(page: number, offset: number, bytes: number): boolean {
    const slot = this.slots.get(page)
    if (slot === undefined) return false
    const base = DECODED_POOL + slot * DECODED_PAGE_SIZE
    this.observer.written(page, offset >>> 2, (offset + bytes - 1) >>> 2)
    for (let index = offset >>> 2; index <= (offset + bytes - 1) >>> 2; index++) {
      this.memory.view.setUint16(base + index * RECORD_SIZE + Record.HANDLER, 0, true)
    }
    return ++this.stores[slot] % DATA_THRESHOLD === 0
  }

  /** Has the instruction at this index decoded again, in every page. */
  forget(index: number): void {
    for (const [page, slot] of this.slots) {
      this.observer.forgotten(page, index)
      this.memory.view.setUint16(
        DECODED_POOL + slot * DECODED_PAGE_SIZE + index * RECORD_SIZE + Record.HANDLER,
        0,
        true,
      )
    }
  }

  /** Forgets a page; its slot stays unused until the pool is cleared. The code TLBs must forget it too. */
  drop(page: number): void {
    this.observer.dropped(page)
    this.slots.delete(page)
    this.mark(page, 0)
  }

  /** Empties the pool. The code TLBs must be emptied with it. */
  clear(): void {
    this.observer.cleared()
    this.slots.clear()
    this.marked.fill(0)
    this.pages.length = 0
    this.stores.length = 0
  }

  private mark(page: number, present: 0 | 1): void {
    if (page >= FIRST_PAGE) this.marked[page - FIRST_PAGE] = present
  }
}
