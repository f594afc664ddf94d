/** Reads Protocol Buffers' wire format, knowing nothing of what was written: the tests' own decoder. */

/** A field: its number, and an integer or bytes. */
export type Field = readonly [number, bigint | Uint8Array]

/** The fields of a message. @throws {Error} if the bytes are not one. */
export function fields(bytes: Uint8Array): Field[] {
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= bytes.length) throw new Error('a varint is cut short')
      const byte = bytes[at++]
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw new Error('a varint is too long')
  }
  const found: Field[] = []
  while (at < bytes.length) {
    const key = Number(varint())
    if ((key & 7) === 0) found.push([key >> 3, varint()])
    else if ((key & 7) === 2) {
      const length = Number(varint())
      if (at + length > bytes.length) throw new Error('a field is cut short')
      found.push([key >> 3, bytes.subarray(at, (at += length))])
    } else throw new Error(`wire type ${key & 7}`)
  }
  return found
}

/** The fields of a number. */
export const all = (message: readonly Field[], number: number): (bigint | Uint8Array)[] =>
  message.filter(([field]) => field === number).map(([, value]) => value)

export const integer = (message: readonly Field[], number: number): number | undefined => {
  const [value] = all(message, number)
  return typeof value === 'bigint' ? Number(value) : undefined
}

export const text = (message: readonly Field[], number: number): string | undefined => {
  const [value] = all(message, number)
  return value instanceof Uint8Array ? new TextDecoder('utf-8', { fatal: true }).decode(value) : undefined
}

export const inner = (message: readonly Field[], number: number): Field[] | undefined => {
  const [value] = all(message, number)
  return value instanceof Uint8Array ? fields(value) : undefined
}
