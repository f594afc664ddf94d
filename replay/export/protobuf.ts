/** Protocol Buffers' wire format, as much of it as is needed to write messages (protobuf.dev, Encoding). */

const VARINT = 0
const LENGTH_DELIMITED = 2

/** A message being written. Fields come in the order of the calls. */
export class ProtoWriter {
  private bytes = new Uint8Array(64)
  private used = 0

  /** An unsigned integer, up to 64 bits. */
  uint(field: number, value: number | bigint): this {
    this.varint(BigInt((field << 3) | VARINT))
    this.varint(BigInt(value))
    return this
  }

  text(field: number, value: string): this {
    return this.data(field, new TextEncoder().encode(value))
  }

  message(field: number, value: ProtoWriter): this {
    return this.data(field, value.finish())
  }

  /** All that has been written. */
  finish(): Uint8Array {
    return this.bytes.subarray(0, this.used)
  }

  private data(field: number, value: Uint8Array): this {
    this.varint(BigInt((field << 3) | LENGTH_DELIMITED))
    this.varint(BigInt(value.length))
    this.reserve(value.length)
    this.bytes.set(value, this.used)
    this.used += value.length
    return this
  }

  private varint(value: bigint): void {
    this.reserve(10)
    let rest = BigInt.asUintN(64, value)
    while (rest > 0x7fn) {
      this.bytes[this.used++] = Number(rest & 0x7fn) | 0x80
      rest >>= 7n
    }
    this.bytes[this.used++] = Number(rest)
  }

  private reserve(more: number): void {
    if (this.used + more <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.used + more))
    larger.set(this.bytes)
    this.bytes = larger
  }
}
