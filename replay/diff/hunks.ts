/** Two lists of events side by side, as a unified diff has them: changes with some events before and behind. */
import type { Change, Changes } from './alignment.js'
import { changesBetween } from './alignment.js'
import type { GuestEvent } from './events.js'

/** A line of a hunk: an event of the first trace (`-`), of the second (`+`), or of both. */
export interface HunkLine {
  readonly side: ' ' | '-' | '+'
  readonly a: GuestEvent | undefined
  readonly b: GuestEvent | undefined
}

/** A change, or several close together, with what stands around. */
export interface Hunk {
  /** Numbers of the first events, from 1, and how many there are. */
  readonly a: { readonly from: number; readonly count: number }
  readonly b: { readonly from: number; readonly count: number }
  readonly lines: readonly HunkLine[]
}

/** How two lists of events differ. */
export interface EventDifference {
  readonly hunks: readonly Hunk[]
  /** Whether it was given up: the last hunk has all that was left. */
  readonly complete: boolean
}

/** Lines of a hunk that was given up, on each side. */
const MOST_LINES = 40

/** Compares events by kind and text, with so many that are the same shown around each change. */
export function diffEvents(a: readonly GuestEvent[], b: readonly GuestEvent[], context: number): EventDifference {
  const numbers = new Map<string, number>()
  const keys = (events: readonly GuestEvent[]): Int32Array =>
    Int32Array.from(events, ({ kind, text }) => {
      const name = `${kind}\n${text}`
      const known = numbers.get(name) ?? numbers.size
      numbers.set(name, known)
      return known
    })
  const { changes, complete }: Changes = changesBetween(keys(a), keys(b))
  return { hunks: gathered(changes, context).map((group) => hunk(group, a, b, context)), complete }
}

/** Changes whose surroundings touch stand together. */
function gathered(changes: readonly Change[], context: number): Change[][] {
  const groups: Change[][] = []
  for (const change of changes) {
    const last = groups.at(-1)
    const before = last?.at(-1)
    if (last && before && change.aFrom - before.aTo <= 2 * context) last.push(change)
    else groups.push([change])
  }
  return groups
}

function hunk(group: readonly Change[], a: readonly GuestEvent[], b: readonly GuestEvent[], context: number): Hunk {
  const first = group[0]
  const lead = Math.min(context, first.aFrom, first.bFrom)
  const lines: HunkLine[] = []
  let [x, y] = [first.aFrom - lead, first.bFrom - lead]
  const start = { a: x, b: y }
  const both = (to: number) => {
    for (; x < to; x++, y++) lines.push({ side: ' ', a: a[x], b: b[y] })
  }
  for (const { aFrom, aTo, bTo } of group) {
    both(aFrom)
    for (; x < aTo; x++) lines.push({ side: '-', a: a[x], b: undefined })
    for (; y < bTo; y++) lines.push({ side: '+', a: undefined, b: b[y] })
  }
  both(Math.min(x + context, a.length, x + b.length - y))
  return {
    a: { from: start.a + 1, count: x - start.a },
    b: { from: start.b + 1, count: y - start.b },
    lines: shortened(lines),
  }
}

/** Where two runs have gone different ways, the beginning of each is enough. */
function shortened(lines: readonly HunkLine[]): HunkLine[] {
  const counts = { ' ': 0, '-': 0, '+': 0 }
  return lines.filter(({ side }) => side === ' ' || ++counts[side] <= MOST_LINES)
}
