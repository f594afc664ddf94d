/** Medians, spans and rates of repeated measurements. */

/** The middle value; of an even number of values, the mean of the two in the middle. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Repeated measurements: the middle, and the ends. */
export interface Span {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** The span of some values. NaN and infinities of none. */
export const span = (values: readonly number[]): Span => ({
  median: median(values),
  min: Math.min(...values),
  max: Math.max(...values),
})

/** The geometric mean of positive values; NaN of none. */
export const geometricMean = (values: readonly number[]): number =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length)

/** Below this, in seconds, a time less start-up is noise: CPU time comes in milliseconds, and start-up varies by more than that. */
export const SHORTEST = 0.01

/** Million instructions a second over the time that remains without start-up; undefined where that is too short to tell. */
export function millionsPerSecond(instructions: number, seconds: number, startUp: number): number | undefined {
  const net = seconds - startUp
  return net >= SHORTEST ? instructions / 1e6 / net : undefined
}
