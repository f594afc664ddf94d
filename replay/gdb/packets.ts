/**
 * The framing of the gdb remote protocol: packets `$data#checksum`, acknowledgements, and the interrupt byte.
 *
 * Whatever bytes come, something sensible comes out: noise between packets is skipped, a `$` in a packet begins a new one, and what is too
 * long is dropped as a whole.
 */

/** The longest packet taken, data only; what `PacketSize` tells gdb. */
export const PACKET_SIZE = 0x1_0000

/** Something received. */
export type Received =
  | { readonly kind: 'packet'; readonly data: string }
  /** A packet whose checksum is wrong. */
  | { readonly kind: 'damaged' }
  /** A packet longer than {@link PACKET_SIZE}. */
  | { readonly kind: 'overlong' }
  | { readonly kind: 'ack' | 'nack' | 'interrupt' }

const DOLLAR = 0x24
const HASH = 0x23
const ESCAPE = 0x7d
const ESCAPED = 0x20
const INTERRUPT = 0x03

const State = { OUTSIDE: 0, DATA: 1, FIRST: 2, SECOND: 3 } as const

/** Takes packets out of a stream of bytes. */
export class PacketReader {
  private state: (typeof State)[keyof typeof State] = State.OUTSIDE
  private data: number[] = []
  private sum = 0
  private tooLong = false
  private expected = 0

  /** Takes the next bytes; gives what they complete, in order. Data are one character a byte, escapes undone. */
  take(bytes: Uint8Array): Received[] {
    const complete: Received[] = []
    for (const byte of bytes) {
      const received = this.next(byte)
      if (received) complete.push(received)
    }
    return complete
  }

  private next(byte: number): Received | undefined {
    switch (this.state) {
      case State.OUTSIDE:
        if (byte === DOLLAR) this.begin()
        else if (byte === INTERRUPT) return { kind: 'interrupt' }
        else if (byte === 0x2b) return { kind: 'ack' }
        else if (byte === 0x2d) return { kind: 'nack' }
        return undefined
      case State.DATA:
        if (byte === DOLLAR) this.begin()
        else if (byte === HASH) this.state = State.FIRST
        else if (this.data.length < PACKET_SIZE) {
          this.data.push(byte)
          this.sum = (this.sum + byte) & 0xff
        } else this.tooLong = true
        return undefined
      case State.FIRST:
        this.expected = digit(byte) * 16
        this.state = State.SECOND
        return undefined
      default:
        this.expected += digit(byte)
        this.state = State.OUTSIDE
        if (this.tooLong) return { kind: 'overlong' }
        return this.expected === this.sum ? { kind: 'packet', data: unescape(this.data) } : { kind: 'damaged' }
    }
  }

  private begin(): void {
    this.state = State.DATA
    this.data = []
    this.sum = 0
    this.tooLong = false
  }
}

/** A packet's bytes, one character each, from its data: what must not stand in a packet is escaped. */
export function packet(data: string): string {
  const escaped = data.replaceAll(/[#$*}]/g, (c) => `}${String.fromCharCode(c.charCodeAt(0) ^ ESCAPED)}`)
  let sum = 0
  for (let i = 0; i < escaped.length; i++) sum = (sum + escaped.charCodeAt(i)) & 0xff
  return `$${escaped}#${sum.toString(16).padStart(2, '0')}`
}

/** Bytes as hexadecimal digits. */
export const toHex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')

/** Text as hexadecimal digits of its UTF-8. */
export const textToHex = (text: string): string => toHex(new TextEncoder().encode(text))

/** The text that hexadecimal digits stand for; undefined if they are none. */
export function hexToText(hex: string): string | undefined {
  if (hex.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(hex)) return undefined
  const bytes = Uint8Array.from({ length: hex.length / 2 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16))
  return new TextDecoder().decode(bytes)
}

/** The value of a hexadecimal number of at most 16 digits; undefined if it is none. */
export const parseHex = (text: string): bigint | undefined =>
  /^[0-9a-f]{1,16}$/i.test(text) ? BigInt(`0x${text}`) : undefined

/** Value of a hexadecimal digit; NaN, which equals nothing, for others. */
function digit(byte: number): number {
  const character = String.fromCharCode(byte)
  return /[0-9a-f]/i.test(character) ? Number.parseInt(character, 16) : Number.NaN
}

function unescape(data: readonly number[]): string {
  let text = ''
  for (let i = 0; i < data.length; i++) {
    const escaped = data[i] === ESCAPE && i + 1 < data.length
    text += String.fromCharCode(escaped ? data[++i] ^ ESCAPED : data[i])
  }
  return text
}
