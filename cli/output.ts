/** Standard output and error of a verb: results, guest output, diagnostics. */
import { writeSync } from 'node:fs'

/**
 * Guest output to standard output: gathered while the guest runs, written when the host's event loop has its turn. If nobody reads it any
 * more, the guest goes on all the same: a replay is still checked, a recording still whole.
 */
export class GuestOutput {
  private readonly buffer = Buffer.alloc(16384)
  private used = 0
  private closed = false

  /** Takes a byte. */
  readonly put = (byte: number): void => {
    if (this.used === 0) setImmediate(() => this.flush())
    this.buffer[this.used++] = byte
    if (this.used === this.buffer.length) this.flush()
  }

  flush(): void {
    const bytes = this.buffer.subarray(0, this.used)
    this.used = 0
    if (!this.closed) this.closed = !writeAll(1, bytes)
  }
}

/** Writes everything, however slow the reader is. Returns false if the reader is gone. */
export function writeAll(fd: number, bytes: Uint8Array): boolean {
  let rest = bytes
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EPIPE') return false
      if (code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
  return true
}

/** A line of results. A reader that has seen enough (`| head`) ends the process quietly. */
export function print(line: string): void {
  if (!writeAll(1, Buffer.from(`${line}\n`))) process.exit(0)
}

/** A line of diagnostics. */
export function say(line: string): void {
  writeAll(2, Buffer.from(`kaal: ${line}\n`))
}

/** JSON of a value with bigints and bytes as hexadecimal strings; on one line if `compact`. */
export function json(value: unknown, compact = false): string {
  return JSON.stringify(plain(value), undefined, compact ? undefined : 2)
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return `0x${value.toString(16)}`
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]))
}
