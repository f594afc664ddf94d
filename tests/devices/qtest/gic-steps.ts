/** Random, but plausible, use of a GIC: what a driver might do, with its mistakes. The same seed gives the same steps. */
import type { Step } from './qtest.js'

export const GICD = 0x0800_0000
export const GICC = 0x0801_0000
/** QEMU's name for the controller in the object tree of `virt` with one CPU. */
export const GIC_DEVICE = '/machine/unattached/device[1]'

/** A small generator of reproducible numbers (mulberry32): `next(n)` is an integer from 0 to n-1. */
export function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

/**
 * The next step. `acknowledged` is the last value that a read of GICC_IAR gave: ends of interrupts mostly fit it.
 */
export function gicStep(next: (below: number) => number, acknowledged: number): Step {
  const pick = <T>(list: readonly T[]): T => list[next(list.length)]
  const size = pick([1, 1, 2, 4, 4, 4, 4] as const)
  const intids = [0, 1, 15, 16, 27, 30, 31, 32, 33, 34, 40, 63, 64, 287]
  const bits = (): number => {
    let value = 0
    for (let i = next(4); i >= 0; i--) value |= 1 << pick(intids)
    return next(8) === 0 ? 0xffff_ffff : value >>> 0
  }
  const fit = (value: number, bytes: 1 | 2 | 4): number => (bytes === 4 ? value >>> 0 : value & (2 ** (bytes * 8) - 1))
  const write = (address: number, bytes: 1 | 2 | 4, value: number): Step => ({
    kind: 'write',
    address: address - (address % bytes),
    size: bytes,
    value: fit(value, bytes),
  })
  const read = (address: number, bytes: 1 | 2 | 4): Step => ({
    kind: 'read',
    address: address - (address % bytes),
    size: bytes,
  })
  const intid = pick(intids)
  switch (next(20)) {
    case 0:
      return write(GICD, size, pick([0, 1, 2, 3, 3, 3, 0xffff_ffff]))
    case 1:
      return write(GICC, 4, pick([0, 1, 3, 3, 7, 7, 0xb, 0x1f, 0x203, 0x207, 0x21f, 0xffff_ffff]))
    case 2:
      return write(GICC + 4, 4, pick([0, 0x10, 0x80, 0xa0, 0xf0, 0xff, 0xff, 0xff]))
    case 3:
      return write(GICC + pick([8, 0x1c]), 4, next(9))
    case 4:
      return write(GICD + 0x400 + intid, size, next(2 ** 16) * 0x10001)
    case 5:
      return write(GICD + pick([0x100, 0x100, 0x100, 0x180]) + 4 * (intid >> 5) + next(4), size, bits())
    case 6:
      return write(GICD + pick([0x200, 0x280]) + 4 * (intid >> 5) + next(4), size, bits())
    case 7:
      return write(GICD + pick([0x300, 0x380, 0x80]) + 4 * (intid >> 5) + next(4), size, bits())
    case 8:
      return write(GICD + 0xc00 + (intid >> 2), size, next(2 ** 16) * 0x10001)
    case 9:
      return write(GICD + 0xf00, pick([4, 4, 4, 4, 1, 2]), next(4) * 2 ** 24 + next(256) * 2 ** 16 + next(17))
    case 10:
      // Never a zero byte to GICD_SPENDSGIR: QEMU 7.2 takes the SGI for pending, without a source, and dies of it at the acknowledge.
      return next(2) ? write(GICD + 0xf10 + next(16), size, next(4)) : write(GICD + 0xf20 + next(16), 1, 1 + next(255))
    case 11:
      return read(GICD + next(0x400) * 4 + next(4), size)
    case 12:
      return read(
        GICC +
          pick([0, 4, 8, 0x14, 0x18, 0x1c, 0x20, 0x28, 0xd0, 0xd4, 0xd8, 0xdc, 0xe0, 0xe4, 0xe8, 0xec, 0xfc, 0x1000]),
        size,
      )
    case 13:
      return read(GICC + 0x0c, 4)
    case 14:
      return write(GICC + 0x10, 4, next(5) ? acknowledged : intid)
    case 15:
      return write(GICC + 0x1000, 4, next(5) ? acknowledged : intid)
    case 16:
      return next(10)
        ? read(GICC + 0x0c, 4)
        : write(GICC + pick([0xd0, 0xd4, 0xd8, 0xdc, 0xe0, 0xec]), 4, next(3) ? 0 : 1 << next(32))
    case 17:
      return read(GICD + pick([0x100, 0x200, 0x200, 0x300, 0xf10, 0xf20, 0x400, 0x800, 0xc00]) + 4 * next(3), size)
    case 18:
      return write(GICD + 0x800 + intid, size, next(2 ** 16) * 0x10001)
    default: {
      const line = pick([0, 1, 2, 8, 31, 32, 255, 256 + 16, 256 + 27, 256 + 30, 256 + 31])
      return { kind: 'line', device: GIC_DEVICE, line, level: next(2) === 1 }
    }
  }
}
