/** The guest's console: keys from a terminal, or bytes from a file, into the guest's UART. */
import { closeSync, createReadStream, openSync, readFileSync, readSync, statSync } from 'node:fs'
import type { Recorder } from '../replay/recorder.js'
import { say } from './output.js'

const CTRL_A = 1

/** Throws, with the path, unless a file can be read: before anything has been recorded. */
export function checkReadable(path: string): void {
  try {
    const file = openSync(path, 'r')
    try {
      readSync(file, Buffer.alloc(1), 0, 1, 0)
    } finally {
      closeSync(file)
    }
  } catch (error) {
    throw Object.assign(error as Error, { path })
  }
}

/**
 * Feeds a recorder from `--input`: a file, a device or pipe, or `-` for standard input.
 *
 * @returns what undoes it; reading errors go to `fail`.
 */
export function feedFrom(path: string, recorder: Recorder, fail: (error: Error) => void): () => void {
  if (path !== '-' && statSync(path).isFile()) {
    // All of it is there from the start, so that two recordings with the same file are the same.
    recorder.send(readFileSync(path))
    recorder.endInput()
    return () => {}
  }
  const stream = path === '-' ? process.stdin : createReadStream(path)
  stream.on('data', (chunk: string | Buffer) => recorder.send(Buffer.from(chunk)))
  stream.on('end', () => recorder.endInput())
  stream.on('error', (error: Error) => fail(Object.assign(error, { path })))
  return () => {
    stream.destroy()
  }
}

/** What a key means: a byte for the guest, or the end. `Ctrl-A x` ends, `Ctrl-A a` (or twice Ctrl-A) sends Ctrl-A. */
export class KeyReader {
  private escaped = false

  /** Reads keys; returns the bytes for the guest, and whether the person wants to end. */
  read(keys: Uint8Array): { readonly bytes: Uint8Array; readonly end: boolean } {
    const bytes: number[] = []
    for (const key of keys) {
      if (!this.escaped) {
        if (key === CTRL_A) this.escaped = true
        else bytes.push(key)
        continue
      }
      this.escaped = false
      if (key === 'x'.charCodeAt(0)) return { bytes: Uint8Array.from(bytes), end: true }
      if (key === CTRL_A || key === 'a'.charCodeAt(0)) bytes.push(CTRL_A)
    }
    return { bytes: Uint8Array.from(bytes), end: false }
  }
}

/** Feeds a recorder from the terminal, in raw mode. Returns what puts the terminal back. */
export function feedFromTerminal(recorder: Recorder): () => void {
  const keys = new KeyReader()
  const { stdin } = process
  const take = (chunk: Buffer): void => {
    const { bytes, end } = keys.read(chunk)
    recorder.send(bytes)
    if (end) recorder.stop()
  }
  stdin.setRawMode(true)
  stdin.on('data', take)
  stdin.resume()
  say('your keys go to the guest; Ctrl-A x ends the recording')
  const restore = (): void => {
    stdin.off('data', take)
    stdin.setRawMode(false)
    stdin.pause()
    process.off('exit', restore)
  }
  process.on('exit', restore)
  return restore
}
