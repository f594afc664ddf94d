/** How the fields of a register are described, and how a value is taken apart. */

/** What a field's value means. */
export type Meaning = Readonly<Record<number, string>> | ((value: bigint) => string | undefined)

/** A field: its name as the Arm ARM has it, and its bits. */
export interface FieldRow {
  readonly name: string
  readonly high: number
  readonly low: number
  readonly meaning?: Meaning
}

/** The fields of a register, which may depend on its value. Reserved bits are not named. */
export type RegisterLayout = readonly FieldRow[] | ((value: bigint) => readonly FieldRow[])

/** A field of a value. */
export interface DecodedField {
  readonly name: string
  readonly high: number
  readonly low: number
  readonly value: bigint
  /** In words, where the value has a meaning of its own. */
  readonly meaning: string | undefined
}

/** A field of several bits. */
export const bits = (name: string, high: number, low: number, meaning?: Meaning): FieldRow =>
  meaning === undefined ? { name, high, low } : { name, high, low, meaning }

/** A field of one bit, with what it means set and clear. */
export const bit = (name: string, at: number, set?: string, clear?: string): FieldRow =>
  bits(name, at, at, { ...(clear !== undefined && { 0: clear }), ...(set !== undefined && { 1: set }) })

/** The bits `high` to `low` of a value. */
export const extract = (value: bigint, high: number, low: number): bigint =>
  BigInt.asUintN(high - low + 1, value >> BigInt(low))

/** Takes a value apart, in the order of the layout. */
export function decodeFields(layout: RegisterLayout, value: bigint): DecodedField[] {
  const rows = typeof layout === 'function' ? layout(value) : layout
  return rows.map(({ name, high, low, meaning }) => {
    const part = extract(value, high, low)
    const words = typeof meaning === 'function' ? meaning(part) : meaning?.[Number(part)]
    return { name, high, low, value: part, meaning: words }
  })
}
