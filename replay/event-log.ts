/** The events of one batch of a replay, kept to say which of them is the first that the trace does not have. */
import type { TraceReader } from '../trace/reader.js'
import type { BatchRow } from '../trace/rows.js'

/** The kinds of event that a trace lists and a replay makes again. */
const KINDS = ['uart', 'interrupt', 'exception'] as const
type Kind = (typeof KINDS)[number]
/** Numbers an event takes: kind, position, and what happened in one number (byte, INTID, syndrome). */
const WIDTH = 3

interface Event {
  readonly kind: Kind
  readonly icount: number
  readonly what: number
}

/** A list of events that is cheap to append to and to clear. */
export class EventLog {
  private numbers = new Float64Array(WIDTH * 1024)
  private used = 0

  /** Forgets all events. */
  clear(): void {
    this.used = 0
  }

  /** Appends one: a UART byte sent, an INTID taken, or an exception by its syndrome. */
  add(kind: Kind, icount: number, what: number): void {
    if (this.used === this.numbers.length) {
      const larger = new Float64Array(this.numbers.length * 2)
      larger.set(this.numbers)
      this.numbers = larger
    }
    this.numbers[this.used] = KINDS.indexOf(kind)
    this.numbers[this.used + 1] = icount
    this.numbers[this.used + 2] = what
    this.used += WIDTH
  }

  /** The first event in which the trace and this log differ, for people; undefined if they have the same events. */
  firstDifference(reader: TraceReader, batch: BatchRow): string | undefined {
    const differences = KINDS.flatMap((kind) => {
      const recorded = recordedEvents(reader, batch, kind)
      const replayed = this.events(kind)
      const at = replayed.findIndex((event, i) => !same(event, recorded[i]))
      const index = at >= 0 ? at : recorded.length > replayed.length ? replayed.length : -1
      return index < 0 ? [] : [{ recorded: recorded[index], replayed: replayed[index] }]
    })
    const position = ({ recorded, replayed }: (typeof differences)[number]): number =>
      Math.min(recorded?.icount ?? Infinity, replayed?.icount ?? Infinity)
    const [first] = differences.toSorted((a, b) => position(a) - position(b))
    return (
      first && `first other event: ${describe(first.recorded)} in the trace, ${describe(first.replayed)} in the replay`
    )
  }

  private events(kind: Kind): Event[] {
    const events: Event[] = []
    for (let at = 0; at < this.used; at += WIDTH) {
      if (KINDS[this.numbers[at]] === kind)
        events.push({ kind, icount: this.numbers[at + 1], what: this.numbers[at + 2] })
    }
    return events
  }
}

/** A batch's events in the trace. What happens at a boundary, an interrupt, belongs to the batch that ends there. */
function recordedEvents(reader: TraceReader, { icount, count }: BatchRow, kind: Kind): Event[] {
  const end = icount + count
  if (kind === 'interrupt') {
    const rows = [...reader.interrupts({ from: icount + 1, to: end })]
    return rows.map((row) => ({ kind, icount: row.icount, what: row.intid }))
  }
  if (count === 0) return []
  const span = { from: icount, to: end - 1 }
  if (kind === 'exception')
    return [...reader.exceptions(span)].map((row) => ({ kind, icount: row.icount, what: row.esr }))
  return [...reader.uart(span)]
    .filter(({ direction }) => direction === 0)
    .map((row) => ({ kind, icount: row.icount, what: row.byte }))
}

function same(a: Event, b: Event | undefined): boolean {
  return b !== undefined && a.icount === b.icount && a.what === b.what
}

function describe(event: Event | undefined): string {
  if (!event) return 'none'
  const { kind, icount, what } = event
  if (kind === 'interrupt') return `interrupt ${what} at ${icount}`
  if (kind === 'exception') return `exception with ESR 0x${what.toString(16)} at ${icount}`
  return `byte 0x${what.toString(16).padStart(2, '0')} sent at ${icount}`
}
