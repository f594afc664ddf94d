/** Numbers as people write and read them. */

/** A number with its digits in groups of three: `12_345_678`. */
export const grouped = (value: number): string => String(value).replaceAll(/\B(?=(\d{3})+$)/g, '_')

/** Reads a decimal number, `_` allowed between digits; undefined if it is none or too large to be exact. */
export function parseCount(text: string): number | undefined {
  if (!/^\d+(_\d+)*$/.test(text.trim())) return undefined
  const value = Number(text.replaceAll('_', ''))
  return Number.isSafeInteger(value) ? value : undefined
}

/** An address or register, in all its 16 hexadecimal digits. */
export const hex64 = (value: bigint): string => `0x${value.toString(16).padStart(16, '0')}`
