/** What a packed trace says of itself: its manifest, a msgpack map, read with every field checked. `docs/packing.md` explains the fields. */
import { TraceError } from '../errors.js'
import { decode, decodeMachine, encode } from '../msgpack.js'
import { expand, hostFailure } from '../platform.js'
import { type BatchEnd, type ImageRole, type Portable, BATCH_ENDS, FORMAT, IMAGE_ROLES } from '../rows.js'

/** An image that a packed trace needs. */
export interface PackedImage {
  readonly role: ImageRole
  /** File name, for people. */
  readonly name: string
  readonly sha256: Uint8Array
  /** Bytes of the image. */
  readonly size: number
  /** Bytes that it takes in the pack; null if only its hash is there. */
  readonly packed: number | null
}

/** The fields of a manifest. */
export interface Manifest {
  /** Version of kaal that packed it. */
  readonly packer: string
  /** `meta.format`, `meta.kaal`, `meta.uuid` and `meta.machine` of the trace, the last as it stood there. */
  readonly format: number
  readonly kaal: string
  readonly uuid: string
  readonly machine: Uint8Array
  /** Whether the recording was finished; if not, everything is as of its last committed batch. */
  readonly finished: boolean
  /** The last position. */
  readonly instructions: number
  /** How many batches there are, and why the last one ended; empty if there is none. */
  readonly batches: number
  readonly ended: BatchEnd | ''
  /** How many snapshots there are: of an unfinished trace, the one behind its last batch may be missing. */
  readonly snapshots: number
  /** The chained digest of the last batch: 8 bytes, big-endian. */
  readonly digest: Uint8Array
  /** The final digest, 32 bytes; null if unfinished. */
  readonly finalDigest: Uint8Array | null
  /** The seal of the trace's file, 32 bytes; null if unfinished. */
  readonly seal: Uint8Array | null
  /** Where the recorder committed, each less the one before. */
  readonly commits: readonly number[]
  readonly images: readonly PackedImage[]
  /** Number of inputs, bytes of all their payloads, and bytes that they take in the pack. */
  readonly inputs: { readonly count: number; readonly bytes: number; readonly packed: number }
}

/** Encodes a manifest. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  return encode(manifest as unknown as Portable)
}

/** A manifest is small; what would expand to more is none. */
const MOST_BYTES = 16 << 20

type Check = (value: Portable) => boolean

const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0
const isText: Check = (value) => typeof value === 'string'
const isBytes =
  (length: number): Check =>
  (value) =>
    value instanceof Uint8Array && value.length === length
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value)
const isList =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check)

/** Each field with what it must be. */
const FIELDS: Readonly<Record<keyof Manifest, readonly [Check, string]>> = {
  packer: [isText, 'text'],
  format: [(value) => isCount(value) && (value as number) >= 1, 'a number from 1 up'],
  kaal: [isText, 'text'],
  uuid: [isText, 'text'],
  machine: [(value) => value instanceof Uint8Array, 'bytes'],
  finished: [(value) => typeof value === 'boolean', 'true or false'],
  instructions: [isCount, 'a count'],
  batches: [isCount, 'a count'],
  ended: [(value) => value === '' || BATCH_ENDS.includes(value as BatchEnd), `one of ${BATCH_ENDS.join(', ')}`],
  snapshots: [isCount, 'a count'],
  digest: [isBytes(8), '8 bytes'],
  finalDigest: [orNull(isBytes(32)), '32 bytes'],
  seal: [orNull(isBytes(32)), '32 bytes'],
  commits: [isList((step) => isCount(step) && (step as number) > 0), 'a list of numbers from 1 up'],
  images: [Array.isArray, 'a list'],
  inputs: [isMap, 'a map'],
}
const IMAGE_FIELDS: Readonly<Record<keyof PackedImage, readonly [Check, string]>> = {
  role: [(value) => IMAGE_ROLES.includes(value as ImageRole), `one of ${IMAGE_ROLES.join(', ')}`],
  name: [isText, 'text'],
  sha256: [isBytes(32), '32 bytes'],
  size: [isCount, 'a count'],
  packed: [orNull(isCount), 'a count'],
}
const INPUT_FIELDS: Readonly<Record<keyof Manifest['inputs'], readonly [Check, string]>> = {
  count: [isCount, 'a count'],
  bytes: [isCount, 'a count'],
  packed: [isCount, 'a count'],
}

function isMap(value: Portable): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
}

/**
 * Decodes a manifest.
 *
 * @throws {TraceError} naming the field that is missing, unknown, of another type or not possible.
 */
export function decodeManifest(path: string, bytes: Uint8Array): Manifest {
  const damaged = (reason: string): TraceError => new TraceError(path, 'damaged', reason)
  let value: Portable
  try {
    value = decode(expand(bytes, MOST_BYTES))
  } catch (error) {
    const reason = hostFailure(error)?.reason ?? (error as Error).message
    throw new TraceError(path, 'damaged', `the manifest cannot be read: ${reason}`, error)
  }
  checkFields(path, 'the manifest', value, FIELDS)
  const manifest = value as unknown as Manifest
  for (const [i, image] of manifest.images.entries())
    checkFields(path, `image ${i + 1}`, image as unknown as Portable, IMAGE_FIELDS)
  checkFields(path, 'inputs', manifest.inputs, INPUT_FIELDS)
  const { format, finished, batches, ended, kaal } = manifest
  if (format > FORMAT)
    throw new TraceError(
      path,
      'newer',
      `holds a trace of format ${format}, made by kaal ${kaal}; this kaal knows up to ${FORMAT}`,
    )
  for (const field of ['finalDigest', 'seal'] as const)
    if ((manifest[field] !== null) !== finished)
      throw damaged(`${field} is ${finished ? 'missing' : 'there'}, but finished is ${finished}`)
  if ((ended === '') !== (batches === 0))
    throw damaged(`ended is ${JSON.stringify(ended)}, but there are ${batches} batches`)
  try {
    decodeMachine(manifest.machine)
  } catch (error) {
    throw damaged(`machine: ${(error as Error).message}`)
  }
  return manifest
}

function checkFields(
  path: string,
  where: string,
  value: Portable,
  fields: Readonly<Record<string, readonly [Check, string]>>,
): void {
  if (!isMap(value)) throw new TraceError(path, 'damaged', `${where} is not a map`)
  const map = value as Readonly<Record<string, Portable>>
  for (const name of Object.keys(map)) {
    if (fields[name] === undefined)
      throw new TraceError(
        path,
        'newer',
        `${where} has a field ${JSON.stringify(name)}, which this kaal does not know: a newer one may`,
      )
  }
  for (const [name, [check, what]] of Object.entries(fields)) {
    if (!(name in map)) throw new TraceError(path, 'damaged', `${where} lacks the field ${name}`)
    if (!check(map[name])) throw new TraceError(path, 'damaged', `${where}: ${name} is not ${what}`)
  }
}
