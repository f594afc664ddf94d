/**
 * The differences between two lists, by Myers' greedy algorithm (E. W. Myers, An O(ND) Difference Algorithm and Its Variations, 1986): the
 * fewest insertions and deletions. What both begin with costs nothing, which is most of two traces of one kernel; from the first difference
 * on so much is compared that a resynchronisation is found, or given up after so many changes: two runs that have gone different
 * ways do not come together again, and the first difference is what is asked for.
 */

/** A stretch of both lists, `a` from `aFrom` to `aTo` against `b` from `bFrom` to `bTo` (ends excluded), that differs. */
export interface Change {
  readonly aFrom: number
  readonly aTo: number
  readonly bFrom: number
  readonly bTo: number
}

/** Changes, and whether they go on to where something was last found to be the same, or were given up. */
export interface Changes {
  readonly changes: readonly Change[]
  readonly complete: boolean
}

/** After so many insertions and deletions it is given up. */
export const MOST_CHANGES = 2000
/** Items behind the first difference that are compared. */
const WINDOW = 2 ** 19

/** How two lists of keys differ; equal keys are equal items. */
export function changesBetween(a: ArrayLike<number>, b: ArrayLike<number>, most = MOST_CHANGES): Changes {
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start++
  let [aEnd, bEnd] = [Math.min(a.length, start + WINDOW), Math.min(b.length, start + WINDOW)]
  const whole = aEnd === a.length && bEnd === b.length
  if (whole)
    while (aEnd > start && bEnd > start && a[aEnd - 1] === b[bEnd - 1]) {
      aEnd--
      bEnd--
    }
  if (aEnd === start || bEnd === start) {
    const none = aEnd === start && bEnd === start
    return { changes: none ? [] : [{ aFrom: start, aTo: aEnd, bFrom: start, bTo: bEnd }], complete: whole }
  }
  const script = greedy(a, b, start, aEnd, bEnd, most)
  if (script) return { changes: script, complete: whole }
  return { changes: [{ aFrom: start, aTo: aEnd, bFrom: start, bTo: bEnd }], complete: false }
}

/** The changes between `a` and `b` from `start` to their ends; undefined if there are more than `most`. */
function greedy(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  start: number,
  aEnd: number,
  bEnd: number,
  most: number,
): Change[] | undefined {
  const [n, m] = [aEnd - start, bEnd - start]
  const limit = Math.min(n + m, most)
  // The farthest x on diagonal k = x - y after d changes, at index k + limit + 1; what it was for each d, to go back.
  const offset = limit + 1
  const farthest = new Int32Array(2 * limit + 3)
  const history: Int32Array[] = []
  for (let d = 0; d <= limit; d++) {
    history.push(farthest.slice(offset - d - 1, offset + d + 2))
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && farthest[offset + k - 1] < farthest[offset + k + 1])
      let x = down ? farthest[offset + k + 1] : farthest[offset + k - 1] + 1
      let y = x - k
      while (x < n && y < m && a[start + x] === b[start + y]) {
        x++
        y++
      }
      farthest[offset + k] = x
      if (x >= n && y >= m) return traced(history, d, start, n, m)
    }
  }
  return undefined
}

/** Goes back through the history from the end of both lists; gathers neighbouring insertions and deletions. */
function traced(history: readonly Int32Array[], last: number, start: number, n: number, m: number): Change[] {
  const changes: Change[] = []
  let [x, y] = [n, m]
  for (let d = last; d > 0; d--) {
    const before = history[d]
    const k = x - y
    const middle = d + 1
    const down = k === -d || (k !== d && before[middle + k - 1] < before[middle + k + 1])
    const fromK = down ? k + 1 : k - 1
    const fromX = before[middle + fromK]
    const fromY = fromX - fromK
    const [toX, toY] = down ? [fromX, fromY + 1] : [fromX + 1, fromY]
    const change = { aFrom: start + fromX, aTo: start + toX, bFrom: start + fromY, bTo: start + toY }
    const next = changes.at(-1)
    if (next && next.aFrom === change.aTo && next.bFrom === change.bTo)
      changes[changes.length - 1] = { ...next, aFrom: change.aFrom, bFrom: change.bFrom }
    else changes.push(change)
    ;[x, y] = [fromX, fromY]
  }
  return changes.toReversed()
}
