/** Writes a trace while a machine runs. */
import { compressible } from './compressible.js'
import { SCHEMA_1 } from './pack/schema-1.js'
import { TraceError } from './errors.js'
import { encode, encodePages, encodeState } from './msgpack.js'
import {
  type SqlDatabase,
  type SqlStatement,
  type SqlValue,
  appendDatabase,
  createDatabase,
  deflateImage,
  deflateImage1,
  deflatePage,
  deflatePage1,
  draftName,
  fileKind,
  hostFailure,
  isLocked,
  newUuid,
  publish,
  realPath,
  removeDatabase,
  schemaSql,
  sha256,
} from './platform.js'
import {
  type BatchEnd,
  type ExceptionKind,
  type ImageFile,
  type MachineRecord,
  type PageImage,
  type PageRef,
  type StateImage,
  type UartDirection,
  FORMAT,
  PAGE_BYTES,
} from './rows.js'
import { RowBuffer, UartBuffer, UART_ROWS } from './row-buffer.js'
import { sealPlaceholder, writeSeal } from './seal.js'

/** What a new trace starts with. */
export interface NewTrace {
  /** Version of kaal that records. */
  readonly kaal: string
  /** The machine's configuration, or the msgpack of it as it stood in a trace that is written once more. */
  readonly machine: MachineRecord | Uint8Array
  readonly images: readonly ImageFile[]
  /** Replace a file that exists. */
  readonly force?: boolean
  /** Identity of the recording; by default a random one. Equal recordings with equal uuids are equal files. */
  readonly uuid?: string
  /** The format; an older one only to write a trace of that format once more. */
  readonly format?: 1 | typeof FORMAT
  /** Where to commit, and nowhere else, as `TraceReader.commits` gives it: to write a trace once more. By default wherever it is time. */
  readonly commits?: readonly number[]
}

/** Rows, and bytes of payloads and pages, after which {@link TraceWriter.batch} commits by itself. */
const COMMIT_ROWS = 1 << 16
const COMMIT_BYTES = 8 << 20
/** Snapshots whose page lists build on one another, at most. */
const CHAIN = 64

/**
 * A trace being recorded. Rows are given in the order in which things happen; those given since the last batch belong to the
 * next one. Whole batches are committed with all their rows: by {@link commit}, and by {@link batch} itself once enough has
 * gathered. Whatever kills the process, the file then holds the batches committed so far.
 *
 * Every method throws {@link TraceError} if the disk fails it; the trace is then closed, and what was committed stays valid.
 */
export class TraceWriter {
  readonly path: string
  readonly uuid: string
  private readonly file: string
  private readonly database: SqlDatabase
  private readonly statements: Record<'input' | 'snapshot' | 'page' | 'meta', SqlStatement>
  /** Bytes through the UART: in runs, or in format 1 each in a row. */
  private readonly uarts: UartBuffer | undefined
  private readonly uartRows: RowBuffer | undefined
  private readonly batches: RowBuffer
  private readonly interrupts: RowBuffer
  private readonly exceptions: RowBuffer
  /** Positions: of the last row, the end of the last batch, and what is safe on disk. */
  private last = 0
  private end = 0
  private safe = 0
  /** Rows since the last batch, and rows and bytes since the last commit. */
  private open = 0
  private rows = 0
  private bytes = 0
  private state: 'open' | 'closed' = 'open'
  private readonly pageIds = new Map<string, number>()
  /** The complete page list of the last snapshot; what has been listed, in how many snapshots, since the last complete list. */
  private readonly listed = new Map<number, number>()
  private changes = 0
  private chain = 0
  private snapshots = 0
  /** Batches and inputs so far. */
  private ended = 0
  private inputs = 0
  /** Batches and snapshots so far together: places at which to commit are counted by these. */
  private steps = 0
  private readonly commits: number[] = []
  private readonly planned: ReadonlySet<number> | undefined
  private readonly format: number

  private constructor(path: string, file: string, uuid: string, database: SqlDatabase, trace: NewTrace) {
    this.format = trace.format ?? FORMAT
    this.planned = trace.commits && new Set(trace.commits)
    this.path = path
    this.file = file
    this.uuid = uuid
    this.database = database
    this.statements = {
      input: database.prepare('INSERT INTO inputs VALUES (?, ?, ?)'),
      snapshot: database.prepare('INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?)'),
      page: database.prepare('INSERT INTO pages VALUES (?, ?, ?)'),
      meta: database.prepare('INSERT OR REPLACE INTO meta VALUES (?, ?)'),
    }
    const ready = () => this.begin()
    const [one, two] = ['value', 'halves'] as const
    if (this.format === 1) this.uartRows = new RowBuffer(database, 'uart', [one, one, one], ready, UART_ROWS)
    else this.uarts = new UartBuffer(database, ready)
    const batch = 'batches(icount, count, vcpu, pc, ended, digest)'
    this.batches = new RowBuffer(database, batch, [one, one, one, two, one, two], ready)
    this.interrupts = new RowBuffer(database, 'interrupts', [one, one, one, two, one], ready)
    this.exceptions = new RowBuffer(database, 'exceptions', [one, one, one, one, two, two], ready)
  }

  /**
   * Creates a trace. The file appears under its name only when its configuration and images are in it; if that fails, nothing is
   * left behind, and a file that was to be replaced is still there.
   *
   * @throws {TraceError} `exists` unless `force` is set; `access`, `full` or `write` as the disk decides.
   */
  static create(path: string, trace: NewTrace): TraceWriter {
    const file = explain(path, () => realPath(path))
    const draft = draftName(file)
    const kind = explain(path, () => fileKind(path))
    if (kind === 'directory') throw new TraceError(path, 'access', 'is a directory: give the name of a file')
    if (kind === 'other') throw new TraceError(path, 'access', 'is not a regular file')
    if (kind === 'file' && trace.force !== true) throw exists(path)
    if (kind === 'file' && isLocked(file)) throw new TraceError(path, 'access', 'locked: it is still being recorded')
    const uuid = trace.uuid ?? newUuid()
    try {
      return explain(path, () => {
        removeDatabase(draft)
        writeHead(draft, uuid, trace)
        if (!publish(draft, file, trace.force === true)) throw exists(path)
        return new TraceWriter(path, file, uuid, appendDatabase(file), trace)
      })
    } finally {
      removeDatabase(draft)
    }
  }

  /** The end of the last batch. */
  get position(): number {
    return this.end
  }

  /** The end of the last committed batch. */
  get committed(): number {
    return this.safe
  }

  /** A byte through the UART: direction 0 out of the guest, 1 into it. */
  uart(icount: number, direction: UartDirection, byte: number): void {
    this.follow(icount)
    this.rows++
    this.open++
    const { uarts, uartRows } = this
    if (uarts) {
      // Only now and then is SQLite called; only then can anything fail.
      if (uarts.full(icount)) this.guard(() => uarts.flush())
      uarts.add(icount, direction, byte)
    } else if (uartRows) {
      const { values } = uartRows
      const at = uartRows.next()
      values[at] = icount
      values[at + 1] = direction
      values[at + 2] = byte
      this.push(uartRows)
    }
  }

  /** An interrupt taken. @param pcLo preferred return address, low 32 bits. @param el exception level it was taken from. */
  interrupt(icount: number, vcpu: number, intid: number, pcLo: number, pcHi: number, el: number): void {
    this.follow(icount)
    this.rows++
    this.open++
    const { values } = this.interrupts
    const at = this.interrupts.next()
    values[at] = icount
    values[at + 1] = vcpu
    values[at + 2] = intid
    values[at + 3] = pcHi | 0
    values[at + 4] = pcLo | 0
    values[at + 5] = el
    this.push(this.interrupts)
  }

  /** A fault that is logged; 64-bit registers come as low and high 32 bits. */
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
    this.follow(icount)
    this.rows++
    this.open++
    const { values } = this.exceptions
    const at = this.exceptions.next()
    values[at] = icount
    values[at + 1] = vcpu
    values[at + 2] = kind
    values[at + 3] = esr >>> 0
    values[at + 4] = farHi | 0
    values[at + 5] = farLo | 0
    values[at + 6] = elrHi | 0
    values[at + 7] = elrLo | 0
    this.push(this.exceptions)
  }

  /** An external input, at the position at which the guest could first see it. */
  input(icount: number, source: string, payload: Uint8Array): void {
    this.follow(icount)
    this.rows++
    this.open++
    this.bytes += payload.length
    this.inputs++
    this.guard(() => {
      this.begin()
      this.statements.input.run([icount, source, payload])
    })
  }

  /** Ends a batch: `count` instructions from `icount`, which is the end of the batch before. The digest is its chained digest. */
  batch(
    icount: number,
    count: number,
    vcpu: number,
    pcLo: number,
    pcHi: number,
    ended: BatchEnd,
    digestLo: number,
    digestHi: number,
  ): void {
    if (icount !== this.end) this.misuse(`batch at ${icount} after one that ended at ${this.end}`)
    if (!(count >= 0)) this.misuse(`batch of ${count} instructions`)
    this.follow(icount + count)
    const { values } = this.batches
    const at = this.batches.next()
    values[at] = icount
    values[at + 1] = count
    values[at + 2] = vcpu
    values[at + 3] = pcHi | 0
    values[at + 4] = pcLo | 0
    values[at + 5] = ended
    values[at + 6] = digestHi | 0
    values[at + 7] = digestLo | 0
    this.push(this.batches)
    this.end = icount + count
    this.ended++
    this.open = 0
    this.rows++
    this.stepped(this.rows >= COMMIT_ROWS || this.bytes >= COMMIT_BYTES)
  }

  /**
   * A snapshot, at the end of a batch.
   *
   * @param pages pages of guest RAM that may have changed since the snapshot before (for the first, since position 0), in any order.
   */
  snapshot(icount: number, state: StateImage, pages: Iterable<PageImage>): void {
    if (icount !== this.end || this.open > 0) this.misuse(`snapshot at ${icount}; the last batch ended at ${this.end}`)
    this.rows++
    this.guard(() => {
      this.begin()
      const changed: PageRef[] = []
      for (const image of pages) {
        const id = this.pageId(image)
        if (this.listed.get(image.page) === id) continue
        this.listed.set(image.page, id)
        changed.push({ page: image.page, id })
      }
      this.changes += changed.length
      // Complete lists come often enough that reading one snapshot never costs more than two complete lists and a few rows.
      const complete = this.chain % CHAIN === 0 || this.changes >= this.listed.size
      if (complete) this.changes = this.chain = 0
      this.chain++
      const list = complete ? [...this.listed].map(([page, id]) => ({ page, id })) : changed
      list.sort((a, b) => a.page - b.page)
      const base = complete ? null : this.snapshots
      const blobs = [this.deflate(encodeState(state)), encodePages(list)]
      this.statements.snapshot.run([++this.snapshots, icount, this.ended, this.inputs, base, ...blobs])
      this.bytes += blobs[0].length + blobs[1].length
    })
    this.stepped(this.bytes >= COMMIT_BYTES)
  }

  /** A batch or snapshot is complete. @param due whether so much has gathered that it should be committed. */
  private stepped(due: boolean): void {
    this.steps++
    if (this.planned ? this.planned.has(this.steps) : due) this.commit()
  }

  private pageId({ page, sha256: hash, bytes }: PageImage): number {
    if (bytes.length !== PAGE_BYTES) this.misuse(`page ${page} of ${bytes.length} bytes`)
    const key = String.fromCharCode(...hash)
    const known = this.pageIds.get(key)
    if (known !== undefined) return known
    const id = this.pageIds.size + 1
    const small = compressible(bytes) ? this.deflate(bytes) : bytes
    const data = small.length < PAGE_BYTES ? small : bytes
    this.statements.page.run([id, hash, data])
    this.pageIds.set(key, id)
    this.bytes += data.length + 40
    return id
  }

  private deflate(bytes: Uint8Array): Uint8Array {
    return this.format === 1 ? deflatePage1(bytes) : deflatePage(bytes)
  }

  /** Makes all batches so far safe against a kill. Only between a batch and the next row. */
  commit(): void {
    if (this.open > 0) this.misuse(`commit with ${this.open} rows since the last batch`)
    this.guard(() => {
      this.flush()
      if (!this.database.inTransaction) return
      this.database.exec('COMMIT')
      this.commits.push(this.steps)
    })
    this.safe = this.end
    this.rows = 0
    this.bytes = 0
  }

  /**
   * Ends the recording, seals the file and closes it.
   *
   * @param end.finalDigest as `finalDigest` gives it.
   */
  finish(end: { readonly finalDigest: string }): void {
    if (this.open > 0) this.misuse(`finish with ${this.open} rows since the last batch`)
    const placeholder = sealPlaceholder(this.uuid)
    this.guard(() => {
      this.begin()
      this.flush()
      this.statements.meta.run(['instructions', BigInt(this.end)])
      this.statements.meta.run(['final_digest', end.finalDigest])
      this.statements.meta.run(['finished', 1n])
      if (this.commits.length > 0 && this.format > 1)
        this.statements.meta.run(['commits', encode(differences(this.commits))])
      this.statements.meta.run(['seal', placeholder])
      this.database.exec('COMMIT')
      this.safe = this.end
      this.state = 'closed'
      this.database.close()
      writeSeal(this.file, placeholder)
    })
  }

  /** Closes the file without finishing it: rows since the last commit are dropped. Does nothing to a closed trace. */
  abort(): void {
    if (this.state === 'closed') return
    this.state = 'closed'
    try {
      if (this.database.inTransaction) this.database.exec('ROLLBACK')
    } catch {
      // The next reader rolls back from the journal.
    }
    this.database.close()
  }

  private flush(): void {
    for (const buffer of [this.uarts, this.uartRows, this.interrupts, this.exceptions, this.batches]) buffer?.flush()
  }

  private push(buffer: RowBuffer): void {
    if (buffer.add()) this.guard(() => buffer.flush())
  }

  private begin(): void {
    if (!this.database.inTransaction) this.database.exec('BEGIN')
  }

  private follow(icount: number): void {
    if (!(icount >= this.last)) this.misuse(`row at ${icount} after one at ${this.last}`)
    if (this.state === 'closed') this.misuse('row for a closed trace')
    this.last = icount
  }

  private misuse(what: string): never {
    throw new TraceError(this.path, 'misuse', what)
  }

  private guard(action: () => void): void {
    if (this.state === 'closed') this.misuse('the trace is closed')
    try {
      action()
    } catch (error) {
      this.abort()
      const failure = hostFailure(error)
      if (failure === undefined) throw error
      const kind = failure.kind === 'full' ? 'full' : 'write'
      const kept = `the ${this.safe} instructions recorded before remain a valid trace`
      throw new TraceError(this.path, kind, `${failure.reason}; ${kept}`, error)
    }
  }
}

/** Each number's distance from the one before. */
export function differences(rising: readonly number[]): number[] {
  return rising.map((value, i) => value - (rising[i - 1] ?? 0))
}

function exists(path: string): TraceError {
  return new TraceError(path, 'exists', 'exists already: give another name, or --force to replace it')
}

/** Writes configuration and images to a new file. */
function writeHead(file: string, uuid: string, trace: NewTrace): void {
  const database = createDatabase(file)
  try {
    database.exec(trace.format === 1 ? SCHEMA_1 : schemaSql())
    database.exec('BEGIN')
    const meta = database.prepare('INSERT INTO meta VALUES (?, ?)')
    const head: [string, SqlValue][] = [
      ['format', BigInt(trace.format ?? FORMAT)],
      ['kaal', trace.kaal],
      ['uuid', uuid],
      ['machine', trace.machine instanceof Uint8Array ? trace.machine : encode(trace.machine)],
      ['finished', 0n],
    ]
    for (const row of head) meta.run(row)
    const image = database.prepare('INSERT INTO images(role, name, sha256, size, data) VALUES (?, ?, ?, ?, ?)')
    for (const { role, name, bytes } of trace.images) {
      image.run([role, name, sha256(bytes), bytes.length, (trace.format === 1 ? deflateImage1 : deflateImage)(bytes)])
    }
    database.exec('COMMIT')
  } finally {
    database.close()
  }
}

function explain<T>(path: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    const failure = hostFailure(error)
    if (error instanceof TraceError || failure === undefined) throw error
    const kind = failure.kind === 'full' || failure.kind === 'write' ? failure.kind : 'access'
    const reason = failure.kind === 'missing' ? 'its folder does not exist' : failure.reason
    throw new TraceError(path, kind, `cannot create the trace: ${reason}`, error)
  }
}
