/** Reads AArch64 ELF executables (System V ABI, chapters 4 and 5; Arm IHI 0056): the segments to load, the entry point, the symbols. */
import { LoadError, hex } from './load-error.js'
import { nestedExecutables } from './nested.js'
import { nameAt, readSections } from './sections.js'
import { type ElfSymbol, SymbolTable } from './symbols.js'

/** A PT_LOAD segment: `data` goes to `paddr`, the rest up to `memorySize` bytes is zero. */
export interface ElfSegment {
  /** Guest physical address. */
  readonly paddr: number
  readonly vaddr: bigint
  readonly data: Uint8Array
  readonly memorySize: number
}

/** An executable as the boot code needs it. */
export interface ElfImage {
  /** Where to start, as a physical address (the MMU is off): the virtual entry point put through the segment that holds it. */
  readonly entry: bigint
  /** In ascending order of physical address, none empty, no two overlapping. */
  readonly segments: readonly ElfSegment[]
  readonly symbols: SymbolTable
}

const ELF_HEADER = 64
const PROGRAM_HEADER = 56
const SYMBOL = 24
const EM_AARCH64 = 183
const ET_EXEC = 2
const ET_DYN = 3
const PT_LOAD = 1
const PT_INTERP = 3
const PF_X = 1
const SHT_SYMTAB = 2
/** Physical addresses of the Cortex-A53 have 40 bits. */
const PA_END = 2 ** 40

/** Architectures that people mix up with ours, by e_machine. */
const MACHINES: Readonly<Record<number, string>> = {
  3: 'x86 (32-bit)',
  8: 'MIPS',
  20: 'PowerPC',
  21: 'PowerPC (64-bit)',
  22: 'S/390',
  40: 'Arm (32-bit)',
  62: 'x86-64',
  243: 'RISC-V',
  258: 'LoongArch',
}
const TYPES: Readonly<Record<number, string>> = { 0: 'none', 1: 'relocatable object', 4: 'core dump' }

/** Whether a file is, or wants to be, an ELF file. */
export function isElf(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46
}

/**
 * Reads an executable.
 *
 * @param name the file's name, for messages.
 * @throws {LoadError} if it is not a whole, static, little-endian, 64-bit AArch64 executable.
 */
export function readElf(bytes: Uint8Array, name: string): ElfImage {
  const view = checkHeader(bytes, name)
  const headers = programHeaders(view, name)
  if (headers.some((header) => header.type === PT_INTERP)) {
    throw new LoadError(name, 'is dynamically linked (PT_INTERP): link it with -static')
  }
  const loads = headers.filter((header) => header.type === PT_LOAD && header.memorySize > 0n)
  if (loads.length === 0) throw new LoadError(name, 'has nothing to load: no PT_LOAD segment with p_memsz above 0')
  const segments = loads.map((header) => toSegment(header, bytes, name)).toSorted((a, b) => a.paddr - b.paddr)
  for (let i = 1; i < segments.length; i++) {
    const before = segments[i - 1]
    if (segments[i].paddr < before.paddr + before.memorySize) {
      const [first, second] = [hex(before.paddr), hex(segments[i].paddr)]
      throw new LoadError(name, `segments at ${first} (p_memsz ${hex(before.memorySize)}) and ${second} overlap`)
    }
  }
  return { entry: physicalEntry(view.getBigUint64(24, true), loads), segments, symbols: readSymbols(bytes) }
}

function checkHeader(bytes: Uint8Array, name: string): DataView {
  if (bytes.length === 0) throw new LoadError(name, 'is empty')
  if (!isElf(bytes)) throw new LoadError(name, 'is not an ELF file')
  if (bytes.length < ELF_HEADER) {
    throw new LoadError(name, `is cut short: ${bytes.length} bytes, an ELF header has ${ELF_HEADER}`)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes[5] === 2) throw new LoadError(name, 'is big-endian (EI_DATA 2): only little-endian kernels run here')
  if (bytes[5] !== 1) throw new LoadError(name, `has an unknown byte order (EI_DATA ${bytes[5]})`)
  const machine = view.getUint16(18, true)
  if (machine !== EM_AARCH64) {
    const known = MACHINES[machine] ?? 'an unknown architecture'
    throw new LoadError(name, `is built for ${known} (e_machine ${machine}): give an AArch64 kernel`)
  }
  if (bytes[4] !== 2)
    throw new LoadError(name, `is not a 64-bit ELF file (EI_CLASS ${bytes[4]}): give an AArch64 kernel`)
  const type = view.getUint16(16, true)
  if (type !== ET_EXEC && type !== ET_DYN) {
    throw new LoadError(name, `is not an executable but a ${TYPES[type] ?? 'file'} (e_type ${type}): link it first`)
  }
  return view
}

interface ProgramHeader {
  readonly index: number
  readonly type: number
  readonly flags: number
  readonly offset: bigint
  readonly vaddr: bigint
  readonly paddr: bigint
  readonly fileSize: bigint
  readonly memorySize: bigint
}

function programHeaders(view: DataView, name: string): ProgramHeader[] {
  const offset = view.getBigUint64(32, true)
  const size = view.getUint16(54, true)
  const count = view.getUint16(56, true)
  if (count > 0 && size < PROGRAM_HEADER)
    throw new LoadError(name, `has program headers of ${size} bytes (e_phentsize)`)
  if (offset + BigInt(size * count) > BigInt(view.byteLength)) {
    throw new LoadError(name, `is cut short: program headers end at ${hex(offset + BigInt(size * count))}`)
  }
  return Array.from({ length: count }, (_, index) => {
    const at = Number(offset) + index * size
    return {
      index,
      type: view.getUint32(at, true),
      flags: view.getUint32(at + 4, true),
      offset: view.getBigUint64(at + 8, true),
      vaddr: view.getBigUint64(at + 16, true),
      paddr: view.getBigUint64(at + 24, true),
      fileSize: view.getBigUint64(at + 32, true),
      memorySize: view.getBigUint64(at + 40, true),
    }
  })
}

function toSegment(header: ProgramHeader, bytes: Uint8Array, name: string): ElfSegment {
  const { index, offset, fileSize, memorySize, paddr } = header
  if (fileSize > memorySize) {
    throw new LoadError(name, `segment ${index} has p_filesz ${hex(fileSize)} above p_memsz ${hex(memorySize)}`)
  }
  // Linkers give a segment that is all zeros whatever offset they like.
  if (fileSize > 0n && offset + fileSize > BigInt(bytes.length)) {
    const end = hex(offset + fileSize)
    throw new LoadError(name, `is cut short: segment ${index} ends at ${end}, the file at ${hex(bytes.length)}`)
  }
  if (paddr + memorySize > BigInt(PA_END)) {
    throw new LoadError(name, `segment ${index} has a p_paddr of ${hex(paddr)}, beyond 40-bit physical addresses`)
  }
  const start = Number(offset)
  return {
    paddr: Number(paddr),
    vaddr: header.vaddr,
    data: bytes.subarray(start, start + Number(fileSize)),
    memorySize: Number(memorySize),
  }
}

/** The entry point as QEMU finds it: through the first executable segment whose file part holds it; else as it stands. */
function physicalEntry(entry: bigint, loads: readonly ProgramHeader[]): bigint {
  for (const { flags, vaddr, paddr, fileSize } of loads) {
    if (vaddr !== paddr && (flags & PF_X) !== 0 && entry >= vaddr && entry < vaddr + fileSize)
      return entry - vaddr + paddr
  }
  return entry
}

/** Its own symbols, and those of the executables it carries. Symbols are a convenience: a damaged table gives fewer of them, not an error. */
function readSymbols(bytes: Uint8Array): SymbolTable {
  return new SymbolTable([bytes, ...nestedExecutables(bytes).map((nested) => nested.bytes)].flatMap(symbolsOf))
}

function symbolsOf(bytes: Uint8Array): ElfSymbol[] {
  const symbols: ElfSymbol[] = []
  const sections = readSections(bytes)
  for (const { type, link, data } of sections) {
    if (type !== SHT_SYMTAB || link >= sections.length) continue
    const names = sections[link].data
    const table = new DataView(data.buffer, data.byteOffset, data.byteLength)
    for (let at = 0; at + SYMBOL <= data.length; at += SYMBOL) {
      const name = nameAt(names, table.getUint32(at, true))
      if (name === '') continue
      symbols.push({
        name,
        info: data[at + 4],
        section: table.getUint16(at + 6, true),
        address: table.getBigUint64(at + 8, true),
        size: table.getBigUint64(at + 16, true),
      })
    }
  }
  return symbols
}
