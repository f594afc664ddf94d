/** Rows on their way into SQLite, gathered so that one statement inserts many. */
import type { SqlDatabase, SqlStatement, SqlValue } from './platform.js'
import type { UartDirection, UartRow } from './rows.js'

// Rows per INSERT. Cost of a row of three numbers on one host: 0.51 µs one at a time, 0.27 µs by 16, 0.15 to 0.18 µs by 64 to 256; from one
// JSON text by json_each 0.38 µs, from a blob by a recursive query 0.51 µs.
const ROWS = 32

const repeat = (item: string, times: number) => Array.from({ length: times }, () => item).join(', ')

/** How a column is given: as one value, or as the two halves of 64 bits, high one first, as signed words. */
type Column = 'value' | 'halves'
/** A bigint for each 64-bit value would cost more than the rest of the row. */
const PLACES: Readonly<Record<Column, string>> = { value: '?', halves: '(? << 32) + (? & 4294967295)' }

/** Rows of one table, gathered in one list of values. */
export class RowBuffer {
  /** Where the rows' values go, from the place that {@link next} gives. */
  readonly values: SqlValue[]
  private readonly width: number
  private readonly ready: () => void
  private readonly one: SqlStatement
  /** Inserts as many rows as can gather; made when there are so many: short recordings never need it. */
  private readonly many: () => SqlStatement
  private readonly most: number
  private count = 0

  /**
   * @param table the table, with its columns if not all are given.
   * @param ready called before rows are inserted.
   * @param most how many rows gather.
   */
  constructor(database: SqlDatabase, table: string, columns: readonly Column[], ready: () => void, most = ROWS) {
    this.most = most
    this.width = columns.reduce((sum, column) => sum + (column === 'halves' ? 2 : 1), 0)
    this.ready = ready
    const row = `(${columns.map((column) => PLACES[column]).join(', ')})`
    this.one = database.prepare(`INSERT INTO ${table} VALUES ${row}`)
    let many: SqlStatement | undefined
    this.many = () => (many ??= database.prepare(`INSERT INTO ${table} VALUES ${repeat(row, most)}`))
    this.values = Array.from({ length: this.width * most }, () => 0)
  }

  /** The place in {@link values} of the row to fill before {@link add}. */
  next(): number {
    return this.count * this.width
  }

  /** Adds the filled row. @returns whether the buffer must be flushed before the next. */
  add(): boolean {
    return ++this.count === this.most
  }

  /** Inserts what has gathered. */
  flush(): void {
    if (this.count === 0) return
    const count = this.count
    this.count = 0
    this.ready()
    if (count === this.most) {
      this.many().run(this.values)
      return
    }
    const { width } = this
    for (let i = 0; i < count; i++) this.one.run(this.values.slice(i * width, (i + 1) * width))
  }
}

/** Rows of format 1's table `uart` that one statement inserts. */
export const UART_ROWS = 128
/** Bytes in a row of `uart_runs`, and instructions that it can span: 23 bits. */
export const RUN_BYTES = 2048
export const RUN_SPAN = 2 ** 23

/** Bytes through the UART: by far the most of all events. */
export class UartBuffer {
  private readonly ready: () => void
  private readonly insert: SqlStatement
  private readonly events = new Uint8Array(RUN_BYTES * 4)
  private start = 0
  private used = 0

  constructor(database: SqlDatabase, ready: () => void) {
    this.ready = ready
    this.insert = database.prepare('INSERT INTO uart_runs(icount, events) VALUES (?, ?)')
  }

  /** Whether {@link flush} must come before an event at this position can be added. */
  full(icount: number): boolean {
    return this.used === this.events.length || (this.used > 0 && icount - this.start >= RUN_SPAN)
  }

  /** Adds an event for which there is room. */
  add(icount: number, direction: number, byte: number): void {
    const { events, used } = this
    if (used === 0) this.start = icount
    const high = ((icount - this.start) << 1) | direction
    events[used] = high >>> 16
    events[used + 1] = high >>> 8
    events[used + 2] = high
    events[used + 3] = byte
    this.used = used + 4
  }

  flush(): void {
    const { used } = this
    if (used === 0) return
    this.used = 0
    this.ready()
    this.insert.run([this.start, this.events.subarray(0, used)])
  }
}

/** The events of a row of `uart_runs`. @throws {RangeError} if its length is not right. */
export function* uartEvents(icount: number, events: Uint8Array): IterableIterator<UartRow> {
  if (events.length === 0 || events.length % 4 !== 0 || events.length > RUN_BYTES * 4)
    throw new RangeError(`${events.length} bytes, not 4 to ${RUN_BYTES * 4} by fours`)
  for (let at = 0; at < events.length; at += 4) {
    const high = (events[at] << 16) | (events[at + 1] << 8) | events[at + 2]
    yield { icount: icount + (high >>> 1), direction: (high & 1) as UartDirection, byte: events[at + 3] }
  }
}
