/**
 * QEMU's firmware configuration device (QEMU, docs/specs/fw_cfg.rst): a selector and a data register through which a guest reads items.
 *
 * The items are those that need no firmware: signature, revision, number of processors and a directory of the files without ACPI and
 * SMBIOS. There is no DMA interface, and the revision says so (`docs/differences.md`).
 */
import type { MachineMemory } from '../cpu/machine-memory.js'
import { type BlockView, stateBlock, u32 } from '../cpu/state-block.js'
import type { MmioDevice } from './device.js'

/** Keys of items; bit 14 asks for write access and is ignored. */
const SIGNATURE = 0x00
const REVISION = 0x01
const CPUS = 0x05
const DIRECTORY = 0x19
const FIRST_FILE = 0x20
const KEY_BITS = 0xbfff

const FILES: readonly [name: string, contents: readonly number[]][] = [
  ['bios-geometry', []],
  ['bootorder', []],
  ['etc/boot-fail-wait', [0xff, 0xff, 0xff, 0xff]],
  ['etc/tpm/log', []],
]

const bigEndian = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => (value >>> ((bytes - 1 - i) * 8)) & 0xff)
const ascii = (text: string): number[] => Array.from(text, (character) => character.charCodeAt(0))

/** Number of files, then for each its size, key, two reserved bytes and its name in 56 bytes. */
function directory(): number[] {
  const entries = FILES.flatMap(([name, contents], i) => {
    const padded = [...ascii(name), ...Array.from({ length: 56 - name.length }, () => 0)]
    return [...bigEndian(contents.length, 4), ...bigEndian(FIRST_FILE + i, 2), 0, 0, ...padded]
  })
  return [...bigEndian(FILES.length, 4), ...entries]
}

const fields = { key: u32, offset: u32 }

/** The firmware configuration device. */
export class FwCfg {
  /** The data register: successive bytes of the item, whatever the access size. One byte of address space answers. */
  readonly data: MmioDevice
  /** The selector register: 16 bits, big-endian, write-only. */
  readonly selector: MmioDevice
  private readonly state: BlockView<typeof fields>
  private readonly items: ReadonlyMap<number, readonly number[]>

  constructor(memory: MachineMemory, cpus: number) {
    this.state = memory.place(stateBlock('fw-cfg', fields))
    this.items = new Map([
      [SIGNATURE, ascii('QEMU')],
      [REVISION, [1, 0, 0, 0]],
      [CPUS, [cpus, 0]],
      [DIRECTORY, directory()],
      ...FILES.map(([, contents], i) => [FIRST_FILE + i, contents] as const),
    ])
    const reset = (): void => this.select(0)
    this.data = {
      name: 'fw-cfg-data',
      minAccess: 1,
      maxAccess: 8,
      read: (_, size) => this.read(size),
      write: () => {},
      reset,
    }
    this.selector = {
      name: 'fw-cfg-selector',
      minAccess: 2,
      maxAccess: 2,
      writeOnly: true,
      read: () => 0,
      write: (_offset, _size, value) => this.select(((value & 0xff) << 8) | (value >> 8)),
      reset,
    }
  }

  private select(key: number): void {
    this.state.key = key & KEY_BITS
    this.state.offset = 0
  }

  private read(size: 1 | 2 | 4): number {
    const item = this.items.get(this.state.key) ?? []
    let value = 0
    for (let i = 0; i < size; i++) value |= (item[this.state.offset + i] ?? 0) << (i * 8)
    this.state.offset = Math.min(this.state.offset + size, item.length)
    return value >>> 0
  }
}
