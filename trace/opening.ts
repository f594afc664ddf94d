/** Opens a trace's file: looks at it before SQLite does, and at its configuration before anyone believes it. */
import { TraceError } from './errors.js'
import { decodeMachine } from './msgpack.js'
import { type SqlDatabase, equalBytes, fileKind, openFile, readDatabase } from './platform.js'
import { type TraceMeta, APPLICATION_ID, FORMAT, PACK_MAGIC } from './rows.js'
import { sealPlaceholder } from './seal.js'

const HEADER_BYTES = 100
const MAGIC = 'SQLite format 3\0'

/** A trace whose file is whole and of a format known here. */
export interface OpenedTrace {
  readonly database: SqlDatabase
  /** The file that is read: the one asked for, or a recovered copy of it. */
  readonly file: string
  /** The seal, not yet checked; undefined for an unfinished trace. */
  readonly seal: Uint8Array | undefined
}

/** Opens the trace at `path`. @throws {TraceError} and whatever the platform throws. */
export function openTrace(path: string): OpenedTrace {
  const header = readHeader(path)
  if (!header.journal) header.checkSize(path)
  const { database, file } = readDatabase(path)
  try {
    checkFormat(path, header.format, database)
    readHeader(file).checkSize(path)
    return { database, file, seal: readSeal(path, database) }
  } catch (error) {
    database.close()
    throw error
  }
}

/**
 * Reads what `meta` holds.
 *
 * @param end where the batches end.
 */
export function readMeta(path: string, database: SqlDatabase, end: number, finished: boolean): TraceMeta {
  const damaged = (reason: string, cause?: unknown) => new TraceError(path, 'damaged', reason, cause)
  const machine = metaValue(path, database, 'machine', 'blob')
  let record
  try {
    record = decodeMachine(machine)
  } catch (error) {
    throw damaged(`meta: machine: ${(error as Error).message}`, error)
  }
  let digest: string | undefined
  if (finished) {
    const instructions = metaValue(path, database, 'instructions', 'integer')
    if (instructions !== end) throw damaged(`meta: instructions is ${instructions}, but the batches end at ${end}`)
    digest = metaValue(path, database, 'final_digest', 'text')
    if (!/^[0-9a-f]{64}$/.test(digest))
      throw damaged(`meta: final_digest is ${JSON.stringify(digest)}, not 64 hexadecimal digits`)
  }
  return {
    format: metaValue(path, database, 'format', 'integer'),
    kaal: metaValue(path, database, 'kaal', 'text'),
    uuid: metaValue(path, database, 'uuid', 'text'),
    machine: record,
    finished,
    instructions: end,
    finalDigest: digest,
  }
}

interface Header {
  readonly format: number
  /** Whether a journal lies beside the file, so that its size says nothing yet. */
  readonly journal: boolean
  checkSize(path: string): void
}

/** Looks at a file's first bytes before SQLite does, for errors that say more than SQLite's. */
function readHeader(path: string): Header {
  const kind = fileKind(path)
  if (kind === 'missing') throw new TraceError(path, 'missing', 'no such file')
  if (kind === 'directory') throw new TraceError(path, 'access', 'is a directory, not a trace')
  if (kind === 'other') throw new TraceError(path, 'access', 'is not a regular file')
  const file = openFile(path, 'r')
  const bytes = new Uint8Array(HEADER_BYTES)
  const { size } = file
  const got = file.read(bytes, 0)
  file.close()
  if (size === 0) throw new TraceError(path, 'foreign', 'empty: no trace')
  const magic = String.fromCharCode(...bytes.subarray(0, Math.min(got, MAGIC.length)))
  if (magic.startsWith(PACK_MAGIC))
    throw new TraceError(
      path,
      'foreign',
      'a packed trace: restore it with kaal unpack first (info, verify and replay take it as it is)',
    )
  if (!MAGIC.startsWith(magic)) throw new TraceError(path, 'foreign', 'not a kaal trace: not an SQLite database')
  if (got < HEADER_BYTES) throw new TraceError(path, 'damaged', `cut short: ${size} bytes, less than a header`)
  const view = new DataView(bytes.buffer)
  const id = view.getUint32(68)
  if (id !== APPLICATION_ID) {
    throw new TraceError(
      path,
      'foreign',
      `not a kaal trace: an SQLite database with application_id ${hex(id)}, not ${hex(APPLICATION_ID)}`,
    )
  }
  const pageSize = view.getUint16(16) === 1 ? 65536 : view.getUint16(16)
  const whole = view.getUint32(28) * pageSize
  return {
    format: view.getUint32(60),
    journal: fileKind(`${path}-journal`) === 'file',
    checkSize(shown) {
      if (size < whole) throw new TraceError(shown, 'damaged', `cut short: ${size} bytes of ${whole}`)
    },
  }
}

const hex = (value: number) => `0x${value.toString(16).padStart(8, '0')}`

function checkFormat(path: string, format: number, database: SqlDatabase): void {
  if (format > FORMAT) {
    let maker = 'a newer kaal'
    try {
      maker = `kaal ${metaValue(path, database, 'kaal', 'text')}`
    } catch {
      // A newer format may have moved it.
    }
    throw new TraceError(path, 'newer', `made by ${maker} with format ${format}; this kaal reads up to ${FORMAT}`)
  }
  const inside = metaValue(path, database, 'format', 'integer')
  if (format < 1 || inside !== format) {
    throw new TraceError(path, 'damaged', `meta: format is ${inside}, but the header's user_version is ${format}`)
  }
}

/** The seal of a finished trace; undefined for an unfinished one, also between the two steps of finishing it. */
function readSeal(path: string, database: SqlDatabase): Uint8Array | undefined {
  const finished = metaValue(path, database, 'finished', 'integer')
  if (finished !== 0 && finished !== 1)
    throw new TraceError(path, 'damaged', `meta: finished is ${finished}, neither 0 nor 1`)
  const has = database.prepare("SELECT count(*) FROM meta WHERE key = 'seal'").get([])?.[0] === 1
  if (has !== (finished === 1)) {
    throw new TraceError(path, 'damaged', `meta: finished is ${finished}, but a seal is ${has ? 'there' : 'missing'}`)
  }
  if (!has) return undefined
  const seal = metaValue(path, database, 'seal', 'blob')
  return equalBytes(seal, sealPlaceholder(metaValue(path, database, 'uuid', 'text'))) ? undefined : seal
}

interface MetaTypes {
  integer: number
  text: string
  blob: Uint8Array
}

function metaValue<T extends keyof MetaTypes>(path: string, database: SqlDatabase, key: string, type: T): MetaTypes[T] {
  const row = database.prepare('SELECT value, typeof(value) FROM meta WHERE key = ?').get([key])
  if (row === undefined) throw new TraceError(path, 'damaged', `meta: ${key} is missing`)
  if (row[1] !== type) throw new TraceError(path, 'damaged', `meta: ${key} is of type ${String(row[1])}, not ${type}`)
  return row[0] as MetaTypes[T]
}
