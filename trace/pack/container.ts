/**
 * The container of a packed trace: a header, the manifest, the parts, and a checksum over all of it.
 *
 *     0   8  'kaalpack'
 *     8   4  the container's format, {@link PACK_FORMAT}
 *     12  4  bytes of the manifest, compressed
 *     16  8  bytes of the whole file
 *     24     the manifest; the parts, in the order in which the manifest names them
 *     end-32 sha256 of everything before
 *
 * Numbers are big-endian. Whatever the format, the first 24 bytes and the last 32 mean the same.
 */
import { TraceError } from '../errors.js'
import { createSha256, equalBytes, fileKind, hostFailure, openFile, readBytes, sha256 } from '../platform.js'
import { PACK_MAGIC } from '../rows.js'

/** The container's format that this library writes, and the newest that it reads. */
export const PACK_FORMAT = 1
const HEADER_BYTES = 24
export const CHECKSUM_BYTES = 32

/** The manifest and what follows it, still compressed. */
export interface Container {
  readonly manifest: Uint8Array
  /** All parts, one behind the other. */
  readonly parts: Uint8Array
  /** Bytes of the whole file. */
  readonly bytes: number
}

/** Puts a container together. */
export function joinContainer(manifest: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  const total = HEADER_BYTES + manifest.length + parts.reduce((sum, part) => sum + part.length, 0) + CHECKSUM_BYTES
  const bytes = new Uint8Array(total)
  const view = new DataView(bytes.buffer)
  bytes.set(new TextEncoder().encode(PACK_MAGIC))
  view.setUint32(8, PACK_FORMAT)
  view.setUint32(12, manifest.length)
  view.setBigUint64(16, BigInt(total))
  let at = HEADER_BYTES
  for (const part of [manifest, ...parts]) {
    bytes.set(part, at)
    at += part.length
  }
  bytes.set(sha256(bytes.subarray(0, at)), at)
  return bytes
}

/** Whether the file at `path` begins as a packed trace does. False if there is no such file, or it cannot be read. */
export function isPack(path: string): boolean {
  try {
    if (fileKind(path) !== 'file') return false
    const file = openFile(path, 'r')
    try {
      const bytes = new Uint8Array(PACK_MAGIC.length)
      return file.read(bytes, 0) === bytes.length && new TextDecoder().decode(bytes) === PACK_MAGIC
    } finally {
      file.close()
    }
  } catch (error) {
    if (hostFailure(error) === undefined) throw error
    return false
  }
}

/**
 * Reads a container, and checks that it is whole and unchanged.
 *
 * @throws {TraceError} saying what is wrong.
 */
export function readContainer(path: string): Container {
  return splitContainer(path, readWhole(path))
}

/** Takes a container apart. @throws {TraceError} saying what is wrong; `path` is its name. */
export function splitContainer(path: string, bytes: Uint8Array): Container {
  const damaged = (reason: string): TraceError => new TraceError(path, 'damaged', reason)
  const magic = new TextDecoder('latin1').decode(bytes.subarray(0, PACK_MAGIC.length))
  if (bytes.length === 0) throw new TraceError(path, 'foreign', 'empty: no packed trace')
  if (magic.startsWith('SQLite f')) throw new TraceError(path, 'foreign', 'a trace, not a packed one')
  if (!PACK_MAGIC.startsWith(magic)) throw new TraceError(path, 'foreign', 'not a packed trace')
  if (bytes.length < HEADER_BYTES) throw damaged(`cut short: ${bytes.length} bytes, less than a header`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const total = view.getBigUint64(16)
  if (total > bytes.length) throw damaged(`cut short: ${bytes.length} bytes of ${total}`)
  const body = bytes.length - CHECKSUM_BYTES
  const sha = createSha256()
  sha.update(bytes.subarray(0, Math.max(body, 0)))
  if (body < HEADER_BYTES || !equalBytes(sha.digest(), bytes.subarray(body)))
    throw damaged('its checksum does not match: bytes were changed, lost or added since it was packed')
  const format = view.getUint32(8)
  if (format > PACK_FORMAT)
    throw new TraceError(path, 'newer', `a pack of format ${format}; this kaal reads up to ${PACK_FORMAT}`)
  if (format < 1) throw damaged(`its format is ${format}`)
  const size = view.getUint32(12)
  if (total !== BigInt(bytes.length)) throw damaged(`it has ${bytes.length} bytes, but says ${total}`)
  if (HEADER_BYTES + size > body) throw damaged(`its manifest of ${size} bytes does not fit`)
  const end = HEADER_BYTES + size
  return { manifest: bytes.subarray(HEADER_BYTES, end), parts: bytes.subarray(end, body), bytes: bytes.length }
}

function readWhole(path: string): Uint8Array {
  const kind = fileKind(path)
  if (kind === 'missing') throw new TraceError(path, 'missing', 'no such file')
  if (kind === 'directory') throw new TraceError(path, 'access', 'is a directory, not a packed trace')
  if (kind === 'other') throw new TraceError(path, 'access', 'is not a regular file')
  try {
    return readBytes(path)
  } catch (error) {
    const failure = hostFailure(error)
    if (failure === undefined) throw error
    throw new TraceError(path, 'access', failure.reason, error)
  }
}
