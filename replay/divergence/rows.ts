/**
 * Compares the rows of a trace with what a replay does, one by one: a row that was changed afterwards may be covered by no digest that a replay
 * computes, since the digests are of what the machine did.
 */
import type { Machine } from '../../devices/machine.js'
import type { TraceReader } from '../../trace/reader.js'
import type { ExceptionKind, PageImage, UartDirection, UartRow } from '../../trace/rows.js'
import { equalBytes, toHex } from '../../trace/platform.js'
import { differingState } from './items.js'

/** A row that says something else than what happened. */
export interface RowDifference {
  readonly table: 'batches' | 'uart' | 'interrupts' | 'exceptions' | 'snapshots' | 'inputs'
  /** Which row, from 1; of uart, which byte. */
  readonly row: number
  readonly column: string
  /** What the row says, and what the replay did. */
  readonly recorded: string
  readonly replayed: string
}

/** A row difference in a line. */
export function rowText({ table, row, column, recorded, replayed }: RowDifference): string {
  return `row ${row} of ${table}: ${column} is ${recorded} in the trace, ${replayed} in the replay`
}

/** Follows a replay from the start of a trace. */
export class RowCheck {
  /** The first row that differs. */
  difference: RowDifference | undefined
  private readonly reader: TraceReader
  private readonly uartRows: UartRows
  private readonly interruptRows: ReturnType<TraceReader['interrupts']>
  private readonly exceptionRows: ReturnType<TraceReader['exceptions']>
  private bytes = 0
  private interrupts = 0
  private exceptions = 0
  private snapshots = 0

  constructor(reader: TraceReader) {
    this.reader = reader
    this.uartRows = new UartRows(reader)
    this.interruptRows = reader.interrupts()
    this.exceptionRows = reader.exceptions()
  }

  /** A byte has gone through the UART. */
  uart(icount: number, direction: UartDirection, byte: number): void {
    if (this.difference) return
    const { uartRows: row } = this
    this.bytes++
    if (!row.next()) return this.missing('uart', this.bytes, `byte 0x${byte.toString(16)} at ${icount}`)
    if (row.icount !== icount || row.direction !== direction || row.byte !== byte)
      this.compare('uart', this.bytes, this.uartRows.row, { icount, direction, byte })
  }

  /** An interrupt has been taken. */
  interrupt(icount: number, vcpu: number, intid: number, pcLo: number, pcHi: number, el: number): void {
    if (this.difference) return
    const { value, done } = this.interruptRows.next()
    this.interrupts++
    if (done) return this.missing('interrupts', this.interrupts, `INTID ${intid} at ${icount}`)
    this.compare('interrupts', this.interrupts, value, { icount, vcpu, intid, pc: wide(pcLo, pcHi), el })
  }

  /** An exception that traces list has been taken. */
  exception(
    icount: number,
    vcpu: number,
    kind: ExceptionKind,
    esr: number,
    farLo: number,
    farHi: number,
    elrLo: number,
    elrHi: number,
  ): void {
    if (this.difference) return
    const { value, done } = this.exceptionRows.next()
    this.exceptions++
    if (done) return this.missing('exceptions', this.exceptions, `${kind} at ${icount}`)
    const [far, elr] = [wide(farLo, farHi), wide(elrLo, elrHi)]
    this.compare('exceptions', this.exceptions, value, { icount, vcpu, kind, esr, far, elr })
  }

  /** A batch has ended where a snapshot is due. */
  snapshot(icount: number, batch: number, machine: Machine, pages: readonly PageImage[]): void {
    if (this.difference) return
    const n = ++this.snapshots
    if (n > this.reader.count('snapshots')) return this.missing('snapshots', n, `one at ${icount}`)
    const row = this.reader.snapshot(n)
    this.compare('snapshots', n, { icount: row.icount, batch: row.batch }, { icount, batch })
    if (this.difference) return
    const [item] = differingState(row.state, machine.saveState())
    if (item) {
      this.difference = {
        table: 'snapshots',
        row: n,
        column: item.name,
        recorded: item.recorded,
        replayed: item.replayed,
      }
      return
    }
    const ids = new Map(row.pages().map(({ page, id }) => [page, id]))
    for (const { page, sha256 } of pages) {
      const id = ids.get(page)
      const recorded = id === undefined ? undefined : this.reader.pageHash(id)
      if (recorded && equalBytes(recorded, sha256)) continue
      this.difference = {
        table: 'snapshots',
        row: n,
        column: `page ${page}`,
        recorded: recorded ? `sha256 ${toHex(recorded)}` : 'missing',
        replayed: `sha256 ${toHex(sha256)}`,
      }
      return
    }
  }

  /** The trace has been replayed to its end: no rows may be left. */
  end(): void {
    if (this.difference) return
    const left = (table: RowDifference['table'], count: number, icount: number) => {
      this.difference ??= {
        table,
        row: count + 1,
        column: 'the row',
        recorded: `at ${icount}`,
        replayed: 'no such event',
      }
    }
    if (this.uartRows.next()) left('uart', this.bytes, this.uartRows.icount)
    const interrupt = this.interruptRows.next()
    if (!interrupt.done) left('interrupts', this.interrupts, interrupt.value.icount)
    const exception = this.exceptionRows.next()
    if (!exception.done) left('exceptions', this.exceptions, exception.value.icount)
    const snapshots = this.reader.count('snapshots')
    if (snapshots > this.snapshots) {
      const at = this.reader.snapshotPositions()[this.snapshots]
      left('snapshots', this.snapshots, at)
    }
  }

  private missing(table: RowDifference['table'], row: number, what: string): void {
    this.difference = { table, row, column: 'the row', recorded: 'missing', replayed: what }
  }

  private compare<T extends object>(table: RowDifference['table'], row: number, recorded: T, replayed: T): void {
    for (const column of Object.keys(replayed) as (keyof T & string)[]) {
      if (recorded[column] === replayed[column]) continue
      this.difference = { table, row, column, recorded: text(recorded[column]), replayed: text(replayed[column]) }
      return
    }
  }
}

/** The bytes through the UART, read one after the other into fields of one object: there are very many of some guests. */
class UartRows {
  icount = 0
  direction: UartDirection = 0
  byte = 0
  private readonly runs: ReturnType<TraceReader['uartStored']>
  /** The rows of format 1. */
  private readonly single: ReturnType<TraceReader['uart']> | undefined
  private start = 0
  private events: Uint8Array = new Uint8Array(0)
  private at = 0

  constructor(reader: TraceReader) {
    this.runs = reader.uartStored()
    this.single = reader.meta.format === 1 ? reader.uart() : undefined
  }

  get row(): UartRow {
    const { icount, direction, byte } = this
    return { icount, direction, byte }
  }

  /** Goes to the next byte; returns whether there is one. */
  next(): boolean {
    if (this.single) {
      const { value, done } = this.single.next()
      if (!done) Object.assign(this, value)
      return !done
    }
    while (this.at >= this.events.length) {
      const { value, done } = this.runs.next()
      if (done) return false
      this.start = value.icount
      this.events = value.events
      this.at = 0
    }
    const { events, at } = this
    this.icount = this.start + (((events[at] << 16) | (events[at + 1] << 8) | events[at + 2]) >>> 1)
    this.direction = (events[at + 2] & 1) as UartDirection
    this.byte = events[at + 3]
    this.at = at + 4
    return true
  }
}

const wide = (lo: number, hi: number): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)

const text = (value: unknown): string => (typeof value === 'bigint' ? `0x${value.toString(16)}` : String(value))
