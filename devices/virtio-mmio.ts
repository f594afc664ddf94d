/** A virtio transport with no device behind it: the legacy interface (virtio 1.1, 4.2.4), as QEMU shows each of its 32 on `virt`. */
import type { MmioDevice } from './device.js'

/** Bytes of one transport, and how many there are. */
export const VIRTIO_MMIO_SIZE = 0x200
export const VIRTIO_MMIO_TRANSPORTS = 32

const REGISTERS: ReadonlyMap<number, number> = new Map([
  [0x00, 0x7472_6976], // MagicValue, "virt"
  [0x04, 1], // Version: legacy
  [0x0c, 0x554d_4551], // VendorID, "QEMU"
])

/** A transport whose DeviceID is 0: drivers leave it alone, writes have no effect, it has no state. */
export class EmptyVirtioMmio implements MmioDevice {
  readonly name = 'virtio-mmio'
  readonly minAccess = 1
  readonly maxAccess = 8

  read(offset: number): number {
    return REGISTERS.get(offset) ?? 0
  }

  write(): void {}

  reset(): void {}
}
