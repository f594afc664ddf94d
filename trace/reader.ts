/** Reads a trace: checks it before anything is believed, then hands out its rows. */
import { BatchCursor, CURSOR_COLUMNS } from './batch-cursor.js'
import { TraceError } from './errors.js'
import { decode, decodePages, decodeState } from './msgpack.js'
import { type OpenedTrace, openTrace, readMeta } from './opening.js'
import { type SqlDatabase, type SqlStatement, equalBytes, hostFailure, inflate, sha256, toHex } from './platform.js'
import {
  type BatchRow,
  type ExceptionRow,
  type ImageRow,
  type InputRow,
  type InterruptRow,
  type PageRef,
  type StateImage,
  type TraceMeta,
  type UartRow,
  BATCH_ENDS,
  EXCEPTION_KINDS,
  IMAGE_ROLES,
  PAGE_BYTES,
} from './rows.js'
import { Row, bigRow } from './row.js'
import { uartEvents } from './row-buffer.js'
import { checkSeal } from './seal.js'

export interface OpenOptions {
  /** Whether to read the whole file and check its seal, as anyone should who is about to believe it. By default true. */
  readonly seal?: boolean
}

/** Positions to read from and to, both included. By default all. */
export interface Span {
  readonly from?: number
  readonly to?: number
}

/** Tables in the order of events, of which rows are found by position. */
export type EventTable = 'batches' | 'interrupts' | 'exceptions' | 'uart' | 'inputs' | 'snapshots'
/** The same as they are stored. */
type StoredTable = EventTable | 'uart_runs'

/** Rows read at a time. */
const WINDOW = 4096
/** Decoded page lists of snapshots kept at hand: stepping back asks for the same few again and again. */
const KEPT_LISTS = 128
const STATE_LIMIT = 64 << 20
const INPUT_COLUMNS = 'icount, source, payload'
const BATCH_COLUMNS = 'n, icount, count, vcpu, pc, ended, digest'

/**
 * A trace opened for reading. Works on read-only files and folders; a trace whose recorder was killed is brought back to its last
 * commit first.
 *
 * Every method throws {@link TraceError} (`damaged`, naming table, row and field) where the trace is not what it should be.
 */
export class TraceReader {
  readonly path: string
  readonly meta: TraceMeta
  /** Number of batches. */
  readonly batchCount: number
  /** The file read: `path`, or a recovered copy of it. */
  private readonly file: string
  private readonly database: SqlDatabase
  private readonly seal: Uint8Array | undefined
  private readonly statements = new Map<string, SqlStatement>()
  private readonly lists = new Map<number, PageRef[]>()

  private constructor(path: string, { database, file, seal }: OpenedTrace) {
    this.path = path
    this.file = file
    this.database = database
    this.seal = seal
    const { batches, end } = this.checkBatches()
    this.batchCount = batches
    this.meta = readMeta(path, database, end, seal !== undefined)
  }

  /**
   * Opens a trace and checks what can be checked at once: that it is one, that this kaal can read it, that it is whole, its
   * configuration, that its batches follow one another, and (unless told otherwise) its seal. A trace that is still being
   * recorded is refused (`access`); the recording process itself must not try, since closing the file drops its own locks.
   *
   * @throws {TraceError} saying which of these is wrong, with the field and its value.
   */
  static open(path: string, options: OpenOptions = {}): TraceReader {
    return explain(path, () => {
      const trace = openTrace(path)
      try {
        const wrong = trace.seal && options.seal !== false ? checkSeal(trace.file, trace.seal) : undefined
        if (wrong !== undefined) throw new TraceError(path, 'damaged', wrong)
        return new TraceReader(path, trace)
      } catch (error) {
        trace.database.close()
        throw error
      }
    })
  }

  close(): void {
    this.database.close()
  }

  /** The images, each checked against its sha256. */
  *images(): IterableIterator<ImageRow> {
    const ids = this.explain(() => this.query('SELECT id FROM images ORDER BY id').all([]))
    for (const [id] of ids) yield this.image(Number(id))
  }

  private image(id: number): ImageRow {
    return this.explain(() => {
      const row = this.row('images', id, 'role, name, sha256, size, data')
      const size = row.integer('size')
      const hash = row.bytes('sha256', 32)
      const bytes = row.try('data', () => inflate(row.bytes('data'), size))
      if (bytes.length !== size) throw row.wrong('size', `${size}, but the data inflate to ${bytes.length} bytes`)
      if (!equalBytes(sha256(bytes), hash))
        throw row.wrong('sha256', `${toHex(hash)}, but the data have ${toHex(sha256(bytes))}`)
      return { role: row.name('role', IMAGE_ROLES), name: row.text('name'), bytes, sha256: hash }
    })
  }

  /** Batches that begin in the span. */
  batches(span: Span = {}): IterableIterator<BatchRow> {
    return this.events('batches', BATCH_COLUMNS, span, batchRow)
  }

  /** All batches once more, for a replay: quick, and with less said about a damaged row. */
  batchCursor(): BatchCursor {
    const sql = `SELECT ${CURSOR_COLUMNS} FROM batches WHERE n >= ? ORDER BY n LIMIT ${WINDOW}`
    return new BatchCursor((from) => this.explain(() => this.query(sql).all([from])))
  }

  /** Batch `n`, from 1; undefined if there is none. */
  batch(n: number): BatchRow | undefined {
    if (!(n >= 1 && n <= this.batchCount)) return undefined
    return this.explain(() => batchRow(this.row('batches', n, BATCH_COLUMNS)))
  }

  /** The first batch that ends at `position` or later: for a position inside a batch, that batch. Undefined past the end. */
  batchAt(position: number): BatchRow | undefined {
    const n = this.explain(() =>
      this.bisect(
        (at) => this.number('SELECT icount + count FROM batches WHERE n = ?', at) >= position,
        this.batchCount,
      ),
    )
    return this.batch(n)
  }

  interrupts(span: Span = {}): IterableIterator<InterruptRow> {
    return this.events('interrupts', 'icount, vcpu, intid, pc, el', span, (row) => ({
      icount: row.integer('icount'),
      vcpu: row.integer('vcpu'),
      intid: row.integer('intid'),
      pc: row.word64('pc'),
      el: row.integer('el'),
    }))
  }

  exceptions(span: Span = {}): IterableIterator<ExceptionRow> {
    return this.events('exceptions', 'icount, vcpu, kind, esr, far, elr', span, (row) => ({
      icount: row.integer('icount'),
      vcpu: row.integer('vcpu'),
      kind: row.name('kind', EXCEPTION_KINDS),
      esr: row.integer('esr'),
      far: row.word64('far'),
      elr: row.word64('elr'),
    }))
  }

  uart(span: Span = {}): IterableIterator<UartRow> {
    if (this.meta.format > 1) return this.uartRuns(span)
    return this.events('uart', 'icount, direction, byte', span, (row) => ({
      icount: row.integer('icount'),
      direction: row.integer('direction', 0, 1) as 0 | 1,
      byte: row.integer('byte', 0, 255),
    }))
  }

  private *uartRuns({ from = 0, to = Infinity }: Span): IterableIterator<UartRow> {
    for (const events of this.uartRows({ from, to })) {
      for (const event of events) {
        if (event.icount > to) return
        if (event.icount >= from) yield event
      }
    }
  }

  /** The rows of `uart_runs`, decoded, that reach into the span. */
  *uartRows({ from = 0, to = Infinity }: Span = {}): IterableIterator<UartRow[]> {
    // The run before the first that begins in the span may reach into it.
    const first = this.explain(() => Math.max(1, this.firstFrom('uart_runs', from) - 1))
    const runs = this.rows(
      'uart_runs',
      'icount, events',
      () => first,
      to,
      (row) => row,
    )
    for (const row of runs) yield row.try('events', () => [...uartEvents(row.integer('icount'), row.bytes('events'))])
  }

  /** `meta.machine` as it stands in the file. */
  machineBytes(): Uint8Array {
    return this.explain(() => this.query("SELECT value FROM meta WHERE key = 'machine'").get([])?.[0] as Uint8Array)
  }

  /** The seal of a finished trace, as it stands in the file. */
  get sealBytes(): Uint8Array | undefined {
    return this.seal
  }

  /** Where the recorder committed, if it has noted it: numbers of batches and snapshots written by then; see `schema.sql`. */
  commits(): number[] | undefined {
    const value = this.explain(() => this.query("SELECT value FROM meta WHERE key = 'commits'").get([])?.[0])
    if (value === undefined) return undefined
    let list
    try {
      list = decode(value as Uint8Array)
    } catch (error) {
      throw this.damaged(`meta: commits: ${(error as Error).message}`, error)
    }
    if (!Array.isArray(list) || !list.every((step) => Number.isInteger(step) && (step as number) > 0))
      throw this.damaged('meta: commits is not a list of positive integers')
    let at = 0
    return (list as number[]).map((step) => (at += step))
  }

  /** The bytes through the UART as format 2 stores them, run by run (`schema.sql` says how); none of format 1. For a quick look at all of them. */
  *uartStored(): IterableIterator<{ readonly icount: number; readonly events: Uint8Array }> {
    if (this.meta.format === 1) return
    yield* this.rows(
      'uart_runs',
      'icount, events',
      () => 1,
      Infinity,
      (row) => ({ icount: row.integer('icount'), events: row.bytes('events') }),
    )
  }

  inputs(span: Span = {}): IterableIterator<InputRow> {
    return this.events('inputs', INPUT_COLUMNS, span, inputRow)
  }

  /** All inputs after the first `given`: what is still to come for a machine that was given so many. */
  inputsAfter(given: number): IterableIterator<InputRow> {
    return this.rows('inputs', INPUT_COLUMNS, () => given + 1, Infinity, inputRow)
  }

  /** Positions of all snapshots, in order. */
  snapshotPositions(): number[] {
    return this.explain(() => this.query('SELECT icount FROM snapshots ORDER BY n').all([])).map(Number)
  }

  /** The last snapshot at or before `position`; undefined if there is none. */
  nearestSnapshot(position: number): Snapshot | undefined {
    const next = this.explain(() => this.firstAfter('snapshots', position))
    return next === 1 ? undefined : this.snapshot(next - 1)
  }

  /** Snapshot `n`, from 1. */
  snapshot(n: number): Snapshot {
    return this.explain(() => {
      const row = this.row('snapshots', n, 'icount, batch, inputs, state')
      const state = row.try('state', () => decodeState(inflate(row.bytes('state'), STATE_LIMIT)))
      return new Snapshot(this, n, row.integer('icount'), row.integer('batch'), row.integer('inputs'), state)
    })
  }

  /** All pages that snapshot `n` names, by rising page number. A page not named is as it was at position 0. */
  snapshotPages(n: number): readonly PageRef[] {
    return this.explain(() => {
      const chain: PageRef[][] = []
      for (let at: number | undefined = n; at !== undefined;) {
        const row: Row = this.row('snapshots', at, 'base, pages')
        chain.push(this.pageList(at, row))
        const base = row.optional('base')
        if (base !== undefined && !(base >= 1 && base < at))
          throw row.wrong('base', `${base}, which is not an earlier snapshot`)
        at = base
      }
      if (chain.length === 1) return chain[0]
      const ids = new Map<number, number>()
      for (const list of chain.toReversed()) for (const { page, id } of list) ids.set(page, id)
      return [...ids].map(([page, id]) => ({ page, id })).toSorted((a, b) => a.page - b.page)
    })
  }

  private pageList(n: number, row: Row): PageRef[] {
    let list = this.lists.get(n)
    if (list === undefined) {
      list = row.try('pages', () => decodePages(row.bytes('pages')))
      this.lists.set(n, list)
      // The oldest goes: a Map keeps its keys in the order in which they came.
      const [oldest] = this.lists.keys()
      if (this.lists.size > KEPT_LISTS) this.lists.delete(oldest)
    }
    return list
  }

  /** The 4096 bytes of page `id`, checked against their sha256. */
  page(id: number): Uint8Array {
    return this.explain(() => {
      const row = this.row('pages', id, 'sha256, data')
      const hash = row.bytes('sha256', 32)
      const data = row.bytes('data')
      const bytes = data.length === PAGE_BYTES ? data : row.try('data', () => inflate(data, PAGE_BYTES))
      if (bytes.length !== PAGE_BYTES) throw row.wrong('data', `inflates to ${bytes.length} bytes, not ${PAGE_BYTES}`)
      if (!equalBytes(sha256(bytes), hash))
        throw row.wrong('sha256', `${toHex(hash)}, but the page has ${toHex(sha256(bytes))}`)
      return bytes
    })
  }

  /** sha256 of page `id`, without reading the page. */
  pageHash(id: number): Uint8Array {
    return this.explain(() => this.row('pages', id, 'sha256').bytes('sha256', 32))
  }

  /** Number of rows of a table. */
  count(table: EventTable | 'images' | 'pages'): number {
    const sql =
      table === 'uart' && this.meta.format > 1
        ? 'SELECT coalesce(sum(length(events)), 0) / 4 FROM uart_runs'
        : `SELECT count(*) FROM ${table}`
    return this.explain(() => this.number(sql))
  }

  /** What is wrong with the seal of a finished trace; undefined if nothing, or if it has none yet. Reads the whole file. */
  sealProblem(): string | undefined {
    const { seal } = this
    return seal && this.explain(() => checkSeal(this.file, seal))
  }

  /** Lines of SQLite's own check of the file; empty if it finds nothing. */
  integrityCheck(): string[] {
    const rows = this.explain(() => this.query('PRAGMA integrity_check(20)').all([]))
    const lines = rows.flatMap(([text]) => String(text).split('\n'))
    return lines.filter((line) => line !== 'ok' && !line.startsWith('***'))
  }

  private events<T>(table: EventTable, columns: string, span: Span, make: (row: Row) => T): IterableIterator<T> {
    const { from = 0, to = Infinity } = span
    return this.rows(table, columns, () => this.firstFrom(table, from), to, make)
  }

  private *rows<T>(
    table: StoredTable,
    columns: string,
    first: () => number,
    to: number,
    make: (row: Row) => T,
  ): IterableIterator<T> {
    const names = columns.split(', ')
    const sql = `SELECT rowid, ${columns} FROM ${table} WHERE rowid >= ? ORDER BY rowid LIMIT ${WINDOW}`
    // 64-bit columns need bigints; the others are faster without.
    const big = bigRow(table)
    let next = this.explain(first)
    for (;;) {
      const start = next
      const rows = this.explain(() => this.query(sql, big).all([start]))
      for (const [rowid, ...values] of rows) {
        if (Number(rowid) !== next) throw this.damaged(`row ${next} of ${table} is missing`)
        const row = new Row(this.path, table, next, names, values)
        next++
        if (row.integer('icount') > to) return
        yield make(row)
      }
      if (rows.length < WINDOW) return
    }
  }

  /** First row of `table` at `position` or later; one past the last if there is none. */
  private firstFrom(table: StoredTable, position: number): number {
    if (position <= 0) return 1
    return this.bisect((at) => this.icountOf(table, at) >= position, this.lastRow(table))
  }

  private firstAfter(table: EventTable, position: number): number {
    return this.bisect((at) => this.icountOf(table, at) > position, this.lastRow(table))
  }

  private icountOf(table: StoredTable, rowid: number): number {
    return this.number(`SELECT icount FROM ${table} WHERE rowid = ?`, rowid)
  }

  private lastRow(table: StoredTable): number {
    return this.number(`SELECT coalesce(max(rowid), 0) FROM ${table}`)
  }

  /** Smallest row from 1 to `last` that passes, given that all after it pass too; last + 1 if none does. */
  private bisect(passes: (at: number) => boolean, last: number): number {
    let low = 1
    let high = last + 1
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (passes(middle)) high = middle
      else low = middle + 1
    }
    return low
  }

  private number(sql: string, ...values: number[]): number {
    const value = this.query(sql).get(values)?.[0]
    if (typeof value !== 'number') throw this.damaged(`${sql.replace('?', String(values[0]))} has no answer`)
    return value
  }

  private query(sql: string, bigints = false): SqlStatement {
    let statement = this.statements.get(sql)
    if (statement === undefined) {
      statement = this.database.prepare(sql, bigints)
      this.statements.set(sql, statement)
    }
    return statement
  }

  private row(table: string, id: number, columns: string): Row {
    const values = this.query(`SELECT ${columns} FROM ${table} WHERE rowid = ?`, bigRow(table)).get([id])
    if (values === undefined) throw this.damaged(`row ${id} of ${table} is missing`)
    return new Row(this.path, table, id, columns.split(', '), values)
  }

  private checkBatches(): { batches: number; end: number } {
    const head = this.query('SELECT count(*), coalesce(min(n), 1), coalesce(max(n), 0) FROM batches').get(
      [],
    ) as number[]
    const [batches, first, last] = head
    if (first !== 1 || last !== batches) throw this.damaged(`batches: ${batches} rows numbered ${first} to ${last}`)
    if (batches === 0) return { batches, end: 0 }
    const start = this.number('SELECT icount FROM batches WHERE n = 1')
    if (start !== 0) throw this.damaged(`batches: the first begins at ${start}, not 0`)
    const gap = this.query(
      `SELECT a.n, a.icount + a.count, b.icount FROM batches a JOIN batches b ON b.n = a.n + 1
       WHERE b.icount <> a.icount + a.count OR a.count < 0 LIMIT 1`,
    ).get([])
    if (gap) {
      const [n, stop, next] = gap.map(String)
      throw this.damaged(`batches: batch ${n} ends at ${stop} but the next begins at ${next}`)
    }
    return { batches, end: this.number('SELECT icount + count FROM batches WHERE n = ?', batches) }
  }

  private damaged(reason: string, cause?: unknown): TraceError {
    return new TraceError(this.path, 'damaged', reason, cause)
  }

  private explain<T>(action: () => T): T {
    return explain(this.path, action)
  }
}

/** One snapshot: state at once, pages when asked for. */
export class Snapshot {
  readonly n: number
  readonly icount: number
  /** The batch at whose end it was taken: a replay goes on with its digest and the next batch. 0: before the first. */
  readonly batch: number
  /** How many inputs the machine had been given by then: a replay goes on with `inputsAfter(inputs)`. */
  readonly inputs: number
  readonly state: StateImage
  private readonly reader: TraceReader

  /** For {@link TraceReader.snapshot} only. */
  constructor(reader: TraceReader, n: number, icount: number, batch: number, inputs: number, state: StateImage) {
    this.reader = reader
    this.n = n
    this.icount = icount
    this.batch = batch
    this.inputs = inputs
    this.state = state
  }

  /** All pages it names, by rising page number: equal ids are equal contents. Load them with {@link load}. */
  pages(): readonly PageRef[] {
    return this.reader.snapshotPages(this.n)
  }

  /** The 4096 bytes of a page. */
  load(ref: PageRef): Uint8Array {
    return this.reader.page(ref.id)
  }
}

function batchRow(row: Row): BatchRow {
  const digest = row.word64('digest')
  return {
    n: row.integer('n'),
    icount: row.integer('icount'),
    count: row.integer('count'),
    vcpu: row.integer('vcpu'),
    pc: row.word64('pc'),
    ended: row.name('ended', BATCH_ENDS),
    digestLo: Number(digest & 0xffff_ffffn),
    digestHi: Number(digest >> 32n),
  }
}

function inputRow(row: Row): InputRow {
  return { icount: row.integer('icount'), source: row.text('source'), payload: row.bytes('payload') }
}

function explain<T>(path: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    const failure = hostFailure(error)
    if (error instanceof TraceError || failure === undefined) throw error
    const kind =
      failure.kind === 'locked' || failure.kind === 'full' || failure.kind === 'write' ? 'access' : failure.kind
    throw new TraceError(path, kind, failure.reason, error)
  }
}
