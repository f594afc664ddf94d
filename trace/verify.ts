/** Checks all of a trace that can be checked without running it. */
import { TraceError, type TraceErrorKind } from './errors.js'
import { type EventTable, TraceReader } from './reader.js'

/** Something wrong with a trace. */
export interface Problem {
  /** The table, row or part of the file: `seal`, `meta`, `batches`, `pages 12`. */
  readonly where: string
  /** What is wrong, one line. */
  readonly message: string
}

export interface VerifyReport {
  readonly path: string
  /** Undefined if the trace could not be opened. */
  readonly finished: boolean | undefined
  /** The last position; undefined if the trace could not be opened. */
  readonly instructions: number | undefined
  /** What was checked and found good, with the number of rows: `uart: 1_024 in order`. */
  readonly checked: readonly string[]
  /** What only a replay can check. */
  readonly unchecked: readonly string[]
  /** Empty if the trace is good as far as {@link checked} goes. */
  readonly problems: readonly Problem[]
}

/** Reasons for which a trace cannot be opened that say nothing about its health. */
const NOT_DAMAGE: ReadonlySet<TraceErrorKind> = new Set<TraceErrorKind>(['missing', 'access'])

/**
 * Checks the seal, the database, configuration, images, the order of all rows, and every page and snapshot. The file is
 * read in pieces, whatever its size.
 *
 * @throws {TraceError} if there is no file, or it cannot be read; all that is wrong with the file itself is in the report.
 */
export function verifyTrace(path: string): VerifyReport {
  const problems: Problem[] = []
  const checked: string[] = []
  let reader: TraceReader
  try {
    reader = TraceReader.open(path, { seal: false })
  } catch (error) {
    if (!(error instanceof TraceError) || NOT_DAMAGE.has(error.kind)) throw error
    problems.push({ where: 'file', message: error.reason })
    return { path, finished: undefined, instructions: undefined, checked, unchecked: ['everything'], problems }
  }
  try {
    const check = (where: string, run: () => string | undefined) => {
      try {
        const done = run()
        if (done !== undefined) checked.push(done)
      } catch (error) {
        if (!(error instanceof TraceError)) throw error
        problems.push({ where, message: error.reason })
      }
    }
    const { finished } = reader.meta
    if (finished) {
      check('seal', () => {
        const wrong = reader.sealProblem()
        if (wrong === undefined) return 'the seal matches: not a bit has changed since it was recorded'
        problems.push({ where: 'seal', message: wrong })
        return undefined
      })
    }
    check('database', () => {
      const lines = reader.integrityCheck()
      for (const message of lines) problems.push({ where: 'database', message })
      return lines.length === 0 ? 'the database is consistent' : undefined
    })
    check('images', () => `images: ${countOf(reader.images())}, each with its sha256`)
    for (const table of ['batches', 'interrupts', 'exceptions', 'uart', 'inputs'] as const) {
      check(table, () => checkRows(reader, table))
    }
    let pages = 0
    check('pages', () => {
      pages = reader.count('pages')
      for (let id = 1; id <= pages; id++) check(`pages ${id}`, () => void reader.page(id))
      return `pages: ${digits(pages)}, each with its sha256`
    })
    check('snapshots', () => checkSnapshots(reader, pages))
    const unchecked = ['that the machine, run again, does what the rows say: kaal replay']
    if (!finished) unchecked.unshift('that no row was changed: an unfinished trace has no seal')
    return { path, finished, instructions: reader.meta.instructions, checked, unchecked, problems }
  } finally {
    reader.close()
  }
}

/** Reads every row of a table, which checks its types, and that positions never fall nor pass the end. */
function checkRows(reader: TraceReader, table: Exclude<EventTable, 'snapshots'>): string {
  const end = reader.meta.instructions
  let last = 0
  let rows = 0
  for (const { icount } of reader[table]()) {
    rows++
    if (icount < last) throw new TraceError(reader.path, 'damaged', `row ${rows} is at ${icount}, after one at ${last}`)
    if (icount > end)
      throw new TraceError(reader.path, 'damaged', `row ${rows} is at ${icount}, past the end at ${end}`)
    last = icount
  }
  const count = reader.count(table)
  if (rows !== count) throw new TraceError(reader.path, 'damaged', `${rows} rows can be read of ${count}`)
  return `${table}: ${digits(rows)} in order`
}

function checkSnapshots(reader: TraceReader, pages: number): string {
  const positions = reader.snapshotPositions()
  const inputs = reader.count('inputs')
  positions.forEach((icount, index) => {
    const n = index + 1
    const wrong = (what: string) => new TraceError(reader.path, 'damaged', `row ${n} of snapshots: ${what}`)
    const before = positions[index - 1] ?? 0
    if (icount < before) throw wrong(`it is at ${icount}, after one at ${before}`)
    const snapshot = reader.snapshot(n)
    const batch = reader.batch(snapshot.batch)
    if (icount !== (batch === undefined ? 0 : batch.icount + batch.count)) {
      throw wrong(`it is at ${icount}, but batch ${snapshot.batch} does not end there`)
    }
    if (snapshot.inputs > inputs) throw wrong(`it follows ${snapshot.inputs} inputs, but there are ${inputs}`)
    for (const { page, id } of snapshot.pages()) {
      if (id > pages) throw wrong(`it names page ${page} with id ${id}, which is missing`)
    }
  })
  return `snapshots: ${digits(positions.length)} readable, with the pages that they name`
}

function countOf(rows: Iterable<unknown>): string {
  let count = 0
  for (const _ of rows) count++
  return digits(count)
}

const digits = (count: number) => String(count).replace(/\B(?=(\d{3})+$)/g, '_')
