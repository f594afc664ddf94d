/** A packed trace, opened: what a replay needs, checked before anything is believed. */
import { TraceError } from '../errors.js'
import { decode, decodeMachine } from '../msgpack.js'
import { equalBytes, expand, hostFailure, sha256, toHex } from '../platform.js'
import type { ImageRow, InputRow, MachineRecord, Portable } from '../rows.js'
import { CHECKSUM_BYTES, readContainer } from './container.js'
import { type Manifest, type PackedImage, decodeManifest } from './manifest.js'

/** A file that may be an image that a pack has only the hash of. */
export interface GivenImage {
  /** Its name, for messages. */
  readonly name: string
  readonly bytes: Uint8Array
}

/** A part of a pack and the bytes that it takes. */
export interface PackPart {
  readonly name: string
  readonly packed: number
}

/** Bytes of an input besides its payload, at most, when decoded. */
const INPUT_OVERHEAD = 64

/** A packed trace. */
export class PackedTrace {
  readonly path: string
  /** Bytes of the file. */
  readonly bytes: number
  readonly manifest: Manifest
  readonly meta: { readonly machine: MachineRecord; readonly instructions: number; readonly finished: boolean }
  private readonly manifestBytes: number
  private readonly parts: readonly Uint8Array[]
  private readonly given = new Map<string, Uint8Array>()

  /**
   * Opens a packed trace.
   *
   * @param given files to take images from that the pack has only hashes of.
   * @throws {TraceError} if it is damaged, newer than this kaal, or a file given is none of its images.
   */
  constructor(path: string, given: readonly GivenImage[] = []) {
    const { manifest, parts, bytes } = readContainer(path)
    this.path = path
    this.bytes = bytes
    this.manifest = decodeManifest(path, manifest)
    this.manifestBytes = bytes - parts.length - CHECKSUM_BYTES
    const { finished, instructions, images, inputs } = this.manifest
    this.meta = { machine: decodeMachine(this.manifest.machine), instructions, finished }
    const lengths = [...images.map(({ packed }) => packed ?? 0), inputs.packed]
    const sum = lengths.reduce((total, length) => total + length, 0)
    if (sum !== parts.length) throw this.damaged(`its parts take ${parts.length} bytes, but the manifest says ${sum}`)
    let at = 0
    this.parts = lengths.map((length) => parts.subarray(at, (at += length)))
    for (const file of given) {
      const hash = toHex(sha256(file.bytes))
      if (!images.some((image) => toHex(image.sha256) === hash)) {
        const wanted = images.map(({ role, name }) => `${role} ${name}`).join(', ')
        throw new TraceError(path, 'missing', `${file.name} (sha256 ${hash}) is none of its images: ${wanted}`)
      }
      this.given.set(hash, file.bytes)
    }
  }

  /** The images that are neither in the pack nor given. */
  missing(): PackedImage[] {
    return this.manifest.images.filter((image) => image.packed === null && !this.given.has(toHex(image.sha256)))
  }

  /**
   * The images, each checked against its sha256.
   *
   * @throws {TraceError} `missing` naming those that the pack has only hashes of.
   */
  images(): ImageRow[] {
    const missing = this.missing().map(({ role, name, sha256: hash }) => `${role} ${name} (sha256 ${toHex(hash)})`)
    if (missing.length > 0)
      throw new TraceError(this.path, 'missing', `packed without ${missing.join(' and ')}: give the file with --image`)
    return this.manifest.images.map((image, i) => {
      const { role, name, sha256: hash, size, packed } = image
      const bytes =
        packed === null ? (this.given.get(toHex(hash)) as Uint8Array) : this.expand(`${role} ${name}`, i, size)
      if (bytes.length !== size) throw this.damaged(`${role} ${name}: ${bytes.length} bytes, not ${size}`)
      if (!equalBytes(sha256(bytes), hash))
        throw this.damaged(`${role} ${name}: sha256 ${toHex(sha256(bytes))}, not ${toHex(hash)}`)
      return { role, name, bytes, sha256: hash }
    })
  }

  /** The inputs after the first `given`. */
  *inputsAfter(given: number): IterableIterator<InputRow> {
    yield* this.inputs().slice(given)
  }

  private inputs(): InputRow[] {
    const { count, bytes, packed } = this.manifest.inputs
    if (count === 0 && packed === 0) return []
    const limit = bytes + (count + 1) * INPUT_OVERHEAD
    const value = this.try('inputs', () => decode(this.expand('inputs', this.parts.length - 1, limit)))
    const { icount, sources, source, length, payload } = (value ?? {}) as Readonly<Record<string, Portable>>
    const right =
      [icount, source, length].every((list) => isCounts(list) && list.length === count) &&
      payload instanceof Uint8Array &&
      payload.length === bytes &&
      Array.isArray(sources) &&
      sources.every((name) => typeof name === 'string')
    if (!right) throw this.damaged(`inputs: not ${count} inputs of ${bytes} bytes together`)
    let [position, at] = [0, 0]
    return (icount as number[]).map((step, i) => {
      const name = sources[(source as number[])[i]] as string | undefined
      const end = at + (length as number[])[i]
      if (name === undefined || end > bytes) throw this.damaged(`inputs: input ${i + 1} is not whole`)
      const row = { icount: (position += step), source: name, payload: payload.slice(at, end) }
      at = end
      return row
    })
  }

  /** What is in the file, with the bytes that each takes; they add up to the file's. */
  contents(): PackPart[] {
    const { images, inputs } = this.manifest
    return [
      { name: 'header and manifest', packed: this.manifestBytes },
      ...images.map(({ role, name, packed }) => ({ name: `${role} ${name}`, packed: packed ?? 0 })),
      { name: 'inputs', packed: inputs.packed },
      { name: 'checksum', packed: CHECKSUM_BYTES },
    ]
  }

  private expand(name: string, part: number, limit: number): Uint8Array {
    return this.try(name, () => expand(this.parts[part], limit))
  }

  private try<T>(name: string, action: () => T): T {
    try {
      return action()
    } catch (error) {
      if (error instanceof TraceError) throw error
      throw this.damaged(`${name}: ${hostFailure(error)?.reason ?? (error as Error).message}`, error)
    }
  }

  private damaged(reason: string, cause?: unknown): TraceError {
    return new TraceError(this.path, 'damaged', reason, cause)
  }
}

function isCounts(value: Portable | undefined): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && (item as number) >= 0)
}
