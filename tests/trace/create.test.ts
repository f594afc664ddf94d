/** Creating a trace, and the rules of writing one. */
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, expect, test } from 'vitest'
import { TraceReader } from '../../trace/reader.js'
import { TraceWriter } from '../../trace/writer.js'
import { verifyTrace } from '../../trace/verify.js'
import { testFolder } from './folder.js'
import { END, SampleRun, createSample, withReader } from './sample.js'

const folder = testFolder()
let files = 0
const fresh = () => folder(`c${files++}.kaal`)

describe('creating a trace', () => {
  test('refuses a file that exists, and leaves it as it was', () => {
    const path = fresh()
    writeFileSync(path, 'mine')
    expect(() => createSample(path)).toThrow(`${path}: exists already: give another name, or --force to replace it`)
    expect(readFileSync(path, 'utf8')).toBe('mine')
  })

  test('replaces it by force, with a journal that its killed recorder left', () => {
    const path = fresh()
    writeFileSync(path, 'mine')
    writeFileSync(`${path}-journal`, 'stale journal')
    const run = new SampleRun(createSample(path, true))
    run.batch()
    run.finish()
    expect(verifyTrace(path).problems).toEqual([])
    expect(existsSync(`${path}-journal`)).toBe(false)
  })

  test('keeps the file to be replaced if the new one cannot be made', () => {
    const path = fresh()
    writeFileSync(path, 'mine')
    const machine = { broken: undefined } as never
    expect(() => TraceWriter.create(path, { kaal: '1', machine, images: [], force: true })).toThrow('only plain types')
    expect(readFileSync(path, 'utf8')).toBe('mine')
    expect(readdirSync(dirname(path)).filter((name) => name.includes('.new'))).toEqual([])
  })

  test('by force follows a symbolic link', () => {
    const [path, link] = [fresh(), fresh()]
    writeFileSync(path, 'mine')
    symlinkSync(path, link)
    createSample(link, true).abort()
    withReader(path, (reader) => expect(reader.meta.finished).toBe(false))
  })

  test('names what stands in the way', () => {
    const path = fresh()
    mkdirSync(path)
    expect(() => createSample(path, true)).toThrow(`${path}: is a directory: give the name of a file`)
    expect(() => createSample(`${path}/no/trace.kaal`)).toThrow('cannot create the trace: its folder does not exist')
    expect(() => createSample('/dev/null', true)).toThrow('/dev/null: is not a regular file')
  })

  test('refuses one that is being recorded, and so does opening it', () => {
    const path = fresh()
    const writer = createSample(path)
    expect(() => createSample(path, true)).toThrow('locked: it is still being recorded')
    expect(() => TraceReader.open(path)).toThrow('locked: it is still being recorded')
    writer.abort()
  })
})

describe('the rules of writing', () => {
  test('batches follow one another, rows do not go back, commits take whole batches', () => {
    const writer = createSample(fresh())
    writer.batch(0, 10, 0, 0, 0, 'limit', 0, 0)
    expect(() => writer.batch(11, 10, 0, 0, 0, 'limit', 0, 0)).toThrow('batch at 11 after one that ended at 10')
    expect(() => writer.uart(9, 0, 65)).toThrow('row at 9 after one at 10')
    writer.uart(12, 0, 65)
    expect(() => writer.commit()).toThrow('commit with 1 rows since the last batch')
    expect(() => writer.finish(END)).toThrow('finish with 1 rows since the last batch')
    expect(() => writer.snapshot(10, {}, [])).toThrow('snapshot at 10')
    writer.abort()
    expect(() => writer.uart(13, 0, 65)).toThrow('row for a closed trace')
  })

  test('an aborted recording keeps what was committed', () => {
    const path = fresh()
    const run = new SampleRun(createSample(path))
    for (let n = 0; n < 3; n++) run.batch()
    run.writer.commit()
    expect(run.writer.committed).toBe(3000)
    run.batch()
    run.writer.abort()
    withReader(path, (reader) => {
      expect(reader.meta).toMatchObject({ finished: false, instructions: 3000, finalDigest: undefined })
      expect(reader.count('uart')).toBe(15)
    })
  })

  test('batches are committed by themselves when many rows have gathered', () => {
    const path = fresh()
    const writer = createSample(path)
    for (let n = 0; n < 70_000; n++) writer.uart(n, 0, 65)
    writer.batch(0, 70_000, 0, 0, 0, 'limit', 0, 0)
    expect(writer.committed).toBe(70_000)
    writer.abort()
  })
})
