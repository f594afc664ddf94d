/** Standard output and error: gathered, written in order, and quiet once the reader has gone (`| head`). */
import { once } from 'node:events'

const FLUSH = 1 << 16

/** Standard output. Once nobody reads it any more, what is written is dropped. */
class Output {
  /** Nobody reads any more. */
  closed = false
  private readonly pieces: (string | Uint8Array)[] = []
  private size = 0
  private scheduled = false
  private bytes: number[] = []
  private readonly onClosed: (() => void)[] = []

  constructor() {
    for (const stream of [process.stdout, process.stderr]) {
      stream.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EPIPE') throw error
        if (stream === process.stderr) return
        this.closed = true
        for (const action of this.onClosed) action()
      })
    }
  }

  /** Called once, when nobody reads any more. */
  whenClosed(action: () => void): void {
    this.onClosed.push(action)
  }

  line(text: string): void {
    this.write(`${text}\n`)
  }

  json(value: unknown): void {
    this.line(JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? hex(item) : item), 2))
  }

  write(piece: string | Uint8Array): void {
    if (this.closed) return
    this.takeBytes()
    this.push(piece)
  }

  /** One byte of the guest's; written when the host's event loop has its turn, if not before. */
  byte(byte: number): void {
    if (this.closed) return
    this.bytes.push(byte)
    if (this.bytes.length >= FLUSH) {
      this.takeBytes()
      this.flush()
    } else this.schedule()
  }

  /** Waits until everything written has been taken by the reader. */
  async drain(): Promise<void> {
    this.flush()
    if (!this.closed && process.stdout.writableNeedDrain) {
      const closed = new Promise<void>((resolve) => this.whenClosed(resolve))
      await Promise.race([once(process.stdout, 'drain'), closed])
    }
    // The event that tells that nobody reads comes in a turn of its own.
    await new Promise((resolve) => setImmediate(resolve))
  }

  private takeBytes(): void {
    if (this.bytes.length === 0) return
    const taken = Uint8Array.from(this.bytes)
    this.bytes = []
    this.push(taken)
  }

  private push(piece: string | Uint8Array): void {
    this.pieces.push(piece)
    this.size += piece.length
    if (this.size >= FLUSH) this.flush()
    else this.schedule()
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      this.flush()
    })
  }

  private flush(): void {
    this.takeBytes()
    const pieces = this.pieces.splice(0)
    this.size = 0
    if (this.closed || pieces.length === 0) return
    process.stdout.write(Buffer.concat(pieces.map((piece) => Buffer.from(piece))))
  }
}

/** The process's standard output. */
export const out = new Output()

/** Says something about the work itself, on stderr. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** A line on stderr that shows how far a long run is; on a terminal only. */
export class Progress {
  private readonly width = process.stderr.isTTY ? (process.stderr.columns ?? 80) : 0
  private shown = false

  show(text: string): void {
    if (this.width === 0) return
    process.stderr.write(`\r${text.slice(0, this.width - 1)}\u001B[K`)
    this.shown = true
  }

  clear(): void {
    if (this.shown) process.stderr.write('\r\u001B[K')
    this.shown = false
  }
}

/** Text in bold if this is a terminal and nobody has asked for none (NO_COLOR). */
export function bold(text: string): string {
  const colours = process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === ''
  return colours ? `\u001B[1m${text}\u001B[22m` : text
}

const hex = (value: bigint): string => `0x${value.toString(16)}`
