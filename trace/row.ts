/** A row as SQLite gave it, read field by field with the checks that a damaged file calls for. */
import { TraceError } from './errors.js'
import { type SqlValue, hostFailure } from './platform.js'

/** Tables with columns that need all of 64 bits. */
const BIG = new Set(['batches', 'interrupts', 'exceptions'])

/** Whether rows of `table` are to be read with bigints. */
export function bigRow(table: string): boolean {
  return BIG.has(table)
}

export class Row {
  private readonly path: string
  private readonly table: string
  private readonly id: number
  private readonly columns: readonly string[]
  private readonly values: readonly SqlValue[]

  constructor(path: string, table: string, id: number, columns: readonly string[], values: readonly SqlValue[]) {
    this.path = path
    this.table = table
    this.id = id
    this.columns = columns
    this.values = values
  }

  /** An integer between `min` and `max`, as a number. */
  integer(column: string, min = 0, max = Number.MAX_SAFE_INTEGER): number {
    const value = this.value(column)
    const number = typeof value === 'bigint' ? Number(value) : value
    if (typeof number !== 'number' || !Number.isInteger(number) || number < min || number > max) {
      throw this.wrong(column, `${show(value)}, not an integer from ${min} to ${max}`)
    }
    return number
  }

  /** An integer from 1 up, or undefined for NULL. */
  optional(column: string): number | undefined {
    return this.value(column) === null ? undefined : this.integer(column, 1)
  }

  /** 64 bits, unsigned. */
  word64(column: string): bigint {
    const value = this.value(column)
    if (typeof value !== 'bigint') throw this.wrong(column, `${show(value)}, not an integer`)
    return BigInt.asUintN(64, value)
  }

  text(column: string): string {
    const value = this.value(column)
    if (typeof value !== 'string') throw this.wrong(column, `${show(value)}, not text`)
    return value
  }

  /** One of a list of names. */
  name<T extends string>(column: string, names: readonly T[]): T {
    const value = this.value(column)
    const found = names.find((name) => name === value)
    if (found === undefined) throw this.wrong(column, `${show(value)}, none of ${names.join(', ')}`)
    return found
  }

  bytes(column: string, length?: number): Uint8Array {
    const value = this.value(column)
    if (!(value instanceof Uint8Array)) throw this.wrong(column, `${show(value)}, not a blob`)
    if (length !== undefined && value.length !== length)
      throw this.wrong(column, `${value.length} bytes, not ${length}`)
    return value
  }

  /** Runs a decoder of a column; its errors become errors of this row. */
  try<T>(column: string, decode: () => T): T {
    try {
      return decode()
    } catch (error) {
      if (error instanceof TraceError) throw error
      const reason = hostFailure(error)?.reason ?? (error as Error).message.split('\n')[0]
      throw this.wrong(column, `unreadable: ${reason}`, error)
    }
  }

  wrong(column: string, what: string, cause?: unknown): TraceError {
    return new TraceError(this.path, 'damaged', `row ${this.id} of ${this.table}: ${column} is ${what}`, cause)
  }

  private value(column: string): SqlValue {
    return this.values[this.columns.indexOf(column)]
  }
}

function show(value: SqlValue): string {
  if (value instanceof Uint8Array) return `a blob of ${value.length} bytes`
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : String(value)
}
