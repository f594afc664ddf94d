/** The search for the first bad build in a row of builds, of which some may not be testable. */
import type { BuildVerdict } from '../scenario/rerun.js'

/** What a search has found: all builds up to `lastGood` count as good, all from `firstBad` on as bad. */
export interface Found {
  readonly lastGood: number
  readonly firstBad: number
  /** Builds between the two that could not be judged: the first bad one may be among them. */
  readonly skipped: readonly number[]
}

/**
 * Halves the row until good and bad meet. A build that cannot be judged is passed over, and the one nearest to it tried.
 *
 * @param count builds in the row, at least 2: the first is good, and the last is bad.
 * @param judge judges one of those between; no build twice.
 */
export async function searchFirstBad(count: number, judge: (n: number) => Promise<BuildVerdict>): Promise<Found> {
  let [lastGood, firstBad] = [0, count - 1]
  const unknown = new Set<number>()
  for (;;) {
    const middle = (lastGood + firstBad) / 2
    let next: number | undefined
    for (let n = lastGood + 1; n < firstBad; n++)
      if (!unknown.has(n) && (next === undefined || Math.abs(n - middle) < Math.abs(next - middle))) next = n
    if (next === undefined) break
    const verdict = await judge(next)
    if (verdict === 'good') lastGood = next
    else if (verdict === 'bad') firstBad = next
    else unknown.add(next)
  }
  return {
    lastGood,
    firstBad,
    skipped: [...unknown].filter((n) => n > lastGood && n < firstBad).toSorted((a, b) => a - b),
  }
}
