/** The sections of an ELF file (System V ABI, chapter 4, Sections). They are a convenience: a damaged table gives fewer, not an error. */

/** A section. */
export interface ElfSection {
  readonly name: string
  /** sh_type. */
  readonly type: number
  /** sh_flags, low half. */
  readonly flags: number
  /** sh_addr; 0 for one that is not loaded. */
  readonly address: bigint
  /** sh_size; for SHT_NOBITS more than there is data. */
  readonly size: bigint
  /** sh_link. */
  readonly link: number
  /** Its bytes; none if they lie outside the file. */
  readonly data: Uint8Array
}

/** SHF_EXECINSTR. */
export const SECTION_EXECUTABLE = 4
/** SHF_COMPRESSED. */
export const SECTION_COMPRESSED = 0x800

const ELF_HEADER = 64
const SECTION_HEADER = 64
const SHT_NOBITS = 8

/** The sections of a 64-bit little-endian ELF file, in the order of its table; none if the table lies outside the file. */
export function readSections(bytes: Uint8Array): ElfSection[] {
  if (bytes.length < ELF_HEADER) return []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const tableOffset = view.getBigUint64(40, true)
  const headerSize = view.getUint16(58, true)
  const count = view.getUint16(60, true)
  const namesIndex = view.getUint16(62, true)
  const whole = BigInt(bytes.length)
  if (headerSize < SECTION_HEADER || tableOffset + BigInt(headerSize * count) > whole) return []
  const headers = Array.from({ length: count }, (_, index) => {
    const at = Number(tableOffset) + index * headerSize
    const type = view.getUint32(at + 4, true)
    const offset = view.getBigUint64(at + 24, true)
    const size = view.getBigUint64(at + 32, true)
    const inside = type !== SHT_NOBITS && offset + size <= whole
    return {
      nameOffset: view.getUint32(at, true),
      type,
      flags: view.getUint32(at + 8, true),
      address: view.getBigUint64(at + 16, true),
      size,
      link: view.getUint32(at + 40, true),
      data: inside ? bytes.subarray(Number(offset), Number(offset + size)) : bytes.subarray(0, 0),
    }
  })
  const names = headers[namesIndex]?.data ?? bytes.subarray(0, 0)
  return headers.map(({ nameOffset, ...rest }) => ({ name: nameAt(names, nameOffset), ...rest }))
}

/** Longer names are none: a table without an end must not be searched again for each of them. */
const LONGEST_NAME = 1 << 16

/** The string at an offset of a string table; empty if there is none. ASCII in practice; other bytes keep their value. */
export function nameAt(table: Uint8Array, offset: number): string {
  const bytes = table.subarray(offset, offset + LONGEST_NAME)
  const end = bytes.indexOf(0)
  let text = ''
  for (let n = 0; n < end; n++) text += String.fromCharCode(bytes[n])
  return text
}
