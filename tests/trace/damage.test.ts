/** Damage: flipped bits, cut files, foreign files, and rows that contradict each other. */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { TraceError } from '../../trace/errors.js'
import { TraceReader } from '../../trace/reader.js'
import { sealPlaceholder } from '../../trace/seal.js'
import { verifyTrace } from '../../trace/verify.js'
import { testFolder } from './folder.js'
import { SAMPLE_UUID, SampleRun, createSample, writeSample } from './sample.js'

const folder = testFolder()
let files = 0
const fresh = () => folder(`d${files++}.kaal`)

/** A small generator of its own, so that a failure can be repeated from its seed. */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** Opens a trace and reads all of it; returns the first error's message. */
function complaint(path: string): string {
  try {
    const reader = TraceReader.open(path)
    try {
      for (const _ of reader.images());
      for (const table of ['batches', 'interrupts', 'exceptions', 'uart', 'inputs'] as const)
        for (const _ of reader[table]());
      for (let n = 1; n <= reader.count('snapshots'); n++) {
        const snapshot = reader.snapshot(n)
        for (const ref of snapshot.pages()) snapshot.load(ref)
      }
    } finally {
      reader.close()
    }
  } catch (error) {
    expect(error).toBeInstanceOf(TraceError)
    expect((error as Error).message).not.toContain('\n')
    return (error as TraceError).reason
  }
  return 'no complaint'
}

/** A finished sample with its seal taken off and some SQL run on it: damage that a seal cannot show. */
function altered(sql: string): string {
  const path = fresh()
  writeSample(path)
  const database = new Database(path)
  database.unsafeMode(true)
  database.exec(`
    PRAGMA journal_mode = MEMORY; PRAGMA ignore_check_constraints = ON;
    DELETE FROM meta WHERE key IN ('seal', 'instructions', 'final_digest');
    UPDATE meta SET value = 0 WHERE key = 'finished';
    ${sql}`)
  database.close()
  return path
}

describe('a finished trace', () => {
  test('reports every one of 1,000 flipped bits', () => {
    const path = fresh()
    writeSample(path)
    const good = readFileSync(path)
    expect(verifyTrace(path).problems).toEqual([])
    const seed = Date.now() >>> 0
    const pick = random(seed)
    const flipped = fresh()
    for (let n = 0; n < 1000; n++) {
      // The first bits are the header's, one after another, since most errors are possible there.
      const bit = n < 300 ? n + pick(2) * 500 : pick(good.length * 8)
      const bad = Buffer.from(good)
      bad[bit >> 3] ^= 1 << (bit & 7)
      writeFileSync(flipped, bad)
      const { problems } = verifyTrace(flipped)
      expect(problems.length, `bit ${bit} flipped, seed ${seed}`).toBeGreaterThan(0)
      for (const { message } of problems) expect(message).not.toContain('\n')
    }
  })

  test('reports a flip of every bit of its seal and of what says that it is finished', () => {
    const path = fresh()
    writeSample(path)
    const good = readFileSync(path)
    const database = new Database(path, { readonly: true })
    const seal = database.prepare("SELECT value FROM meta WHERE key = 'seal'").pluck().get() as Buffer
    database.close()
    const flipped = fresh()
    const keys = ['finished', 'seal', 'uuid', 'format'].map((key) => [good.indexOf(key) - 6, key.length + 12])
    for (const [start, length] of [[good.indexOf(seal), 32], ...keys]) {
      for (let bit = start * 8; bit < (start + length) * 8; bit++) {
        const bad = Buffer.from(good)
        bad[bit >> 3] ^= 1 << (bit & 7)
        writeFileSync(flipped, bad)
        expect(verifyTrace(flipped).problems.length, `bit ${bit}`).toBeGreaterThan(0)
      }
    }
  })

  test('reports bytes added to its end', () => {
    const path = fresh()
    writeSample(path)
    writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.alloc(4096)]))
    expect(complaint(path)).toContain('the seal does not match the file')
  })

  test('cut short anywhere is refused as such', () => {
    const path = fresh()
    writeSample(path)
    const good = readFileSync(path)
    const pick = random(Date.now() >>> 0)
    const cut = fresh()
    for (const length of [
      1,
      15,
      16,
      99,
      100,
      4096,
      good.length - 1,
      ...Array.from({ length: 60 }, () => 1 + pick(good.length - 1)),
    ]) {
      writeFileSync(cut, good.subarray(0, length))
      expect(complaint(cut), `cut to ${length} bytes`).toMatch(/^cut short: /)
      expect(verifyTrace(cut).problems).toHaveLength(1)
    }
  })

  test('whose last step was interrupted counts as unfinished', () => {
    const path = fresh()
    writeSample(path)
    const bytes = readFileSync(path)
    const database = new Database(path, { readonly: true })
    const seal = database.prepare("SELECT value FROM meta WHERE key = 'seal'").pluck().get() as Buffer
    database.close()
    bytes.set(sealPlaceholder(SAMPLE_UUID), bytes.indexOf(seal))
    writeFileSync(path, bytes)
    expect(verifyTrace(path)).toMatchObject({ finished: false, instructions: 12_000, problems: [] })
  })
})

describe('what is no trace', () => {
  test('is refused for what it is', () => {
    const path = fresh()
    expect(complaint(path)).toBe('no such file')
    mkdirSync(path)
    expect(complaint(path)).toBe('is a directory, not a trace')
    expect(complaint('/dev/null')).toBe('is not a regular file')
    const empty = fresh()
    writeFileSync(empty, '')
    expect(complaint(empty)).toBe('empty: no trace')
    const prose = fresh()
    writeFileSync(prose, 'once upon a time '.repeat(100))
    expect(complaint(prose)).toBe('not a kaal trace: not an SQLite database')
    const other = fresh()
    const database = new Database(other)
    database.exec('CREATE TABLE t(x); PRAGMA application_id = 7')
    database.close()
    expect(complaint(other)).toBe('not a kaal trace: an SQLite database with application_id 0x00000007, not 0x6b61616c')
  })

  test('a newer format is refused with both numbers and its maker', () => {
    const path = altered("PRAGMA user_version = 7; UPDATE meta SET value = '9.1' WHERE key = 'kaal'")
    expect(complaint(path)).toBe('made by kaal 9.1 with format 7; this kaal reads up to 2')
    expect(() => TraceReader.open(path)).toThrow(expect.objectContaining({ kind: 'newer' }))
  })
})

describe('rows that contradict each other are named', () => {
  const blob = "x'c1'"
  const cases: [string, string, string | RegExp][] = [
    ['meta without uuid', "DELETE FROM meta WHERE key = 'uuid'", 'meta: uuid is missing'],
    ['meta of another type', "UPDATE meta SET value = 3 WHERE key = 'kaal'", 'meta: kaal is of type integer, not text'],
    [
      'a format that the header denies',
      'PRAGMA user_version = 0',
      "meta: format is 2, but the header's user_version is 0",
    ],
    [
      'finished without a seal',
      "UPDATE meta SET value = 1 WHERE key = 'finished'",
      'meta: finished is 1, but a seal is missing',
    ],
    ['a seal before the end', "INSERT INTO meta VALUES ('seal', x'00')", 'meta: finished is 0, but a seal is there'],
    [
      'finished neither way',
      "UPDATE meta SET value = 2 WHERE key = 'finished'",
      'meta: finished is 2, neither 0 nor 1',
    ],
    ['a machine that is not msgpack', `UPDATE meta SET value = ${blob} WHERE key = 'machine'`, /^meta: machine: /],
    ['a missing batch', 'DELETE FROM batches WHERE n = 5', 'batches: 11 rows numbered 1 to 12'],
    [
      'a gap',
      'UPDATE batches SET count = 999 WHERE n = 5',
      'batches: batch 5 ends at 4999 but the next begins at 5000',
    ],
    ['a late start', 'UPDATE batches SET icount = icount + 1', 'batches: the first begins at 1, not 0'],
    [
      'an unknown end',
      "UPDATE batches SET ended = 'x' WHERE n = 2",
      /^row 2 of batches: ended is "x", none of interrupt, /,
    ],
    ['a missing row', 'DELETE FROM interrupts WHERE rowid = 7', 'row 7 of interrupts is missing'],
    [
      'UART events that are cut short',
      'UPDATE uart_runs SET events = substr(events, 1, 5) WHERE n = 1',
      'row 1 of uart_runs: events is unreadable: 5 bytes, not 4 to 8192 by fours',
    ],
    ['a position below 0', 'UPDATE interrupts SET icount = -1 WHERE rowid = 1', /^row 1 of interrupts: icount is -1, /],
    [
      'an image with a wrong hash',
      'UPDATE images SET sha256 = zeroblob(32) WHERE id = 2',
      /^row 2 of images: sha256 is 0{64}, but/,
    ],
    [
      'an image of another size',
      'UPDATE images SET size = 100 WHERE id = 1',
      /^row 1 of images: data is unreadable: cannot inflate/,
    ],
    [
      'an image that is no deflated data',
      `UPDATE images SET data = ${blob} WHERE id = 1`,
      /^row 1 of images: data is unreadable/,
    ],
    ['an unknown role', "UPDATE images SET role = 'x' WHERE id = 1", /^row 1 of images: role is "x", none of kernel/],
    [
      'a page with a wrong hash',
      'UPDATE pages SET sha256 = zeroblob(32) WHERE id = 2',
      /^row 2 of pages: sha256 is 0{64}, but/,
    ],
    [
      'a page that is no deflated data',
      `UPDATE pages SET data = ${blob} WHERE id = 2`,
      /^row 2 of pages: data is unreadable/,
    ],
    ['a missing page', 'DELETE FROM pages WHERE id = 3', 'row 3 of pages is missing'],
    [
      'a state that is not msgpack',
      `UPDATE snapshots SET state = ${blob} WHERE n = 1`,
      /^row 1 of snapshots: state is unreadable/,
    ],
    [
      'a page list that is not msgpack',
      `UPDATE snapshots SET pages = ${blob} WHERE n = 1`,
      /^row 1 of snapshots: pages is unreadable/,
    ],
    [
      'a snapshot on itself',
      'UPDATE snapshots SET base = 2 WHERE n = 2',
      'row 2 of snapshots: base is 2, which is not an earlier snapshot',
    ],
    ['a missing table', 'DROP TABLE uart_runs', /^damaged: no such table: uart_runs/],
  ]
  for (const [what, sql, message] of cases) {
    test(what, () => {
      const path = altered(sql)
      const said = complaint(path)
      if (typeof message === 'string') expect(said).toBe(message)
      else expect(said).toMatch(message)
      expect(verifyTrace(path).problems.map((problem) => problem.message)).toEqual(
        expect.arrayContaining([typeof message === 'string' ? message : expect.stringMatching(message)]),
      )
    })
  }

  test('verify also finds rows out of order, past the end and snapshots between batches', () => {
    const messages = (sql: string) =>
      verifyTrace(altered(sql)).problems.map(({ where, message }) => `${where}: ${message}`)
    const swapped = `UPDATE uart_runs SET events = CAST(substr(events, 1, 28) || x'00000041' || substr(events, 33) AS BLOB)`
    expect(messages(swapped)).toEqual(['uart: row 8 is at 0, after one at 1100'])
    expect(messages('UPDATE inputs SET icount = 12001 WHERE rowid = 12')).toEqual([
      'inputs: row 12 is at 12001, past the end at 12000',
    ])
    expect(messages('UPDATE snapshots SET icount = 4001 WHERE n = 1')).toEqual([
      'snapshots: row 1 of snapshots: it is at 4001, but batch 4 does not end there',
    ])
    expect(messages('UPDATE snapshots SET inputs = 99 WHERE n = 1')).toEqual([
      'snapshots: row 1 of snapshots: it follows 99 inputs, but there are 12',
    ])
    expect(messages('DELETE FROM pages WHERE id = 7')).toEqual([
      expect.stringMatching(/^snapshots: row 3 of snapshots: it names page \d+ with id 7, which is missing$/),
    ])
  })
})

describe('read-only files', () => {
  test('are read in a read-only folder', () => {
    const path = folder('locked/a.kaal')
    mkdirSync(folder('locked'))
    writeSample(path)
    chmodSync(path, 0o444)
    chmodSync(folder('locked'), 0o555)
    expect(complaint(path)).toBe('no complaint')
    chmodSync(folder('locked'), 0o755)
  })

  test('with a journal beside them are recovered in a copy', () => {
    // A recorder's file and journal as they stand in the middle of a transaction that has reached the file.
    const path = fresh()
    const run = new SampleRun(createSample(path))
    for (let n = 0; n < 3; n++) run.batch()
    run.writer.commit()
    const copy = folder('frozen/a.kaal')
    mkdirSync(folder('frozen'))
    copyFileSync(path, copy)
    for (let n = 0; n < 60; n++) run.batch()
    copyFileSync(`${path}-journal`, `${copy}-journal`)
    run.writer.abort()
    const before = readFileSync(copy)
    chmodSync(copy, 0o444)
    chmodSync(folder('frozen'), 0o555)
    expect(verifyTrace(copy)).toMatchObject({ finished: false, instructions: 3000, problems: [] })
    chmodSync(folder('frozen'), 0o755)
    expect(readFileSync(copy).length).toBe(before.length)
  })
})
