/** The GICv2m frame: turns a write into an SPI, for message-signalled interrupts (Arm DEN 0029, Server Base System Architecture, appendix E). */
import type { Line, MmioDevice } from './device.js'

/** SPIs that the frame owns on `virt`, as INTIDs. */
export const V2M_FIRST_INTID = 80
export const V2M_INTIDS = 64

/** A GICv2m frame; it has no state. */
export class GicV2m implements MmioDevice {
  readonly name = 'gicv2m'
  readonly minAccess = 1
  readonly maxAccess = 8
  private readonly lines: readonly Line[]

  /** @param lines the frame's SPIs, from {@link V2M_FIRST_INTID} up. */
  constructor(lines: readonly Line[]) {
    this.lines = lines
  }

  /** As in QEMU, reads answer whole words only. */
  read(offset: number, size: 1 | 2 | 4): number {
    if (size !== 4) return 0
    if (offset === 0x008) return V2M_FIRST_INTID * 2 ** 16 + V2M_INTIDS // MSI_TYPER
    return offset === 0xfcc ? 0x0510_0000 : 0 // MSI_IIDR
  }

  write(offset: number, size: 1 | 2 | 4, value: number): void {
    if (offset !== 0x040 || size === 1) return // MSI_SETSPI_NS, for halves and words only
    const line = this.lines[(value & 0x3ff) - V2M_FIRST_INTID]
    if (!line) return
    line(true)
    line(false)
  }

  reset(): void {}
}
