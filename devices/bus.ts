/**
 * The bus: which device answers at a guest physical address. RAM is not on it; the processor reaches RAM by itself.
 *
 * Accesses are taken apart as QEMU 7.2 does it: an 8-byte access is two of 4 bytes to the device, low half first;
 * an access of a size that a device does not answer aborts; an unaligned read is made of the two aligned reads around it, an unaligned
 * write of single bytes.
 */
import type { AccessSize } from '../cpu/board.js'
import type { MmioDevice } from './device.js'

const PAGE_SHIFT = 12
const PAGE = 2 ** PAGE_SHIFT
/** Every device register of `virt` that can be reached with a 32-bit address lies below RAM. */
const LOW_END = 0x4000_0000
/** Marks a page with several regions, which are searched; no region has this number. */
const SHARED = 255

/** A device at its place. */
export interface Region {
  readonly base: number
  readonly size: number
  readonly device: MmioDevice
}

/** The devices of a board by address. The result of a read stands in {@link lo} and {@link hi}. */
export class Bus {
  lo = 0
  hi = 0

  /** For each page below RAM: 0 if nothing is there, the number of its region in {@link regions}, from 1, or {@link SHARED}. */
  private readonly pages = new Uint8Array(LOW_END / PAGE)
  readonly regions: Region[] = []

  /**
   * Puts a device at guest physical addresses `base` to `base + size - 1`: it answers accesses that start there.
   *
   * @throws {Error} if the range overlaps that of another device, or there are too many: a board is wired wrongly.
   */
  map(base: number, size: number, device: MmioDevice): void {
    const clash = this.regions.find((other) => base < other.base + other.size && other.base < base + size)
    if (clash) throw new Error(`${device.name} at 0x${base.toString(16)} overlaps ${clash.device.name}`)
    const number = this.regions.push({ base, size, device })
    if (number === SHARED) throw new Error(`no room on the bus for ${device.name}`)
    if (base >= LOW_END) return
    const pages = this.pages.subarray(Math.floor(base / PAGE), Math.ceil((base + size) / PAGE))
    const first = pages[0] === 0 ? number : SHARED
    const last = pages.length > 1 && pages[pages.length - 1] !== 0 ? SHARED : number
    pages.fill(number)
    pages[pages.length - 1] = last
    pages[0] = pages.length > 1 ? first : Math.max(first, last)
  }

  /** The region that holds an address, if any does. */
  find(pa: number): Region | undefined {
    if (pa < LOW_END) {
      const number = this.pages[pa >>> PAGE_SHIFT]
      if (number === 0) return undefined
      if (number !== SHARED) {
        const region = this.regions[number - 1]
        return pa >= region.base && pa < region.base + region.size ? region : undefined
      }
    }
    return this.regions.find((region) => pa >= region.base && pa < region.base + region.size)
  }

  /** As `Board.read`. */
  read(pa: number, size: AccessSize): boolean {
    if ((pa & (size - 1)) !== 0) return this.readUnaligned(pa, size)
    const region = this.find(pa)
    if (region === undefined) return false
    const { device } = region
    const offset = pa - region.base
    if (size === 4) {
      if (device.minAccess > 4 || device.maxAccess < 4 || device.writeOnly) return false
      this.lo = device.read(offset, 4)
      this.hi = 0
      return true
    }
    if (size < device.minAccess || size > device.maxAccess || device.writeOnly) return false
    if (size === 8) {
      this.lo = device.read(offset, 4)
      this.hi = device.read(offset + 4, 4)
    } else {
      this.lo = device.read(offset, size) & (size === 1 ? 0xff : 0xffff)
      this.hi = 0
    }
    return true
  }

  /** As `Board.write`. */
  write(pa: number, size: AccessSize, lo: number, hi: number): boolean {
    if ((pa & (size - 1)) !== 0) return this.writeUnaligned(pa, size, lo, hi)
    const region = this.find(pa)
    if (region === undefined) return false
    const { device } = region
    const offset = pa - region.base
    if (size < device.minAccess || size > device.maxAccess) return false
    if (size === 8) {
      device.write(offset, 4, lo)
      device.write(offset + 4, 4, hi)
    } else device.write(offset, size, size === 4 ? lo : lo & (size === 1 ? 0xff : 0xffff))
    return true
  }

  private readUnaligned(pa: number, size: AccessSize): boolean {
    const skew = pa % size
    if (!this.read(pa - skew, size)) return false
    const firstLo = this.lo
    const firstHi = this.hi
    if (!this.read(pa - skew + size, size)) return false
    const bytes = new DataView(new ArrayBuffer(16))
    bytes.setUint32(0, firstLo, true)
    bytes.setUint32(4, firstHi, true)
    bytes.setUint32(size, this.lo, true)
    if (size === 8) bytes.setUint32(12, this.hi, true)
    this.lo = size === 2 ? bytes.getUint16(skew, true) : bytes.getUint32(skew, true)
    this.hi = size === 8 ? bytes.getUint32(skew + 4, true) : 0
    return true
  }

  private writeUnaligned(pa: number, size: AccessSize, lo: number, hi: number): boolean {
    for (let i = 0; i < size; i++) {
      const half = i < 4 ? lo : hi
      if (!this.write(pa + i, 1, (half >>> ((i & 3) * 8)) & 0xff, 0)) return false
    }
    return true
  }
}
