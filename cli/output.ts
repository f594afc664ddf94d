/** Standard output and error of a verb: results, guest output, diagnostics. */
import { writeSync } from 'node:fs'

/** Guest output to standard output: gathered while the guest runs, written when the host's event loop has its turn. */
export class GuestOutput {
  private readonly buffer = Buffer.alloc(16384)
  private used = 0

  /** Takes a byte. */
  readonly put = (byte: number): void => {
    if (this.used === 0) setImmediate(() => this.flush())
    this.buffer[this.used++] = byte
    if (this.used === this.buffer.length) this.flush()
  }

  flush(): void {
    const bytes = this.buffer.subarray(0, this.used)
    this.used = 0
    writeAll(1, bytes)
  }
}

/** Writes everything, however slow the reader is; a reader that is gone ends the process quietly. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  let rest = bytes
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EPIPE') process.exit(0)
      if (code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}

/** A line of results. */
export function print(line: string): void {
  writeAll(1, Buffer.from(`${line}\n`))
}

/** A line of diagnostics. */
export function say(line: string): void {
  writeAll(2, Buffer.from(`kaal: ${line}\n`))
}

/** A progress line that overwrites itself, on a terminal only. */
export class Progress {
  private readonly on = process.stderr.isTTY && !process.stdout.isTTY
  private shown = false

  show(line: string): void {
    if (!this.on) return
    writeAll(2, Buffer.from(`\r\u001b[K${line}`))
    this.shown = true
  }

  clear(): void {
    if (this.shown) writeAll(2, Buffer.from('\r\u001b[K'))
    this.shown = false
  }
}

/** JSON of a value with bigints as hexadecimal strings and bytes as hexadecimal. */
export function json(value: unknown): string {
  return JSON.stringify(
    value,
    (_key, part: unknown) => {
      if (typeof part === 'bigint') return `0x${part.toString(16)}`
      if (part instanceof Uint8Array) return Buffer.from(part).toString('hex')
      return part
    },
    2,
  )
}
