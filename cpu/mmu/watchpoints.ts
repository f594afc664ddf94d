/**
 * Watchpoints: ranges of virtual addresses whose reads or writes are told to a debugger.
 *
 * The fast TLBs never hold a page for a kind of access that is watched in it, so every such access comes to the MMU's slow path, which
 * asks here. A guest without watchpoints pays nothing.
 */
import { PAGE_SIZE } from '../machine-memory.js'

/** A range of virtual addresses to watch, in any address space and at any exception level. */
export interface Watchpoint {
  readonly address: bigint
  /** Bytes, at least 1; the range ends at 2^64 at the latest. */
  readonly length: number
  readonly kind: 'read' | 'write' | 'access'
}

/** An access that touched a watched range. */
export interface WatchedAccess {
  /** Its address as the guest gave it, a tag byte replaced. */
  readonly address: bigint
  readonly bytes: number
  readonly write: boolean
}

/** A range by its first and last page (VA[63:12], exact in a double) and the offsets in them. */
interface Range {
  readonly firstPage: number
  readonly firstOffset: number
  readonly lastPage: number
  /** Behind the last byte. */
  readonly lastEnd: number
  readonly reads: boolean
  readonly writes: boolean
}

/** Number of the page that holds a virtual address, VA[63:12]. */
export const virtualPage = (lo: number, hi: number): number => (hi >>> 0) * 2 ** 20 + (lo >>> 12)

/** Number of the following page; behind the last comes the first. */
export const pageAfter = (page: number): number => (page === 2 ** 52 - 1 ? 0 : page + 1)

/** The watchpoints of a processor, in the form that its MMU asks for. */
export class Watchpoints {
  private readonly ranges: readonly Range[]

  /** @throws {RangeError} naming a range that is empty or does not fit the address space. */
  constructor(watchpoints: readonly Watchpoint[]) {
    this.ranges = watchpoints.map(({ address, length, kind }) => {
      const last = address + BigInt(Number.isSafeInteger(length) ? length : 0) - 1n
      if (address < 0n || last < address || last >= 2n ** 64n)
        throw new RangeError(`watchpoint at 0x${address.toString(16)}: ${length} bytes do not fit the address space`)
      return {
        firstPage: Number(address >> 12n),
        firstOffset: Number(address & 0xfffn),
        lastPage: Number(last >> 12n),
        lastEnd: Number(last & 0xfffn) + 1,
        reads: kind !== 'write',
        writes: kind !== 'read',
      }
    })
  }

  /** Whether an access of this direction to the page with this address must be looked at. */
  inPage(lo: number, hi: number, write: boolean): boolean {
    const page = virtualPage(lo, hi)
    return this.ranges.some((range) => watches(range, write) && page >= range.firstPage && page <= range.lastPage)
  }

  /** Whether an access of `bytes` bytes touches a watched range; the address is given as halves without tag. */
  touched(lo: number, hi: number, bytes: number, write: boolean): boolean {
    const page = virtualPage(lo, hi)
    const start = lo & 0xfff
    const end = start + bytes
    if (this.overlaps(page, start, Math.min(end, PAGE_SIZE), write)) return true
    return end > PAGE_SIZE && this.overlaps(pageAfter(page), 0, end - PAGE_SIZE, write)
  }

  private overlaps(page: number, start: number, end: number, write: boolean): boolean {
    return this.ranges.some(
      (range) =>
        watches(range, write) &&
        page >= range.firstPage &&
        page <= range.lastPage &&
        (page > range.firstPage || end > range.firstOffset) &&
        (page < range.lastPage || start < range.lastEnd),
    )
  }
}

const watches = ({ reads, writes }: Range, write: boolean): boolean => (write ? writes : reads)
