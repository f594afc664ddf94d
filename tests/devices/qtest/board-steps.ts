/** Random use of the board's smaller devices, with enough of the GIC to see their interrupts at the processor. */
import { GICC, GICD } from './gic-steps.js'
import type { Step } from './qtest.js'

const V2M = 0x0802_0000
const RTC = 0x0901_0000
const GPIO = 0x0903_0000
const VIRTIO = 0x0a00_0000
const ECAM = 0x40_1000_0000
/** QEMU's name for the PL061 in the object tree of `virt` with one CPU. */
export const GPIO_DEVICE = '/machine/unattached/device[6]'

/** What makes all SPIs reach the processor: to be done before {@link boardStep}. */
export const boardPreparation: readonly Step[] = [
  { kind: 'write', address: GICD, size: 4, value: 1 },
  ...Array.from(
    { length: 8 },
    (_, n) => ({ kind: 'write', address: GICD + 0x104 + 4 * n, size: 4, value: 0xffff_ffff }) as const,
  ),
  ...Array.from(
    { length: 4 },
    (_, n) => ({ kind: 'write', address: GICD + 0xc14 + 4 * n, size: 4, value: 0xaaaa_aaaa }) as const,
  ),
  { kind: 'write', address: GICC + 4, size: 4, value: 0xff },
  { kind: 'write', address: GICC, size: 4, value: 1 },
]

/** The next step. The virtual clock of a halted QEMU stands still, so alarms come only when they match at once. */
export function boardStep(next: (below: number) => number, acknowledged: number): Step {
  const pick = <T>(list: readonly T[]): T => list[next(list.length)]
  const size = pick([1, 2, 4, 4, 4] as const)
  const fit = (value: number): number => (size === 4 ? value >>> 0 : value & (2 ** (size * 8) - 1))
  const access = (address: number, values: readonly number[]): Step =>
    next(2)
      ? { kind: 'read', address: address - (address % size), size }
      : { kind: 'write', address: address - (address % size), size, value: fit(pick(values)) }
  const bits = [0, 1, 0xff, 0x55, 0xaa, next(256), next(2 ** 32)]
  switch (next(10)) {
    case 0:
      return access(V2M + pick([0, 8, 8, 0x40, 0x40, 0xfcc, 0xfd0]), [79, 80, 81, 143, 144, 0x450])
    case 1:
      return access(RTC + pick([0, 4, 8, 0xc, 0x10, 0x14, 0x18, 0x1c, 0x20, 0xfe0, 0xff0]), [0, 1, 5, 6, 0xffff_ffff])
    case 2:
      return access(GPIO + pick([next(0x400), 0x3fc, 0x3fc]), bits)
    case 3:
    case 4:
      return access(GPIO + 0x400 + 4 * next(10), bits)
    case 5:
      return access(VIRTIO + 0x200 * next(32) + pick([0, 1, 4, 8, 0xc, 0x70, 0x100, next(0x200)]), bits)
    case 6:
      return access(ECAM + pick([next(0x100), next(0x100), 0x100, 0x8000]), bits)
    case 7:
      return { kind: 'read', address: GICC + 0xc, size: 4 }
    case 8:
      return { kind: 'write', address: GICC + 0x10, size: 4, value: acknowledged }
    default:
      return { kind: 'line', device: GPIO_DEVICE, line: next(8), level: next(2) === 1 }
  }
}
