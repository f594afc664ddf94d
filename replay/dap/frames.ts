/** Messages of the Debug Adapter Protocol in a stream of bytes: a header with the length, an empty line, JSON. */

/** A longer header, or message, is none. */
const LONGEST_HEADER = 4096
const LONGEST_MESSAGE = 2 ** 24

/** Takes a stream apart. */
export class FrameReader {
  private readonly message: (message: object) => void
  private readonly complain: (line: string) => void
  private raw: Uint8Array = new Uint8Array(0)
  /** Bytes of the message whose header has been read. */
  private length: number | undefined

  /**
   * @param message gets each message.
   * @param complain gets a line for whatever is none; what follows it is read all the same.
   */
  constructor(message: (message: object) => void, complain: (line: string) => void) {
    this.message = message
    this.complain = complain
  }

  /** Takes bytes as they come. */
  push(bytes: Uint8Array): void {
    const joined = new Uint8Array(this.raw.length + bytes.length)
    joined.set(this.raw)
    joined.set(bytes, this.raw.length)
    this.raw = joined
    while (this.length === undefined ? this.header() : this.body(this.length));
  }

  /** Reads a header, if there is a whole one. */
  private header(): boolean {
    const end = endOfHeader(this.raw)
    if (end < 0) {
      if (this.raw.length <= LONGEST_HEADER) return false
      this.complain(`a header of more than ${LONGEST_HEADER} bytes`)
      this.raw = new Uint8Array(0)
      return false
    }
    const text = String.fromCharCode(...this.raw.subarray(Math.max(0, end - LONGEST_HEADER), end))
    this.raw = this.raw.subarray(end + 4)
    const length = Number(/(?:^|\n|\r)content-length:[ \t]*(\d{1,9})[ \t]*$/im.exec(text)?.[1] ?? NaN)
    if (length <= LONGEST_MESSAGE) this.length = length
    else
      this.complain(`no Content-Length of at most ${LONGEST_MESSAGE} in the header ${JSON.stringify(text.slice(-80))}`)
    return true
  }

  private body(length: number): boolean {
    if (this.raw.length < length) return false
    const text = new TextDecoder().decode(this.raw.subarray(0, length))
    this.raw = this.raw.slice(length)
    this.length = undefined
    let message: unknown
    try {
      message = JSON.parse(text)
    } catch (error) {
      this.complain(`not JSON: ${(error as Error).message}`)
      return true
    }
    if (typeof message === 'object' && message !== null && !Array.isArray(message)) this.message(message)
    else this.complain(`not a message of this protocol: ${text.slice(0, 80)}`)
    return true
  }
}

/** Where the empty line behind a header begins; -1 if there is none yet. */
function endOfHeader(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(13); at >= 0; at = bytes.indexOf(13, at + 1))
    if (bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at
  return -1
}
