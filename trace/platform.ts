/** All that the trace library asks of its host: SQLite, files, hashes and compression. The only file that knows Node. */
import { createHash, hash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import nodePath from 'node:path'
import { fileURLToPath } from 'node:url'
import zlib from 'node:zlib'
import Database from 'better-sqlite3'

export type SqlValue = number | bigint | string | Uint8Array | null

/** A prepared statement. Rows are arrays in the order of their columns; integers are numbers unless it was prepared with bigints. */
export interface SqlStatement {
  run(values: readonly SqlValue[]): void
  get(values: readonly SqlValue[]): SqlValue[] | undefined
  all(values: readonly SqlValue[]): SqlValue[][]
}

export interface SqlDatabase {
  exec(sql: string): void
  /** @param bigints whether integers come back as bigints: for columns that hold all of 64 bits. */
  prepare(sql: string, bigints?: boolean): SqlStatement
  readonly inTransaction: boolean
  close(): void
}

/**
 * Everything of better-sqlite3 that has been made, so that none of it is ever garbage. Built from source with the headers of Node 24.19 and
 * later, its objects abort the process when they are collected outside JavaScript. Statements of closed files are a few hundred bytes each.
 */
const kept: object[] = []

class NodeStatement implements SqlStatement {
  private readonly statement: Database.Statement

  constructor(statement: Database.Statement, bigints: boolean) {
    this.statement = statement
    if (statement.reader) statement.raw(true)
    if (bigints) statement.safeIntegers(true)
  }

  run(values: readonly SqlValue[]): void {
    this.statement.run(values)
  }

  get(values: readonly SqlValue[]): SqlValue[] | undefined {
    return this.statement.get(values) as SqlValue[] | undefined
  }

  all(values: readonly SqlValue[]): SqlValue[][] {
    return this.statement.all(values) as SqlValue[][]
  }
}

class NodeDatabase implements SqlDatabase {
  private readonly database: Database.Database
  private readonly onClose: () => void

  constructor(database: Database.Database, onClose: () => void = () => {}) {
    this.database = database
    this.onClose = onClose
  }

  exec(sql: string): void {
    this.database.exec(sql)
  }

  prepare(sql: string, bigints = false): SqlStatement {
    const statement = this.database.prepare(sql)
    kept.push(statement)
    return new NodeStatement(statement, bigints)
  }

  get inTransaction(): boolean {
    return this.database.inTransaction
  }

  close(): void {
    this.database.close()
    this.onClose()
  }
}

function connect(path: string, options: Database.Options, ...pragmas: string[]): Database.Database {
  // A resolved path cannot be taken for a URI or for ':memory:'.
  const file = nodePath.resolve(path)
  fs.accessSync(nodePath.dirname(file))
  const database = new Database(file, { timeout: 0, ...options })
  kept.push(database)
  try {
    for (const pragma of pragmas) database.exec(`PRAGMA ${pragma}`)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** Opens a new file, for one transaction that need not survive a crash. */
export function createDatabase(path: string): SqlDatabase {
  return new NodeDatabase(connect(path, {}, 'journal_mode = MEMORY', 'synchronous = OFF', 'locking_mode = EXCLUSIVE'))
}

/**
 * Opens a file to append to, locked against everyone else until it is closed.
 *
 * The rollback journal makes a killed process harmless. Power failures are not guarded against (synchronous is off): the seal
 * finds what they do. The cache is large so that the file itself is rarely touched before a commit.
 */
export function appendDatabase(path: string): SqlDatabase {
  const pragmas = ['journal_mode = DELETE', 'synchronous = OFF', 'locking_mode = EXCLUSIVE', 'cache_size = -65536']
  const database = new NodeDatabase(connect(path, { fileMustExist: true }, ...pragmas))
  try {
    database.exec('BEGIN EXCLUSIVE; COMMIT')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** A database opened for reading, and the file that was read: the one asked for, or a recovered copy of it. */
export interface ReadDatabase {
  readonly database: SqlDatabase
  readonly file: string
}

/**
 * Opens a file for reading. If its writer was killed in the middle of a transaction, that transaction is rolled back first: in
 * place where the file can be written, else in a temporary copy that goes away when the database is closed.
 */
export function readDatabase(path: string): ReadDatabase {
  try {
    return { database: new NodeDatabase(openReadOnly(path)), file: path }
  } catch (error) {
    if (sqliteCode(error) !== 'SQLITE_READONLY_ROLLBACK') throw error
  }
  try {
    connect(path, { fileMustExist: true }, 'schema_version').close()
    return { database: new NodeDatabase(openReadOnly(path)), file: path }
  } catch (error) {
    if (!/^SQLITE_(READONLY|CANTOPEN|IOERR_DELETE)/.test(sqliteCode(error) ?? '')) throw error
  }
  const folder = fs.mkdtempSync(nodePath.join(os.tmpdir(), 'kaal-'))
  const remove = () => fs.rmSync(folder, { recursive: true, force: true })
  try {
    const copy = nodePath.join(folder, 'trace.kaal')
    for (const tail of ['', '-journal']) {
      fs.copyFileSync(path + tail, copy + tail)
      fs.chmodSync(copy + tail, 0o600)
    }
    connect(copy, { fileMustExist: true }, 'schema_version').close()
    return { database: new NodeDatabase(openReadOnly(copy), remove), file: copy }
  } catch (error) {
    remove()
    throw error
  }
}

function openReadOnly(path: string): Database.Database {
  // Asking for the schema version reads the header, takes the lock and finds a journal left behind.
  return connect(path, { readonly: true, fileMustExist: true }, 'schema_version', 'cell_size_check = ON')
}

/** Whether another process holds `path` open for recording. A file that is no database is not. */
export function isLocked(path: string): boolean {
  try {
    connect(path, { readonly: true, fileMustExist: true }, 'schema_version').close()
    return false
  } catch (error) {
    return sqliteCode(error)?.startsWith('SQLITE_BUSY') ?? false
  }
}

function sqliteCode(error: unknown): string | undefined {
  return error instanceof Database.SqliteError ? error.code : undefined
}

/** What a failure of SQLite, the file system or zlib means. */
export interface HostFailure {
  readonly kind: 'missing' | 'access' | 'locked' | 'full' | 'write' | 'damaged' | 'foreign'
  /** One line for people. */
  readonly reason: string
}

/** Explains an error thrown by a function of this file; undefined if it is none of theirs. */
export function hostFailure(error: unknown): HostFailure | undefined {
  if (!(error instanceof Error)) return undefined
  const code = sqliteCode(error) ?? (error as NodeJS.ErrnoException).code ?? ''
  const reason = error.message.split('\n')[0]
  if (code === 'SQLITE_FULL' || code === 'ENOSPC' || code === 'EDQUOT')
    return { kind: 'full', reason: 'the disk is full' }
  if (code.startsWith('SQLITE_BUSY') || code === 'SQLITE_LOCKED') {
    return { kind: 'locked', reason: 'locked: it is still being recorded' }
  }
  if (code === 'EFBIG') return { kind: 'full', reason: 'no room: a limit on the size of files' }
  if (/^SQLITE_IOERR_(WRITE|FSYNC|DIR_FSYNC|TRUNCATE|DELETE)/.test(code)) {
    return { kind: 'write', reason: `cannot write: ${reason} (a failing disk, or a limit on the size of files)` }
  }
  if (code.startsWith('SQLITE_IOERR')) return { kind: 'damaged', reason: `cannot read: ${reason}` }
  if (code === 'SQLITE_NOTADB') return { kind: 'foreign', reason: 'not a kaal trace: not an SQLite database' }
  if (code.startsWith('SQLITE_READONLY')) return { kind: 'access', reason: `cannot write: ${reason}` }
  if (code.startsWith('SQLITE_CANTOPEN')) return { kind: 'access', reason: `cannot open: ${reason}` }
  if (code === 'SQLITE_TOOBIG')
    return { kind: 'write', reason: 'an image or payload is larger than SQLite holds (1 GB)' }
  if (code.startsWith('SQLITE_')) return { kind: 'damaged', reason: `damaged: ${reason}` }
  if (code.startsWith('Z_') || code === 'ERR_BUFFER_TOO_LARGE')
    return { kind: 'damaged', reason: `cannot inflate: ${reason}` }
  if (code === 'ENOENT') return { kind: 'missing', reason: 'no such file' }
  if (/^E[A-Z]+$/.test(code)) return { kind: 'access', reason: `cannot open: ${reason.replace(/, \w+ '.*$/, '')}` }
  return undefined
}

/** SHA-256 of `bytes`. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer')
}

/** Puts the SHA-256 of `bytes` into the first 32 bytes of `into`. A string on the way costs less than an object for each: 2.5 µs a page, not 3.8. */
export function sha256Into(bytes: Uint8Array, into: Uint8Array): void {
  const text = hash('sha256', bytes, 'hex')
  for (let i = 0; i < 32; i++) into[i] = (digit(text.charCodeAt(2 * i)) << 4) | digit(text.charCodeAt(2 * i + 1))
}

/** The value of a lower-case hexadecimal digit. */
const digit = (code: number): number => (code & 15) + (code >>> 6) * 9

/** Whether two lists of bytes are the same. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

/** SHA-256 in pieces. */
export interface Sha256 {
  update(bytes: Uint8Array): void
  digest(): Uint8Array
}

export function createSha256(): Sha256 {
  const sha = createHash('sha256')
  return { update: (bytes) => void sha.update(bytes), digest: () => sha.digest() }
}

/** Lower-case hexadecimal digits of `bytes`. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
}

/** The bytes that hexadecimal digits stand for. */
export function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'))
}

/** First place of `needle` in `bytes` at or after `from`; -1 if there is none. */
export function findBytes(bytes: Uint8Array, needle: Uint8Array, from: number): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(needle, from)
}

// A page is 4 KiB, so a window of 4 KiB loses nothing and saves clearing a larger one per page. Measured on pages of programs and
// tables: level 1 49 µs and 1509 bytes, level 3 51 µs and 1489, level 6 66 µs and 1460.
const PAGE_DEFLATE: zlib.ZlibOptions = { level: 3, windowBits: 12, memLevel: 5, chunkSize: 4608 }

const PAGE_DEFLATE_1: zlib.ZlibOptions = { level: 3, windowBits: 12, memLevel: 8 }

/** Deflates a page or a small record, fast. */
export function deflatePage(bytes: Uint8Array): Uint8Array {
  return zlib.deflateRawSync(bytes, PAGE_DEFLATE)
}

/** Deflates an image. A kernel of 1.2 MB: level 9 takes 80 ms and gives 265,584 bytes, level 6 16 ms and 268,347, level 3 8 ms and 288,837. */
export function deflateImage(bytes: Uint8Array): Uint8Array {
  return zlib.deflateRawSync(bytes, { level: 6 })
}

/** Deflates an image as format 1 did. */
export function deflateImage1(bytes: Uint8Array): Uint8Array {
  return zlib.deflateRawSync(bytes, { level: 9 })
}

/** Deflates a page or a small record as format 1 did. */
export function deflatePage1(bytes: Uint8Array): Uint8Array {
  return zlib.deflateRawSync(bytes, PAGE_DEFLATE_1)
}

/** Brotli's window for so many bytes, as a logarithm. */
const windowBits = (bytes: number): number => Math.min(Math.max(Math.ceil(Math.log2(Math.max(bytes, 2))), 10), 30)
/** From this size on, the best compression takes minutes. */
const BROTLI_BEST = 2 ** 24
/** A long compression is told of after so many bytes. */
const BROTLI_PIECE = 2 ** 16

/**
 * Compresses as well as can be done in the time: with the whole of `bytes` as its window.
 *
 * @param onProgress told how many bytes have been taken so far.
 */
export async function squeeze(bytes: Uint8Array, onProgress: (done: number) => void = () => {}): Promise<Uint8Array> {
  const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_LGWIN, BROTLI_PARAM_LARGE_WINDOW, BROTLI_PARAM_SIZE_HINT } = zlib.constants
  const window = windowBits(bytes.length)
  const stream = zlib.createBrotliCompress({
    params: {
      [BROTLI_PARAM_QUALITY]: bytes.length > BROTLI_BEST ? 9 : 11,
      [BROTLI_PARAM_LGWIN]: window,
      [BROTLI_PARAM_LARGE_WINDOW]: window > 24 ? 1 : 0,
      [BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  })
  const pieces: Buffer[] = []
  stream.on('data', (piece: Buffer) => pieces.push(piece))
  for (let at = 0; at < bytes.length; at += BROTLI_PIECE) {
    const piece = bytes.subarray(at, at + BROTLI_PIECE)
    if (!stream.write(piece)) await once(stream, 'drain')
    onProgress(at + piece.length)
  }
  stream.end()
  await once(stream, 'end')
  return new Uint8Array(Buffer.concat(pieces))
}

/** @throws if `bytes` are not what {@link squeeze} makes, or are more than `limit` bytes when expanded. */
export function expand(bytes: Uint8Array, limit: number): Uint8Array {
  const params = { [zlib.constants.BROTLI_DECODER_PARAM_LARGE_WINDOW]: 1 }
  return new Uint8Array(zlib.brotliDecompressSync(bytes, { params, maxOutputLength: Math.max(limit, 1) }))
}

/** Reads a file whole. */
export function readBytes(path: string): Uint8Array {
  return new Uint8Array(fs.readFileSync(path))
}

/** Pieces of a file are written so many bytes at a time, or more. */
const WRITE_BYTES = 1 << 20

/** Writes a new file piece by piece, durably. */
export function writePieces(path: string, pieces: Iterable<Uint8Array | string>): void {
  const fd = fs.openSync(path, 'w')
  try {
    let gathered: Buffer[] = []
    let bytes = 0
    const flush = (): void => {
      fs.writeFileSync(fd, Buffer.concat(gathered))
      gathered = []
      bytes = 0
    }
    for (const piece of pieces) {
      gathered.push(Buffer.from(piece as Uint8Array))
      bytes += piece.length
      if (bytes >= WRITE_BYTES) flush()
    }
    flush()
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

/** @throws if `bytes` are not deflated data, or inflate to more than `limit` bytes. */
export function inflate(bytes: Uint8Array, limit: number): Uint8Array {
  return zlib.inflateRawSync(bytes, {
    maxOutputLength: Math.max(limit, 1),
    chunkSize: Math.min(Math.max(limit, 64), 65536),
  })
}

/** A random UUID: the identity of a recording, which nothing in it depends on. */
export function newUuid(): string {
  return randomUUID()
}

/** The text of `schema.sql`, from beside this file or, in a build, from the sources that a package ships. */
export function schemaSql(): string {
  const places = ['./schema.sql', '../../trace/schema.sql'].map((place) =>
    fileURLToPath(new URL(place, import.meta.url)),
  )
  const found = places.find((place) => fs.existsSync(place))
  if (found === undefined) throw new Error(`schema.sql is in neither ${places.join(' nor ')}: this kaal is not whole`)
  return fs.readFileSync(found, 'utf8')
}

/** What stands at `path`, symbolic links followed. */
export function fileKind(path: string): 'missing' | 'file' | 'directory' | 'other' {
  const stat = fs.statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return 'missing'
  return stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : 'other'
}

/** The file that `path` leads to: symbolic links followed, absolute. */
export function realPath(path: string): string {
  return fs.existsSync(path) ? fs.realpathSync(path) : nodePath.resolve(path)
}

/** A file read and written at given offsets. */
export interface RandomFile {
  readonly size: number
  /** Fills `into` from `offset` on; returns the bytes read, fewer only at the end of the file. */
  read(into: Uint8Array, offset: number): number
  write(bytes: Uint8Array, offset: number): void
  close(): void
}

export function openFile(path: string, mode: 'r' | 'r+'): RandomFile {
  const fd = fs.openSync(path, mode)
  return {
    size: fs.fstatSync(fd).size,
    read(into, offset) {
      let done = 0
      while (done < into.length) {
        const got = fs.readSync(fd, into, done, into.length - done, offset + done)
        if (got === 0) break
        done += got
      }
      return done
    },
    write(bytes, offset) {
      if (fs.writeSync(fd, bytes, 0, bytes.length, offset) !== bytes.length) {
        throw Object.assign(new Error('short write'), { code: 'ENOSPC' })
      }
    },
    close: () => fs.closeSync(fd),
  }
}

/** A name beside `path` for a file that is not ready yet. */
export function draftName(path: string): string {
  return `${path}.${process.pid}.new`
}

/** Removes a database and its journals, whichever exist. */
export function removeDatabase(path: string): void {
  fs.rmSync(path, { force: true })
  removeJournals(path)
}

function removeJournals(path: string): void {
  for (const tail of ['-journal', '-wal', '-shm']) fs.rmSync(path + tail, { force: true })
}

/**
 * Gives the finished draft its name in one step.
 *
 * @returns false if `path` exists and may not be replaced.
 */
export function publish(draft: string, path: string, replace: boolean): boolean {
  if (!replace && fs.existsSync(path)) return false
  // A journal left by a killed recorder would be rolled back into the new file.
  removeJournals(path)
  if (replace) {
    fs.renameSync(draft, path)
    return true
  }
  try {
    fs.linkSync(draft, path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    if (fs.existsSync(path)) return false
    // Some file systems have no hard links.
    fs.renameSync(draft, path)
    return true
  }
  fs.rmSync(draft)
  return true
}
