/** Rows on their way into SQLite, gathered so that one statement inserts many. */
import type { SqlDatabase, SqlStatement, SqlValue } from './platform.js'

const TWO_32 = 4294967296

/** A 64-bit register as the signed integer that SQLite stores: a number where that is exact, which canonical addresses are. */
export function signed64(lo: number, hi: number): number | bigint {
  const value = (hi | 0) * TWO_32 + (lo >>> 0)
  return Number.isSafeInteger(value) ? value : (BigInt(hi | 0) << 32n) | BigInt(lo >>> 0)
}

// Rows per INSERT. Cost of a UART row on one host: 0.51 µs one at a time, 0.27 µs by 16, 0.15 to 0.18 µs by 64 to 256; from one
// JSON text by json_each 0.38 µs, from a blob by a recursive query 0.51 µs.
const UART_ROWS = 512
const ROWS = 32

const repeat = (item: string, times: number) => Array.from({ length: times }, () => item).join(', ')

/** Rows of one table, each an array of values that is reused. */
export class RowBuffer {
  private readonly width: number
  private readonly ready: () => void
  private readonly many: SqlStatement
  private readonly one: SqlStatement
  private readonly values: SqlValue[]
  private readonly row: SqlValue[]
  private count = 0

  /** @param table the table, with its columns if not all are given. @param ready called before rows are inserted. */
  constructor(database: SqlDatabase, table: string, width: number, ready: () => void) {
    this.width = width
    this.ready = ready
    const row = `(${repeat('?', width)})`
    this.one = database.prepare(`INSERT INTO ${table} VALUES ${row}`)
    this.many = database.prepare(`INSERT INTO ${table} VALUES ${repeat(row, ROWS)}`)
    this.values = Array.from({ length: width * ROWS }, () => 0)
    this.row = Array.from({ length: width }, () => 0)
  }

  /** The row to fill before {@link add}. */
  next(): SqlValue[] {
    return this.row
  }

  /** Adds the filled row. @returns whether the buffer wants to be flushed before the next. */
  add(): boolean {
    const at = this.count * this.width
    for (let i = 0; i < this.width; i++) this.values[at + i] = this.row[i]
    return ++this.count === ROWS
  }

  /** Inserts what has gathered. */
  flush(): void {
    if (this.count === 0) return
    const count = this.count
    this.count = 0
    this.ready()
    if (count === ROWS) {
      this.many.run(this.values)
      return
    }
    const { width } = this
    for (let i = 0; i < count; i++) this.one.run(this.values.slice(i * width, (i + 1) * width))
  }
}

/** Rows of `uart`: by far the most, and nearly all of them outgoing. */
export class UartBuffer {
  private readonly ready: () => void
  private readonly one: SqlStatement
  private readonly out: SqlStatement
  private readonly mixed: SqlStatement
  private readonly icounts = new Float64Array(UART_ROWS)
  private readonly bytes = new Uint8Array(UART_ROWS)
  private readonly directions = new Uint8Array(UART_ROWS)
  private readonly outValues = Array.from({ length: UART_ROWS * 2 }, () => 0)
  private readonly mixedValues = Array.from({ length: UART_ROWS * 3 }, () => 0)
  private incoming = 0
  private count = 0

  constructor(database: SqlDatabase, ready: () => void) {
    this.ready = ready
    this.one = database.prepare('INSERT INTO uart VALUES (?, ?, ?)')
    this.out = database.prepare(`INSERT INTO uart VALUES ${repeat('(?, 0, ?)', UART_ROWS)}`)
    this.mixed = database.prepare(`INSERT INTO uart VALUES ${repeat('(?, ?, ?)', UART_ROWS)}`)
  }

  /** Adds a row. @returns whether the buffer wants to be flushed before the next. */
  add(icount: number, direction: number, byte: number): boolean {
    const at = this.count
    this.icounts[at] = icount
    this.bytes[at] = byte
    this.directions[at] = direction
    this.incoming += direction
    this.count = at + 1
    return this.count === UART_ROWS
  }

  flush(): void {
    const { count, icounts, bytes, directions } = this
    if (count === 0) return
    const incoming = this.incoming
    this.count = 0
    this.incoming = 0
    this.ready()
    if (count < UART_ROWS) {
      for (let i = 0; i < count; i++) this.one.run([icounts[i], directions[i], bytes[i]])
    } else if (incoming === 0) {
      for (let i = 0, at = 0; i < UART_ROWS; i++, at += 2) {
        this.outValues[at] = icounts[i]
        this.outValues[at + 1] = bytes[i]
      }
      this.out.run(this.outValues)
    } else {
      for (let i = 0, at = 0; i < UART_ROWS; i++, at += 3) {
        this.mixedValues[at] = icounts[i]
        this.mixedValues[at + 1] = directions[i]
        this.mixedValues[at + 2] = bytes[i]
      }
      this.mixed.run(this.mixedValues)
    }
  }
}
