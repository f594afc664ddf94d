/** The two flash banks at address 0, 64 MiB each, without an image: they read as zeros, or as what the boot code left there. */
import type { MmioDevice } from './device.js'

/** Bytes of both banks. */
export const FLASH_SIZE = 2 ** 27

/**
 * Flash that is only read. A write has no effect; on QEMU it is a command to a CFI chip (`docs/differences.md`).
 */
export class Flash implements MmioDevice {
  readonly name = 'flash'
  readonly minAccess = 1
  readonly maxAccess = 8
  private readonly contents: Uint8Array

  /** @param contents the first bytes; the others are zero. */
  constructor(contents: Uint8Array = new Uint8Array(0)) {
    this.contents = contents
  }

  read(offset: number, size: 1 | 2 | 4): number {
    let value = 0
    for (let i = size - 1; i >= 0; i--) value = value * 256 + (this.contents[offset + i] ?? 0)
    return value
  }

  write(): void {}

  reset(): void {}
}
