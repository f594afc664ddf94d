/**
 * Named state in machine memory: a block is a list of fields, each one word or an array of words of 32 or 64 bits.
 *
 * Every register that changes while a guest runs, of the processor and of the devices, is declared once with
 * {@link stateBlock}. From that one declaration come its place in memory (hashed in place for the batch digests), its typed
 * accessors, its snapshot and its name in a divergence report.
 */

/** One field: its word width in bits and, for an array, its length. */
export interface FieldSpec<Bits extends 32 | 64 = 32 | 64, Length extends number | undefined = number | undefined> {
  readonly bits: Bits
  readonly length: Length
}

/** A 32-bit field, read and written as an unsigned `number`. */
export const u32: FieldSpec<32, undefined> = { bits: 32, length: undefined }
/** A 64-bit field, read and written as an unsigned `bigint` (slow paths only). */
export const u64: FieldSpec<64, undefined> = { bits: 64, length: undefined }
/** An array of `length` 32-bit words. */
export const u32s = (length: number): FieldSpec<32, number> => ({ bits: 32, length })
/** An array of `length` 64-bit words. */
export const u64s = (length: number): FieldSpec<64, number> => ({ bits: 64, length })

/** The accessor type that a field declaration gives. */
export type FieldValue<S> =
  S extends FieldSpec<infer Bits, infer Length>
    ? Length extends number
      ? Bits extends 64
        ? BigUint64Array
        : Uint32Array
      : Bits extends 64
        ? bigint
        : number
    : never

/** The fields of a block, by name, in memory order. */
export type Fields = Record<string, FieldSpec>
/** The accessors of a block: scalars read and write in place, arrays are live views. */
export type BlockView<F extends Fields> = { -readonly [K in keyof F]: FieldValue<F[K]> }
/** A block's value outside machine memory, as snapshots hold it. */
export type BlockImage = Record<string, number | bigint | number[] | bigint[]>

/** Where one field of a block lies: `offset` in bytes from the block's start. */
export interface FieldPlace {
  readonly name: string
  readonly offset: number
  readonly bits: 32 | 64
  /** Words in the field; 1 for a scalar. */
  readonly words: number
  readonly scalar: boolean
}

/** A declared block: its name, size in bytes (a multiple of 8) and the places of its fields. */
export interface StateBlock<F extends Fields> {
  readonly name: string
  readonly size: number
  readonly places: readonly FieldPlace[]
  /** Byte offset of `field` from the block's start. */
  offsetOf(field: keyof F & string): number
  /** Accessors for a copy of the block that starts at byte `base` of `buffer`. */
  view(buffer: ArrayBuffer, base: number): BlockView<F>
}

/**
 * Declares a block of state. Fields are laid out in the order given; 64-bit fields are aligned to 8 bytes.
 *
 * @param name the name that snapshots, `kaal dump` and divergence reports use (`pl011`, `gicv2`, `cpu0`).
 */
export function stateBlock<const F extends Fields>(name: string, fields: F): StateBlock<F> {
  const places: FieldPlace[] = []
  let end = 0
  for (const [field, spec] of Object.entries(fields)) {
    const bytes = spec.bits / 8
    end = Math.ceil(end / bytes) * bytes
    const words = spec.length ?? 1
    places.push({ name: field, offset: end, bits: spec.bits, words, scalar: spec.length === undefined })
    end += words * bytes
  }
  const byName = new Map(places.map((place) => [place.name, place]))
  return {
    name,
    size: Math.ceil(end / 8) * 8,
    places,
    offsetOf(field) {
      const place = byName.get(field)
      if (!place) throw new Error(`state block ${name} has no field ${field}`)
      return place.offset
    },
    view(buffer, base) {
      const view = {}
      for (const place of places) Object.defineProperty(view, place.name, accessor(buffer, base, place))
      return view as BlockView<F>
    },
  }
}

function accessor(buffer: ArrayBuffer, base: number, place: FieldPlace): PropertyDescriptor {
  const at = base + place.offset
  const array =
    place.bits === 32 ? new Uint32Array(buffer, at, place.words) : new BigUint64Array(buffer, at, place.words)
  if (!place.scalar) return { value: array, enumerable: true }
  return {
    enumerable: true,
    get: () => array[0],
    set: (value: number | bigint) => {
      array[0] = value
    },
  }
}

/** Reads a block out of machine memory, for a snapshot or a report. */
export function saveBlock(block: StateBlock<Fields>, buffer: ArrayBuffer, base: number): BlockImage {
  const image: BlockImage = {}
  for (const { name, offset, bits, words, scalar } of block.places) {
    if (bits === 32) {
      const array = new Uint32Array(buffer, base + offset, words)
      image[name] = scalar ? array[0] : [...array]
    } else {
      const array = new BigUint64Array(buffer, base + offset, words)
      image[name] = scalar ? array[0] : [...array]
    }
  }
  return image
}

/**
 * Writes a block back into machine memory.
 *
 * @throws {Error} naming the block and the field if the image lacks a field, has one that the block lacks, or has one of another length.
 */
export function loadBlock(block: StateBlock<Fields>, buffer: ArrayBuffer, base: number, image: BlockImage): void {
  const known = new Set(block.places.map((place) => place.name))
  for (const name of Object.keys(image)) {
    if (!known.has(name)) throw new Error(`snapshot of ${block.name} has an unknown field ${name}`)
  }
  for (const { name, offset, bits, words } of block.places) {
    const value = image[name]
    if (value === undefined) throw new Error(`snapshot of ${block.name} lacks the field ${name}`)
    const list = Array.isArray(value) ? value : [value]
    if (list.length !== words)
      throw new Error(`snapshot of ${block.name}: ${name} has ${list.length} words, not ${words}`)
    if (bits === 32) new Uint32Array(buffer, base + offset, words).set(list.map(Number))
    else new BigUint64Array(buffer, base + offset, words).set(list.map(BigInt))
  }
}
