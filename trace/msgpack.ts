/** msgpack as every reader knows it: no extension types, 64-bit integers for bigints, and shape checks on the way back. */
// Not the package's main file, which loads a native part that costs more at start-up than it could gain here.
import { Packr, Unpackr } from 'msgpackr/pack'
import type { BlockImage } from '../cpu/state-block.js'
import type { MachineRecord, PageRef, Portable, StateImage } from './rows.js'

// Records are msgpackr's own extension; other readers cannot read them.
const packr = new Packr({ useRecords: false, variableMapSize: true })
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true })

const U64_MAX = (1n << 64n) - 1n
const I64_MIN = -(1n << 63n)

/**
 * Encodes a value. Numbers come back as numbers and bigints as bigints, whatever their size.
 *
 * @throws {RangeError} if a bigint does not fit 64 bits.
 */
export function encode(value: Portable): Uint8Array {
  check(value)
  return new Uint8Array(packr.pack(value))
}

/**
 * Decodes what {@link encode} wrote.
 *
 * @throws {Error} if the bytes are not one whole msgpack value of plain types.
 */
export function decode(bytes: Uint8Array): Portable {
  const value: unknown = unpackr.unpack(bytes)
  check(value)
  return value
}

function check(value: unknown): asserts value is Portable {
  switch (typeof value) {
    case 'boolean':
    case 'number':
    case 'string':
      return
    case 'bigint':
      if (value < I64_MIN || value > U64_MAX) throw new RangeError(`${value} does not fit 64 bits`)
      return
    case 'object':
      if (value === null || value instanceof Uint8Array) return
      if (Array.isArray(value)) {
        for (const item of value) check(item)
        return
      }
      if (Object.getPrototypeOf(value) === Object.prototype) {
        for (const item of Object.values(value)) check(item)
        return
      }
      break
    default:
  }
  throw new TypeError(`msgpack value of type ${typeof value}: only plain types are portable`)
}

/** Decodes a machine's configuration. @throws {Error} if it is not a map. */
export function decodeMachine(bytes: Uint8Array): MachineRecord {
  return asMap(decode(bytes), 'the machine')
}

/** Encodes processor and device state. */
export function encodeState(state: StateImage): Uint8Array {
  // Thousands of words whose types are known: looking at each costs more than encoding them.
  return new Uint8Array(packr.pack(state))
}

/** Decodes processor and device state. @throws {Error} naming the block and field of another shape. */
export function decodeState(bytes: Uint8Array): StateImage {
  const state = asMap(decode(bytes), 'the state')
  for (const [block, image] of Object.entries(state)) {
    for (const [field, value] of Object.entries(asMap(image, block))) {
      if (!isWord(value) && !(Array.isArray(value) && value.every(isWord))) {
        throw new TypeError(`${block}.${field} is neither a word nor a list of words`)
      }
    }
  }
  return state as Record<string, BlockImage>
}

function isWord(value: unknown): boolean {
  return typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value))
}

function asMap(value: Portable, what: string): MachineRecord {
  if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Uint8Array) {
    throw new TypeError(`${what} is not a msgpack map`)
  }
  return value as MachineRecord
}

/** Encodes a snapshot's page list, which rises by page number. */
export function encodePages(pages: Iterable<PageRef>): Uint8Array {
  const flat: number[] = []
  for (const { page, id } of pages) flat.push(page, id)
  return encode(flat)
}

/** Decodes a snapshot's page list. @throws {Error} if it is not pairs of positive integers with rising page numbers. */
export function decodePages(bytes: Uint8Array): PageRef[] {
  const flat = decode(bytes)
  if (!Array.isArray(flat) || flat.length % 2 !== 0) throw new TypeError('the page list is not a list of pairs')
  const pages: PageRef[] = []
  let last = -1
  for (let i = 0; i < flat.length; i += 2) {
    const page: Portable = flat[i]
    const id: Portable = flat[i + 1]
    if (typeof page !== 'number' || typeof id !== 'number' || !Number.isInteger(page) || !Number.isInteger(id)) {
      throw new TypeError(`pair ${i / 2} of the page list is not two integers`)
    }
    if (page <= last) throw new TypeError(`page ${page} of the page list comes after page ${last}`)
    if (id < 1) throw new TypeError(`page ${page} has id ${id}`)
    pages.push({ page, id })
    last = page
  }
  return pages
}
