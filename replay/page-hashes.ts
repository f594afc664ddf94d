/** The sha256 of every page of guest RAM that is not all zero, kept up to date from the pages written. */
import { PAGE_SIZE } from '../cpu/machine-memory.js'
import type { Machine } from '../devices/machine.js'
import { sha256 } from '../trace/platform.js'
import type { PageImage } from '../trace/rows.js'

/** Hashes of a machine's RAM. */
export class PageHashes {
  private readonly machine: Machine
  private readonly hashes = new Map<number, Uint8Array>()

  constructor(machine: Machine) {
    this.machine = machine
  }

  /** Takes a page's hash as known: it was loaded with this content. */
  know(page: number, hash: Uint8Array): void {
    this.hashes.set(page, hash)
  }

  /**
   * Hashes the pages written since the last call, and watches for writes anew.
   *
   * @returns those whose content has changed, by rising page number; the bytes are views of guest RAM.
   */
  update(): PageImage[] {
    const { mmu } = this.machine.cpu
    const changed: PageImage[] = []
    for (let page = mmu.dirty.indexOf(1); page >= 0; page = mmu.dirty.indexOf(1, page + 1)) {
      const bytes = this.bytesOf(page)
      const zero = isZero(bytes)
      const known = this.hashes.get(page)
      if (zero && !known) continue
      const hash = sha256(bytes)
      if (known && equal(known, hash)) continue
      // A page that has become zero is listed all the same: a snapshot must say so.
      if (zero) this.hashes.delete(page)
      else this.hashes.set(page, hash)
      changed.push({ page, sha256: hash, bytes })
    }
    mmu.watchWrites()
    return changed
  }

  /** All pages that are not zero, by rising page number, as of the last {@link update}. */
  sorted(): { page: number; sha256: Uint8Array }[] {
    return [...this.hashes].map(([page, hash]) => ({ page, sha256: hash })).toSorted((a, b) => a.page - b.page)
  }

  private bytesOf(page: number): Uint8Array {
    return this.machine.memory.ram.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE)
  }
}

function isZero(bytes: Uint8Array): boolean {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  return words.every((word) => word === 0)
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i])
}
