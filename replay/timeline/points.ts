/** What a timeline stops at: breakpoints, watchpoints, and catchpoints for events that the trace lists. */
import type { WatchedAccess, Watchpoint } from '../../cpu/mmu/watchpoints.js'
import type { TraceReader } from '../../trace/reader.js'
import type { ExceptionKind } from '../../trace/rows.js'

/** A condition: asked where the point is met, with the machine in front of a breakpoint's instruction or behind a watched access. */
export type Condition = () => boolean

/** A breakpoint at a virtual address. */
export interface Breakpoint {
  readonly id: number
  readonly address: bigint
  readonly condition?: Condition
}

/** A watchpoint on virtual addresses. */
export interface TimelineWatchpoint extends Watchpoint {
  readonly id: number
  readonly condition?: Condition
}

/** Which events to stop at. */
export type EventFilter =
  /** Faults as table `exceptions` has them: of these kinds, or all. */
  | { readonly kind: 'exception'; readonly kinds?: readonly ExceptionKind[] }
  /** Interrupts taken: this INTID, or all. */
  | { readonly kind: 'interrupt'; readonly intid?: number }
  /** The guest has sent what matches, through its UART; the byte that completes it counts. Each byte is a character (Latin-1). */
  | { readonly kind: 'uart'; readonly pattern: string | RegExp }

/** A catchpoint for an event. */
export interface Catchpoint {
  readonly id: number
  readonly filter: EventFilter
}

/** Why the timeline stopped. */
export interface Stop {
  readonly reason: 'step' | 'breakpoint' | 'watchpoint' | 'event' | 'start' | 'end' | 'interrupted'
  readonly position: number
  /** Number of the breakpoint, watchpoint or catchpoint, for those reasons. */
  readonly breakpoint?: number
  /** For a watchpoint, the access. Going forwards the timeline stands behind its instruction, going backwards in front of it. */
  readonly access?: WatchedAccess
}

/** Where the events of a catchpoint are, in rising order. */
export interface EventPlaces {
  /** Where the timeline stops on its way forwards. */
  readonly after: readonly number[]
  /** How far before that it stops on its way backwards: 1 for what an instruction does, 0 for what happens between two. */
  readonly back: 0 | 1
}

/** Finds the events of a trace that pass a filter. */
export function eventPlaces(reader: TraceReader, filter: EventFilter): EventPlaces {
  switch (filter.kind) {
    case 'exception': {
      const after: number[] = []
      for (const { icount, kind } of reader.exceptions())
        if (!filter.kinds || filter.kinds.includes(kind)) after.push(icount + 1)
      return { after, back: 1 }
    }
    case 'interrupt': {
      const after: number[] = []
      for (const { icount, intid } of reader.interrupts())
        if (filter.intid === undefined || filter.intid === intid) after.push(icount)
      return { after, back: 0 }
    }
    default:
      return { after: uartMatches(reader, filter.pattern), back: 1 }
  }
}

function uartMatches(reader: TraceReader, pattern: string | RegExp): number[] {
  const text: string[] = []
  const positions: number[] = []
  for (const { icount, direction, byte } of reader.uart()) {
    if (direction !== 0) continue
    text.push(String.fromCharCode(byte))
    positions.push(icount)
  }
  const source =
    typeof pattern === 'string' ? pattern.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`) : pattern.source
  const flags = typeof pattern === 'string' ? 'g' : `${pattern.flags.replaceAll(/[gy]/g, '')}g`
  const after: number[] = []
  for (const match of text.join('').matchAll(new RegExp(source, flags)))
    if (match[0] !== '') after.push(positions[match.index + match[0].length - 1] + 1)
  return after
}

/** The first place behind a position, on the way forwards; undefined if there is none. */
export const nextPlace = ({ after }: EventPlaces, position: number): number | undefined =>
  after[firstAbove(after, position)]

/** The last place before a position, on the way backwards; undefined if there is none. */
export function previousPlace({ after, back }: EventPlaces, position: number): number | undefined {
  const index = firstAbove(after, position - 1 + back)
  return index === 0 ? undefined : after[index - 1] - back
}

function firstAbove(sorted: readonly number[], position: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle] > position) high = middle
    else low = middle + 1
  }
  return low
}
