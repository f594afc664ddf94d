/** Positions as people write them: `12_345_678`, `end`. */
import { grouped } from '../replay/debugger/numbers.js'
import { UsageError } from './errors.js'

/**
 * Reads a position.
 *
 * @param end what `end` stands for.
 * @throws {UsageError} if it is malformed.
 */
export function parsePosition(option: string, text: string, end: number): number {
  if (text === 'end') return end
  if (!/^\d+(_\d+)*$/.test(text)) throw new UsageError(`${option} ${text}: give a position such as 12_345_678, or end`)
  const position = Number(text.replaceAll('_', ''))
  if (!Number.isSafeInteger(position)) throw new UsageError(`${option} ${text}: no trace is that long`)
  return position
}

/** Writes a position with its digits in groups of three. */
export const formatPosition = grouped
