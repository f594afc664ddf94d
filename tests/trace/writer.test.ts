/** The writer and the reader together: every row comes back, and takes as little room as it should. */
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { assert, describe, expect, test } from 'vitest'
import { BATCH_ENDS, EXCEPTION_KINDS, type PageRef } from '../../trace/rows.js'
import { schemaSql, sha256 } from '../../trace/platform.js'
import { TraceWriter } from '../../trace/writer.js'
import { verifyTrace } from '../../trace/verify.js'
import { testFolder } from './folder.js'
import {
  END,
  INITRD,
  KERNEL,
  createSample,
  pageImage,
  samplePage,
  sampleState,
  withReader,
  writeSample,
} from './sample.js'

const folder = testFolder()
let files = 0
const fresh = () => folder(`t${files++}.kaal`)

describe('a trace', () => {
  test('is one file that plain SQLite reads, with its documentation inside', () => {
    const path = fresh()
    writeSample(path)
    expect(readdirSync(dirname(path)).filter((name) => path.endsWith(name.slice(0, 7)))).toHaveLength(1)
    const database = new Database(path, { readonly: true })
    const count = (table: string) => database.prepare(`SELECT count(*) FROM ${table}`).pluck().get()
    expect(count('batches')).toBe(12)
    expect(count('uart')).toBe(60)
    expect(database.prepare("SELECT printf('%x', pc) FROM batches LIMIT 1").pluck().get()).toBe('ffff000040080100')
    expect(database.prepare("SELECT printf('%x', pc) FROM interrupts LIMIT 1").pluck().get()).toBe('8123456789abcdef')
    expect(database.pragma('integrity_check', { simple: true })).toBe('ok')
    expect(database.prepare("SELECT sql FROM sqlite_schema WHERE name = 'uart'").pluck().get()).toContain(
      'icount + 2048 * high',
    )
    database.close()
  })

  test('has a comment for every column in schema.sql', () => {
    const bare = schemaSql()
      .split('\n')
      .filter((line) => /^ {2}[a-z0-9]+ (INTEGER|TEXT|BLOB|ANY)/.test(line) && !line.includes('--'))
      .map((line) => line.trim().split(' ')[0])
    // Explained once at the top of the file, or in the table's own comment.
    expect([...new Set(bare)].toSorted()).toEqual(['icount', 'key', 'value', 'vcpu'])
  })

  test('gives back configuration, images and the final digest', () => {
    const path = fresh()
    writeSample(path)
    withReader(path, (reader) => {
      expect(reader.meta).toMatchObject({ format: 2, kaal: '0.1.0', finished: true, instructions: 12_000 })
      expect(reader.meta.finalDigest).toMatch(/^[0-9a-f]{64}$/)
      expect(reader.meta.machine).toEqual({ memory: 16, cpu: 'cortex-a53', append: 'console=ttyAMA0', seed: 1n })
      const images = [...reader.images()]
      expect(images.map(({ role, name }) => [role, name])).toEqual([
        ['kernel', 'Image'],
        ['initrd', 'initrd.cpio'],
      ])
      expect(Buffer.from(images[0].bytes).equals(KERNEL)).toBe(true)
      expect(Buffer.from(images[1].bytes).equals(INITRD)).toBe(true)
      expect(Buffer.from(images[0].sha256).equals(sha256(KERNEL))).toBe(true)
    })
  })

  test('finds rows by position, batches and snapshots', () => {
    const path = fresh()
    writeSample(path)
    withReader(path, (reader) => {
      expect([...reader.uart({ from: 2100, to: 2300 })]).toEqual([
        { icount: 2100, direction: 0, byte: 66 },
        { icount: 2200, direction: 0, byte: 67 },
        { icount: 2300, direction: 0, byte: 68 },
      ])
      expect([...reader.inputs({ from: 11_000 })].map(({ icount, source }) => [icount, source])).toEqual([
        [11_500, 'uart'],
      ])
      expect([...reader.interrupts({ to: 1999 })]).toEqual([
        { icount: 1000, vcpu: 0, intid: 27, pc: 0x8123_4567_89ab_cdefn, el: 1 },
      ])
      expect([...reader.exceptions({ from: 600, to: 600 })]).toEqual([
        { icount: 600, vcpu: 0, kind: 'data-abort', esr: 0x9600_0007, far: 0x1000n, elr: 0xffff_0000_4008_0000n },
      ])
      expect(reader.batchAt(0)?.n).toBe(1)
      expect(reader.batchAt(1000)?.n).toBe(1)
      expect(reader.batchAt(1001)?.n).toBe(2)
      expect(reader.batchAt(12_001)).toBeUndefined()
      expect(reader.nearestSnapshot(3999)).toBeUndefined()
      expect(reader.nearestSnapshot(4000)?.icount).toBe(4000)
      expect(reader.nearestSnapshot(11_999)?.icount).toBe(8000)
      expect(reader.snapshotPositions()).toEqual([4000, 8000, 12_000])
    })
  })

  test('gives back snapshots with every page as it was then', () => {
    const path = fresh()
    writeSample(path)
    withReader(path, (reader) => {
      const snapshot = reader.nearestSnapshot(8000)
      assert(snapshot)
      expect(snapshot.state).toEqual(sampleState(8))
      expect(snapshot).toMatchObject({ icount: 8000, batch: 8, inputs: 8 })
      expect([...reader.inputsAfter(snapshot.inputs)].map(({ icount }) => icount)).toEqual([8500, 9500, 10_500, 11_500])
      const seen = new Map(snapshot.pages().map((ref: PageRef) => [ref.page, Buffer.from(snapshot.load(ref))]))
      expect([...seen.keys()]).toEqual([3, 7, 9, 11])
      expect(seen.get(3)?.equals(samplePage(8))).toBe(true)
      expect(seen.get(7)?.equals(samplePage(7))).toBe(true)
      // Page 9 never changes: one row for three snapshots.
      expect(reader.count('pages')).toBe(7)
    })
  })

  test('keeps any sequence of rows as given', () => {
    const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
    const step = fc.integer({ min: 0, max: 2 ** 44 })
    const row = fc.oneof(
      fc.record({ is: fc.constant('uart' as const), step, direction: fc.constantFrom(0, 1), byte: fc.nat(255) }),
      fc.record({
        is: fc.constant('interrupt' as const),
        step,
        vcpu: fc.nat(7),
        intid: fc.nat(1019),
        lo: u32,
        hi: u32,
        el: fc.nat(3),
      }),
      fc.record({
        is: fc.constant('exception' as const),
        step,
        vcpu: fc.nat(7),
        kind: fc.constantFrom(...EXCEPTION_KINDS),
        esr: u32,
        lo: u32,
        hi: u32,
      }),
      fc.record({
        is: fc.constant('input' as const),
        step,
        source: fc.string({ minLength: 1, maxLength: 8 }),
        payload: fc.uint8Array(),
      }),
      fc.record({
        is: fc.constant('batch' as const),
        step,
        ended: fc.constantFrom(...BATCH_ENDS),
        lo: u32,
        hi: u32,
        commit: fc.boolean(),
      }),
    )
    const word = (lo: number, hi: number) => (BigInt(hi) << 32n) | BigInt(lo)
    fc.assert(
      fc.property(fc.array(row, { maxLength: 300 }), (rows) => {
        const path = fresh()
        const writer = createSample(path)
        const want = { uart: [], interrupts: [], exceptions: [], inputs: [], batches: [] } as Record<string, unknown[]>
        let icount = 0
        let start = 0
        const batch = (ended: (typeof BATCH_ENDS)[number], lo: number, hi: number) => {
          const count = icount - start
          writer.batch(start, count, 1, lo, hi, ended, hi, lo)
          const n = want['batches'].length + 1
          want['batches'].push({
            n,
            icount: start,
            count,
            vcpu: 1,
            pc: word(lo, hi),
            ended,
            digestLo: hi,
            digestHi: lo,
          })
          start = icount
        }
        for (const r of rows) {
          icount += r.step
          switch (r.is) {
            case 'uart':
              writer.uart(icount, r.direction, r.byte)
              want['uart'].push({ icount, direction: r.direction, byte: r.byte })
              break
            case 'interrupt':
              writer.interrupt(icount, r.vcpu, r.intid, r.lo, r.hi, r.el)
              want['interrupts'].push({ icount, vcpu: r.vcpu, intid: r.intid, pc: word(r.lo, r.hi), el: r.el })
              break
            case 'exception': {
              const { vcpu, kind, esr, lo, hi } = r
              writer.exception(icount, vcpu, kind, esr, lo, hi, hi, lo)
              want['exceptions'].push({ icount, vcpu, kind, esr, far: word(lo, hi), elr: word(hi, lo) })
              break
            }
            case 'input':
              writer.input(icount, r.source, r.payload)
              want['inputs'].push({ icount, source: r.source, payload: Buffer.from(r.payload) })
              break
            case 'batch':
              batch(r.ended, r.lo, r.hi)
              if (r.commit) writer.commit()
          }
        }
        batch('stopped', 0, 0)
        writer.finish(END)
        withReader(path, (reader) => {
          expect([...reader.uart()]).toEqual(want['uart'])
          expect([...reader.interrupts()]).toEqual(want['interrupts'])
          expect([...reader.exceptions()]).toEqual(want['exceptions'])
          expect([...reader.inputs()]).toEqual(want['inputs'])
          expect([...reader.batches()]).toEqual(want['batches'])
        })
      }),
      { numRuns: 30 },
    )
  })

  test('has a row for each UART byte in its view, which the reader agrees with from any position to any other', () => {
    const path = fresh()
    const writer = createSample(path)
    const want: { icount: number; direction: number; byte: number }[] = []
    let seed = 7
    const random = (below: number): number => (seed = (Math.imul(seed, 48271) >>> 0) % 2147483647) % below
    let icount = 0
    for (let n = 0; n < 9000; n++) {
      // Several bytes at a position, small steps, and now and then one that no row can span.
      icount += random(3) === 0 ? 0 : random(500) === 0 ? 2 ** (20 + random(10)) : random(40)
      const row = { icount, direction: random(20) === 0 ? 1 : 0, byte: random(256) }
      writer.uart(icount, row.direction as 0 | 1, row.byte)
      want.push(row)
    }
    writer.batch(0, icount + 1, 0, 0, 0, 'stopped', 0, 0)
    writer.finish(END)
    const database = new Database(path, { readonly: true })
    expect(database.prepare('SELECT icount, direction, byte FROM uart ORDER BY run, i').all()).toEqual(want)
    expect(database.prepare('SELECT count(*) FROM uart_runs').pluck().get()).toBeLessThan(60)
    database.close()
    withReader(path, (reader) => {
      expect(reader.count('uart')).toBe(want.length)
      for (let n = 0; n < 50; n++) {
        const from = want[random(want.length)].icount + random(2)
        const to = from + random(2 ** (4 + random(24)))
        expect([...reader.uart({ from, to })]).toEqual(want.filter((row) => row.icount >= from && row.icount <= to))
      }
    })
  })

  test('of equal recordings is an equal file', () => {
    const [a, b] = [fresh(), fresh()]
    writeSample(a)
    writeSample(b)
    expect(readFileSync(a).equals(readFileSync(b))).toBe(true)
  })

  test('is sealed in one place however long its configuration is', () => {
    for (let length = 0; length < 1200; length += 31) {
      const path = fresh()
      const machine = { append: 'x'.repeat(length) }
      const writer = TraceWriter.create(path, { kaal: '0.1.0'.repeat(1 + (length % 50)), machine, images: [] })
      writer.batch(0, 10, 0, 0, 0, 'stopped', 0, 0)
      writer.finish(END)
      withReader(path, (reader) => expect(reader.meta.machine).toEqual(machine))
    }
  })

  test('spends about 15 bytes on a UART byte', () => {
    const path = fresh()
    const writer = createSample(path)
    const empty = statSync(path).size
    for (let n = 0; n < 50_000; n++) writer.uart(10_000_000 + n * 10, 0, 65)
    writer.batch(0, 11_000_000, 0, 0, 0, 'stopped', 0, 0)
    writer.finish(END)
    expect((statSync(path).size - empty) / 50_000).toBeLessThan(15.2)
  })
})

describe('registers', () => {
  test('of 64 bits are stored as SQLite signs them', () => {
    const edges = [
      0n,
      1n,
      0x7fff_ffffn,
      0x8000_0000n,
      0xffff_ffffn,
      1n << 32n,
      (1n << 63n) - 1n,
      1n << 63n,
      (1n << 64n) - 1n,
    ]
    const values = [...edges, ...fc.sample(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), 100)]
    const path = fresh()
    const writer = createSample(path)
    for (const value of values) writer.interrupt(0, 0, 0, Number(value & 0xffff_ffffn), Number(value >> 32n), 1)
    writer.batch(0, 1, 0, 0, 0, 'stopped', 0, 0)
    writer.finish(END)
    const database = new Database(path, { readonly: true })
    const stored = database.prepare('SELECT pc FROM interrupts ORDER BY rowid').safeIntegers().pluck().all()
    expect(stored).toEqual(values.map((value) => BigInt.asIntN(64, value)))
    database.close()
  })
})

describe('snapshots', () => {
  test('share page lists, and reading one never takes more than twice its own list', () => {
    const path = fresh()
    const writer = createSample(path)
    const memory = new Map<number, number>()
    const wanted: [number, number][][] = []
    for (let n = 0; n < 40; n++) {
      const dirty = n === 0 ? 100 : 7
      const pages = Array.from({ length: dirty }, (_, i) => (i * 13 + n * 5) % 150)
      for (const page of pages) memory.set(page, n)
      writer.batch(n * 10, 10, 0, 0, 0, 'snapshot', 0, 0)
      writer.snapshot(
        n * 10 + 10,
        sampleState(n),
        pages.map((page) => pageImage(page, samplePage(page * 100 + n))),
      )
      wanted.push([...memory].toSorted((a, b) => a[0] - b[0]))
    }
    writer.finish(END)
    withReader(path, (reader) => {
      wanted.forEach((want, index) => {
        const snapshot = reader.snapshot(index + 1)
        const got = snapshot.pages()
        expect(got.map(({ page }) => page)).toEqual(want.map(([page]) => page))
        got.forEach((ref, at) => {
          const [page, n] = want[at]
          expect(Buffer.from(snapshot.load(ref)).equals(samplePage(page * 100 + n))).toBe(true)
        })
      })
    })
    expect(verifyTrace(path).problems).toEqual([])
    const database = new Database(path, { readonly: true })
    const bases = database.prepare('SELECT base FROM snapshots').pluck().all()
    database.close()
    expect(bases[0]).toBe(null)
    expect(bases.filter((base) => base === null).length).toBeLessThan(6)
  })
})

test('a snapshot between batches of no instructions knows its place among batches and inputs at one position', () => {
  const path = fresh()
  const writer = createSample(path)
  writer.snapshot(0, sampleState(0), [])
  writer.input(0, 'rtc', Uint8Array.of(1))
  writer.batch(0, 0, 0, 0, 0, 'input', 1, 0)
  writer.snapshot(0, sampleState(1), [])
  writer.input(0, 'uart', Uint8Array.of(2))
  writer.batch(0, 0, 0, 0, 0, 'input', 2, 0)
  writer.batch(0, 10, 0, 0, 0, 'stopped', 3, 0)
  writer.finish(END)
  withReader(path, (reader) => {
    expect([1, 2].map((n) => reader.snapshot(n)).map(({ batch, inputs }) => [batch, inputs])).toEqual([
      [0, 0],
      [1, 1],
    ])
    expect([...reader.inputsAfter(1)].map(({ source }) => source)).toEqual(['uart'])
    expect(reader.nearestSnapshot(5)?.n).toBe(2)
  })
  expect(verifyTrace(path).problems).toEqual([])
})
