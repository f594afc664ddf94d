/** Kernels that are not ELF: arm64 `Image` files (Linux, Documentation/arch/arm64/booting.rst, 4) and plain binaries. */
import { LoadError, hex } from './load-error.js'

/** Where a kernel image wants to be, relative to the start of RAM. */
export interface KernelImage {
  readonly kind: 'image' | 'raw'
  /** Offset from the start of RAM at which its first byte goes, which is also its entry point. */
  readonly offset: number
  /** Bytes of RAM that it needs from there, with its bss; at least the file's size for a plain binary. */
  readonly memorySize: number
}

const HEADER = 64
/** `text_offset` of kernels that do not say: Linux before 3.17, and plain binaries. */
const DEFAULT_OFFSET = 0x8_0000
/** The boot stub takes the first page of RAM. */
const STUB = 0x1000
const TWO_MIB = 2 ** 21
const BIG_ENDIAN = 1n

const startsWith = (bytes: Uint8Array, at: number, text: string): boolean =>
  bytes.length >= at + text.length &&
  Array.from(text).every((character, i) => bytes[at + i] === character.charCodeAt(0))

/** Formats that would load as a plain binary but cannot run: what they are, and what to do. */
const STRANGERS: readonly [at: number, text: string, what: string][] = [
  [0, '\x1f\x8b', 'is compressed with gzip: unpack it first (gunzip)'],
  [0, '\xfd7zXZ\0', 'is compressed with xz: unpack it first (unxz)'],
  [0, '\x28\xb5\x2f\xfd', 'is compressed with zstd: unpack it first (unzstd)'],
  [4, 'zimg', 'is an EFI zboot kernel: give the Image inside it'],
  [0, '\x27\x05\x19\x56', 'is a U-Boot uImage: give the Image inside it'],
  [0x202, 'HdrS', 'is a Linux kernel for x86: give an AArch64 kernel'],
  [0x24, '\x18\x28\x6f\x01', 'is a Linux zImage for 32-bit Arm: give an AArch64 kernel'],
  [0x30, 'RISCV\0\0\0', 'is a Linux kernel for RISC-V: give an AArch64 kernel'],
]

/**
 * Reads what there is of a header.
 *
 * @throws {LoadError} if the file is empty, big-endian, or of a kind known not to run here.
 */
export function readImage(bytes: Uint8Array, name: string): KernelImage {
  if (bytes.length === 0) throw new LoadError(name, 'is empty')
  for (const [at, text, what] of STRANGERS) if (startsWith(bytes, at, text)) throw new LoadError(name, what)
  // The header's last word, `res5`, is not needed; kernels cut short before it are caught below.
  if (!startsWith(bytes, 56, 'ARM\x64')) return { kind: 'raw', offset: DEFAULT_OFFSET, memorySize: bytes.length }
  if (bytes.length < HEADER)
    throw new LoadError(name, `is cut short: ${bytes.length} bytes, an Image header has ${HEADER}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const imageSize = view.getBigUint64(16, true)
  if (imageSize === 0n) return { kind: 'image', offset: DEFAULT_OFFSET, memorySize: bytes.length }
  if (view.getBigUint64(24, true) & BIG_ENDIAN) {
    throw new LoadError(name, 'is a big-endian kernel (bit 0 of flags): only little-endian kernels run here')
  }
  const textOffset = view.getBigUint64(8, true)
  if (textOffset > 2n ** 40n || imageSize > 2n ** 40n) {
    throw new LoadError(
      name,
      `has a text_offset of ${hex(textOffset)} and an image_size of ${hex(imageSize)}: it is damaged`,
    )
  }
  const offset = Number(textOffset)
  return { kind: 'image', offset: offset < STUB ? offset + TWO_MIB : offset, memorySize: Number(imageSize) }
}
