/** Positions and counts as people write and read them: `12_345_678`, `end`. */
import { grouped, parseCount } from '../replay/debugger/numbers.js'
import { UsageError } from './errors.js'

export { grouped }

/**
 * Reads the position given to an option; `end` is undefined.
 *
 * @throws {UsageError} naming the option.
 */
export function parsePosition(option: string, text: string): number | undefined {
  if (text.trim() === 'end') return undefined
  return parseNumber(option, text, 0, 'a position such as 12_345_678, or end')
}

/**
 * Reads a number of at least `low` given to an option.
 *
 * @throws {UsageError} naming the option.
 */
export function parseNumber(option: string, text: string, low: number, what: string): number {
  const value = parseCount(text)
  if (value === undefined || value < low) throw new UsageError(`${option} ${text}: give ${what}`)
  return value
}

/** Refuses a position that a trace does not have. */
export function checkPosition(option: string, position: number | undefined, end: number): void {
  if (position !== undefined && position > end)
    throw new UsageError(`${option} ${grouped(position)}: this trace ends at ${grouped(end)}`)
}
