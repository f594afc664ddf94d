/** The sha256 of every page of guest RAM that is not all zero, kept up to date from the pages written. */
import { PAGE_SIZE } from '../cpu/machine-memory.js'
import { ZERO_PAGE_HASH } from '../cpu/wasm/state-hash.js'
import type { Machine } from '../devices/machine.js'
import { equalBytes, sha256Into } from '../trace/platform.js'
import type { PageImage } from '../trace/rows.js'

const HASH = 32
const HASH_WORDS = HASH / 4
const ZEROS = new Uint8Array(PAGE_SIZE)

/** Hashes of a machine's RAM. */
export class PageHashes {
  private readonly machine: Machine
  /** The hash of each page, where {@link known} says that there is one: for pages that are not zero. */
  private readonly hashes: Uint8Array
  private readonly words: Uint32Array
  private readonly known: Uint8Array
  private readonly fresh = new Uint8Array(HASH)
  private readonly freshWords = new Uint32Array(this.fresh.buffer)

  constructor(machine: Machine) {
    this.machine = machine
    const pages = machine.memory.ramSize / PAGE_SIZE
    this.hashes = new Uint8Array(pages * HASH)
    this.words = new Uint32Array(this.hashes.buffer)
    this.known = new Uint8Array(pages)
  }

  /** Takes what RAM holds now as its content at position 0, so that only changes to it are listed. */
  knowLoaded(): void {
    this.refresh()
  }

  /** How many pages have been written since the last {@link update}. */
  written(): number {
    const { dirty } = this.machine.cpu.mmu
    let count = 0
    // Searching is the host's work, and quick where there is little to find; where there is much, it is not asked again soon.
    for (let page = dirty.indexOf(1); page >= 0; page = dirty.indexOf(1, page + 1)) count++
    return count
  }

  /**
   * Hashes the pages written since the last call, and watches for writes anew.
   *
   * @returns those whose content has changed, by rising page number; the bytes are views of guest RAM, and the hashes good until the next call.
   */
  update(): PageImage[] {
    const changed: PageImage[] = []
    this.each((page) => {
      changed.push({ page, sha256: this.hashOf(page), bytes: this.bytesOf(page) })
    })
    return changed
  }

  /** The same, when nobody wants to know which pages have changed. */
  refresh(): void {
    this.each(() => {})
  }

  /** All pages that are not zero, by rising page number, with their sha256, as of the last {@link refresh}. */
  *sorted(): IterableIterator<{ page: number; hash: Uint8Array }> {
    const { known } = this
    for (let page = known.indexOf(1); page >= 0; page = known.indexOf(1, page + 1))
      yield { page, hash: this.hashOf(page) }
  }

  /**
   * All pages that are not zero now, by rising page number: with their sha256, or with a hash of 64 bits where they have been written since the last
   * {@link update}. The bytes are good until the next page is asked for.
   */
  *current(): IterableIterator<{ page: number; hash: Uint8Array }> {
    const { known } = this
    const { dirty } = this.machine.cpu.mmu
    const { hash } = this.machine
    const short = new Uint8Array(8)
    const words = new Uint32Array(short.buffer)
    const [zeroLo, zeroHi] = ZERO_PAGE_HASH
    for (let page = 0; page < known.length; page++) {
      if (dirty[page] === 0) {
        if (known[page] === 1) yield { page, hash: this.hashOf(page) }
        continue
      }
      hash.computePage(page)
      words[0] = hash.lo
      words[1] = hash.hi
      if (words[0] === zeroLo && words[1] === zeroHi && equalBytes(this.bytesOf(page), ZEROS)) continue
      yield { page, hash: short }
    }
  }

  private each(changed: (page: number) => void): void {
    const { mmu } = this.machine.cpu
    const { dirty } = mmu
    const { known, fresh } = this
    for (let page = dirty.indexOf(1); page >= 0; page = dirty.indexOf(1, page + 1)) {
      const bytes = this.bytesOf(page)
      const zero = equalBytes(bytes, ZEROS)
      if (zero && !known[page]) continue
      sha256Into(bytes, fresh)
      if (known[page] && this.same(page)) continue
      // A page that has become zero is listed all the same: a snapshot must say so.
      known[page] = zero ? 0 : 1
      this.hashes.set(fresh, page * HASH)
      changed(page)
    }
    mmu.watchWrites()
  }

  private bytesOf(page: number): Uint8Array {
    return this.machine.memory.ram.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE)
  }

  private hashOf(page: number): Uint8Array {
    return this.hashes.subarray(page * HASH, (page + 1) * HASH)
  }

  /** Whether a page's hash is the fresh one. */
  private same(page: number): boolean {
    for (let i = 0; i < HASH_WORDS; i++) if (this.words[page * HASH_WORDS + i] !== this.freshWords[i]) return false
    return true
  }
}
