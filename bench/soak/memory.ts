/** Whether a process keeps growing: memory in the last third of a soak against the middle third. */

/** The last third may be above the middle one by this share. */
export const TOLERANCE = 0.1
/** Fewer loops than this cannot be told apart into thirds. */
export const LEAST_LOOPS = 3

/** What was found. */
export interface MemoryVerdict {
  /** Means of the middle and the last third, in bytes. */
  readonly middle: number
  readonly last: number
  readonly constant: boolean
}

/**
 * Judges the resident memory of loops that did the same; undefined if there are too few of them. The first third is left out: compilers
 * warm up, and memory that the system gives back slowly settles.
 *
 * @param loops bytes, one value for each loop.
 */
export function judgeMemory(loops: readonly number[]): MemoryVerdict | undefined {
  if (loops.length < LEAST_LOOPS) return undefined
  const third = Math.floor(loops.length / 3)
  const last = mean(loops.slice(-third))
  const middle = mean(loops.slice(-2 * third, -third))
  return { middle, last, constant: last <= middle * (1 + TOLERANCE) }
}

/** NaN of none. */
export const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
