/**
 * Puts kernel, initial RAM disk, device tree and boot stub where QEMU 7.2 puts them for `-kernel`, and says where the processor starts.
 *
 * An ELF kernel starts at its entry point with all registers zero and finds the device tree at the start of RAM, if it leaves a megabyte
 * there. An arm64 `Image` or a plain binary is started by a stub of six instructions with X0 = device tree (Linux,
 * Documentation/arch/arm64/booting.rst, 5).
 */
import { type MachineMemory, RAM_PHYSICAL } from '../../cpu/machine-memory.js'
import { amendDeviceTree, deviceTree } from '../device-tree.js'
import { isElf, readElf } from './elf.js'
import { readImage } from './image.js'
import { LoadError, hex } from './load-error.js'
import { SymbolTable } from './symbols.js'

/** A file that a person gave. */
export interface BootFile {
  /** As messages name it. */
  readonly name: string
  readonly bytes: Uint8Array
}

export interface BootFiles {
  readonly kernel: BootFile
  readonly initrd?: BootFile
  /** Used instead of the generated device tree, amended as QEMU does it. */
  readonly dtb?: BootFile
}

export interface BootOptions {
  readonly ramBytes: number
  readonly virtualization: boolean
  readonly append?: string
}

/** What a machine has in memory when its processor starts. */
export interface BootPlan {
  readonly kind: 'elf' | 'image' | 'raw'
  /** Where the processor starts; all general registers are zero. */
  readonly entry: bigint
  /** What goes where in RAM; everything else is zero. No two overlap. */
  readonly placements: readonly { readonly address: number; readonly bytes: Uint8Array }[]
  /** Where the device tree stands; undefined if there is no room for one. */
  readonly dtbAddress: number | undefined
  /** What the first bytes of flash hold, if anything. */
  readonly flash: Uint8Array | undefined
  readonly symbols: SymbolTable
  /** What a person should know though the kernel can be started, one line each. */
  readonly warnings: readonly string[]
}

const MIB = 2 ** 20
/** Linux may map the 2 MiB around the device tree before it knows its size. */
const DTB_ALIGN = 2 * MIB
const PAGE = 0x1000

const alignUp = (address: number, to: number): number => Math.ceil(address / to) * to

/** The stub: X0 = device tree, X1-X3 = 0, branch to the kernel; then the two addresses. */
function bootStub(dtb: number, entry: number): Uint8Array {
  const words = [
    0x5800_00c0, // ldr x0, device tree
    0xaa1f_03e1, // mov x1, xzr
    0xaa1f_03e2, // mov x2, xzr
    0xaa1f_03e3, // mov x3, xzr
    0x5800_0084, // ldr x4, entry
    0xd61f_0080, // br x4
    dtb >>> 0,
    Math.floor(dtb / 2 ** 32),
    entry >>> 0,
    Math.floor(entry / 2 ** 32),
  ]
  const stub = new DataView(new ArrayBuffer(words.length * 4))
  words.forEach((word, i) => stub.setUint32(i * 4, word, true))
  return new Uint8Array(stub.buffer)
}

/**
 * Works out what goes where.
 *
 * @throws {LoadError} naming the file, if one cannot be loaded or does not fit.
 */
export function planBoot(files: BootFiles, options: BootOptions): BootPlan {
  return isElf(files.kernel.bytes) ? planElf(files, options) : planImage(files, options)
}

/** Writes a plan into the RAM of a new machine. */
export function loadBoot(plan: BootPlan, memory: MachineMemory): void {
  for (const { address, bytes } of plan.placements) memory.ram.set(bytes, address - RAM_PHYSICAL)
}

function treeFor(files: BootFiles, options: BootOptions, initrd?: { start: number; end: number }): Uint8Array {
  const all = { ...options, ...(initrd && { initrd }) }
  return files.dtb ? amendDeviceTree(files.dtb.bytes, files.dtb.name, all) : deviceTree(all)
}

function planElf(files: BootFiles, options: BootOptions): BootPlan {
  const { kernel } = files
  const elf = readElf(kernel.bytes, kernel.name)
  const ramEnd = RAM_PHYSICAL + options.ramBytes
  for (const { paddr, memorySize } of elf.segments) {
    if (paddr < RAM_PHYSICAL || paddr + memorySize > ramEnd) {
      const where = `${hex(paddr)} to ${hex(paddr + memorySize - 1)}`
      const ram = `${hex(RAM_PHYSICAL)} to ${hex(ramEnd - 1)}`
      const help = paddr >= RAM_PHYSICAL && paddr < 4 * 2 ** 30 ? 'give more with -m' : 'link it there'
      throw new LoadError(kernel.name, `segment at ${where} lies outside RAM, ${ram}: ${help}`)
    }
  }
  const placements = elf.segments.map(({ paddr, data }) => ({ address: paddr, bytes: data }))
  const warnings: string[] = []
  if (files.initrd)
    warnings.push(`${files.initrd.name}: not loaded, as on QEMU: an ELF kernel gets no initial RAM disk`)
  const room = elf.segments[0].paddr - RAM_PHYSICAL
  const plan = { kind: 'elf', entry: elf.entry, placements, symbols: elf.symbols, warnings } as const
  const tree = treeFor(files, options)
  // A kernel at the very start of RAM leaves QEMU's device tree at address 0, which is flash.
  if (room === 0) return { ...plan, dtbAddress: 0, flash: tree }
  if (tree.length > room) {
    const low = hex(elf.segments[0].paddr)
    const line = `no device tree, as on QEMU: it needs ${hex(tree.length)} bytes of RAM below the first segment at ${low}`
    if (files.dtb)
      throw new LoadError(files.dtb.name, `no room: it needs ${hex(tree.length)} bytes of RAM below ${low}`)
    warnings.push(`${kernel.name}: ${line}`)
    return { ...plan, dtbAddress: undefined, flash: undefined }
  }
  placements.unshift({ address: RAM_PHYSICAL, bytes: tree })
  return { ...plan, dtbAddress: RAM_PHYSICAL, flash: undefined }
}

function planImage(files: BootFiles, options: BootOptions): BootPlan {
  const { kernel } = files
  const image = readImage(kernel.bytes, kernel.name)
  const ramEnd = RAM_PHYSICAL + options.ramBytes
  const entry = RAM_PHYSICAL + image.offset
  const kernelEnd = entry + Math.max(image.memorySize, kernel.bytes.length)
  if (kernelEnd > ramEnd) {
    throw new LoadError(
      kernel.name,
      `needs RAM up to ${hex(kernelEnd)}, there is RAM up to ${hex(ramEnd)}: give more with -m`,
    )
  }
  // QEMU's rule: half-way up small RAM, 128 MiB up large RAM, and behind the kernel in any case.
  const preferred = RAM_PHYSICAL + Math.min(options.ramBytes / 2, 128 * MIB)
  const initrdStart = alignUp(Math.max(preferred, entry + image.memorySize), PAGE)
  const initrdBytes = files.initrd?.bytes
  const initrdEnd = initrdStart + (initrdBytes?.length ?? 0)
  if (files.initrd && files.initrd.bytes.length === 0) throw new LoadError(files.initrd.name, 'is empty')
  if (files.initrd && initrdEnd > ramEnd) {
    const { name, bytes } = files.initrd
    const room = ramEnd - initrdStart
    throw new LoadError(
      name,
      `of ${bytes.length} bytes is too large: RAM has ${Math.max(room, 0)} behind ${hex(initrdStart)}: give more with -m`,
    )
  }
  const dtbAddress = alignUp(initrdEnd, DTB_ALIGN)
  const tree = treeFor(files, options, initrdBytes && { start: initrdStart, end: initrdEnd })
  if (dtbAddress + tree.length > ramEnd) {
    const what = `leaves no room for the device tree: ${hex(tree.length)} bytes at ${hex(dtbAddress)}, RAM ends at ${hex(ramEnd)}`
    throw new LoadError((files.initrd ?? kernel).name, `${what}: give more with -m`)
  }
  const placements = [
    { address: RAM_PHYSICAL, bytes: bootStub(dtbAddress, entry) },
    { address: entry, bytes: kernel.bytes },
    ...(initrdBytes ? [{ address: initrdStart, bytes: initrdBytes }] : []),
    { address: dtbAddress, bytes: tree },
  ]
  return {
    kind: image.kind,
    entry: BigInt(RAM_PHYSICAL),
    placements,
    dtbAddress,
    flash: undefined,
    symbols: new SymbolTable([]),
    warnings: [],
  }
}
