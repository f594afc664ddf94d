/**
 * What the PCI Express side of `virt` shows without a card (`-net none`): the host bridge in configuration space, and windows where
 * nothing answers: all ones, as PCI gives for an access that nobody claims.
 */
import type { MachineMemory } from '../cpu/machine-memory.js'
import { type BlockView, stateBlock, u32s } from '../cpu/state-block.js'
import type { MmioDevice } from './device.js'

/** Bytes of configuration space of one function of conventional PCI; the rest of its 4 KiB reads as ones. */
const CONFIGURATION = 0x100

const fields = { configuration: u32s(CONFIGURATION / 4) }

/** Reset value and writable bits of the bridge's registers that are not all zero and read-only (PCI 3.0, 6.1). */
const REGISTERS: readonly [offset: number, reset: number, writable: number][] = [
  [0x00, 0x0008_1b36, 0], // device and vendor: QEMU's generic bridge
  [0x04, 0, 0x507], // command: I/O, memory, bus master, SERR#, INTx disable
  [0x08, 0x0600_0000, 0], // class: host bridge
  [0x0c, 0, 0xff], // cache line size
  [0x2c, 0x1100_1af4, 0], // subsystem
  [0x3c, 0, 0xff], // interrupt line
]

const ones = (size: 1 | 2 | 4): number => 2 ** (size * 8) - 1

/** A window of the bus in which nobody claims an access. */
export class PciWindow implements MmioDevice {
  readonly name: string
  readonly minAccess = 1
  readonly maxAccess = 8

  constructor(name: string) {
    this.name = name
  }

  read(_offset: number, size: 1 | 2 | 4): number {
    return ones(size)
  }

  write(): void {}

  reset(): void {}
}

/** The configuration space of all 256 buses (ECAM: PCI Express 3.0, 7.2.2), with the host bridge as 00:00.0. */
export class PcieConfiguration implements MmioDevice {
  readonly name = 'pcie'
  readonly minAccess = 1
  readonly maxAccess = 8
  private readonly state: BlockView<typeof fields>
  private readonly bytes: DataView
  private readonly writable = new Uint8Array(CONFIGURATION).fill(0xff, 0x40)

  constructor(memory: MachineMemory) {
    this.state = memory.place(stateBlock('pcie', fields))
    const { buffer, byteOffset, byteLength } = this.state.configuration
    this.bytes = new DataView(buffer, byteOffset, byteLength)
    const writable = new DataView(this.writable.buffer)
    for (const [offset, , bits] of REGISTERS) writable.setUint32(offset, bits, true)
    this.reset()
  }

  reset(): void {
    this.state.configuration.fill(0)
    for (const [offset, value] of REGISTERS) this.bytes.setUint32(offset, value, true)
  }

  read(offset: number, size: 1 | 2 | 4): number {
    if (offset + size > CONFIGURATION) return ones(size)
    if (size === 4) return this.bytes.getUint32(offset, true)
    return size === 2 ? this.bytes.getUint16(offset, true) : this.bytes.getUint8(offset)
  }

  write(offset: number, size: 1 | 2 | 4, value: number): void {
    if (offset + size > CONFIGURATION) return
    for (let i = 0; i < size; i++) {
      const mask = this.writable[offset + i]
      const kept = this.bytes.getUint8(offset + i) & ~mask
      this.bytes.setUint8(offset + i, kept | ((value >>> (i * 8)) & mask))
    }
  }
}
