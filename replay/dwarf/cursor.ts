/** Reads the little-endian values of a DWARF section (DWARF 5, 7.6 for LEB128), never past its end. */

/** Debugging information that makes no sense. The message is one line: the section, where, and what is wrong. */
export class DwarfError extends Error {
  override readonly name = 'DwarfError'
}

/** A section's bytes, under its name. */
export interface DwarfSection {
  readonly name: string
  readonly data: Uint8Array
}

/** A place in a section that moves forward with what is read. */
export class Cursor {
  readonly section: string
  /** Offset in the section of what is read next. */
  at: number
  /** Nothing is read from here on. */
  readonly end: number
  private readonly data: Uint8Array
  private readonly view: DataView

  constructor({ name, data }: DwarfSection, at = 0, end = data.length) {
    this.section = name
    this.data = data
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    this.at = at
    this.end = end
    if (at > end || end > data.length) throw this.error(`offset 0x${at.toString(16)} lies outside it`)
  }

  /** Whether everything has been read. */
  get done(): boolean {
    return this.at >= this.end
  }

  /** Bytes that are left. */
  get left(): number {
    return this.end - this.at
  }

  /** An error that says where. */
  error(problem: string): DwarfError {
    return new DwarfError(`${this.section} at 0x${this.at.toString(16)}: ${problem}`)
  }

  /** A cursor over the next `bytes` bytes; this one moves behind them. */
  slice(bytes: number): Cursor {
    const start = this.take(bytes)
    return new Cursor({ name: this.section, data: this.data }, start, this.at)
  }

  u8(): number {
    return this.data[this.take(1)]
  }

  u16(): number {
    return this.view.getUint16(this.take(2), true)
  }

  u24(): number {
    const at = this.take(3)
    return this.view.getUint16(at, true) + this.data[at + 2] * 0x1_0000
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true)
  }

  u64(): bigint {
    return this.view.getBigUint64(this.take(8), true)
  }

  /** An offset or length of the 32-bit or the 64-bit format (DWARF 5, 7.4). */
  offset(wide: boolean): number {
    return wide ? Number(this.u64()) : this.u32()
  }

  /** An address of 1, 2, 4 or 8 bytes. */
  address(bytes: number): bigint {
    switch (bytes) {
      case 8:
        return this.u64()
      case 4:
        return BigInt(this.u32())
      case 2:
        return BigInt(this.u16())
      case 1:
        return BigInt(this.u8())
      default:
        throw this.error(`an address of ${bytes} bytes`)
    }
  }

  /** An unsigned LEB128; exact up to 2^53. */
  uleb(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if ((byte & 0x80) === 0) return value
      scale *= 128
    }
  }

  /** A signed LEB128; exact up to 2^53 either way. */
  sleb(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      scale *= 128
      if ((byte & 0x80) === 0) return (byte & 0x40) !== 0 ? value - scale : value
    }
  }

  /** A string up to its NUL. */
  string(): string {
    const end = this.data.indexOf(0, this.at)
    if (end < 0 || end >= this.end) throw this.error('a string without an end')
    const text = utf8.decode(this.data.subarray(this.at, end))
    this.at = end + 1
    return text
  }

  /** Passes over bytes, whose value is nobody's business. */
  skip(bytes: number): undefined {
    this.take(bytes)
    return undefined
  }

  /**
   * The length that a unit begins with (DWARF 5, 7.4): moves behind it.
   *
   * @returns the bytes that follow, and whether the unit is of the 64-bit format.
   */
  unitLength(): { length: number; wide: boolean } {
    const first = this.u32()
    if (first < 0xffff_fff0) return { length: first, wide: false }
    if (first !== 0xffff_ffff) throw this.error(`the reserved unit length 0x${first.toString(16)}`)
    return { length: Number(this.u64()), wide: true }
  }

  private take(bytes: number): number {
    const start = this.at
    // NaN and fractions do not come from here, but lengths beyond 2^53 do.
    if (!(bytes <= this.end - start)) {
      const there = this.end - start
      throw this.error(`${bytes} bytes wanted where ${there === 1 ? 'is 1' : `are ${there}`}`)
    }
    this.at += bytes
    return start
  }
}

const utf8 = new TextDecoder()
/** Names that others refer to are cut here: a damaged offset in a section without a NUL must cost no more than this. */
const LONGEST_NAME = 4096

/** Work that grows with what a file claims instead of with its size: so much of it, and then the file is hostile. */
export class Allowance {
  private left: number
  private readonly what: string

  /** @param what is too much, for the error. */
  constructor(units: number, what: string) {
    this.left = units
    this.what = what
  }

  /** @throws {DwarfError} if it is used up. */
  spend(units: number, cursor: Cursor): void {
    this.left -= units
    if (this.left < 0) throw cursor.error(`${this.what}: more than a file of this size can need`)
  }
}

/** A section of strings that others refer to: each is read once. */
export class Strings {
  private readonly section: DwarfSection
  private readonly known = new Map<number, string>()
  private readonly allowance: Allowance

  constructor(section: DwarfSection) {
    this.section = section
    // Strings may be the ends of others, but few are.
    this.allowance = new Allowance(8 * section.data.length + 65536, 'strings that overlap')
  }

  /** The string at an offset. */
  at(offset: number): string {
    let text = this.known.get(offset)
    if (text === undefined) {
      const cursor = new Cursor(this.section, offset)
      const bytes = this.section.data.subarray(cursor.at, cursor.at + LONGEST_NAME)
      const end = bytes.indexOf(0)
      const own = end < 0 ? bytes : bytes.subarray(0, end)
      this.allowance.spend(own.length + 1, cursor)
      text = utf8.decode(own)
      this.known.set(offset, text)
    }
    return text
  }
}
