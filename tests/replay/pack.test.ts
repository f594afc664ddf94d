/** Packing and unpacking: a restored trace is the trace that was packed. */
import { readFileSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { beforeAll, describe, expect, it } from 'vitest'
import { DEFAULT_CONFIG } from '../../devices/config.js'
import { imageFiles, machineRecord } from '../../replay/description.js'
import { Restorer } from '../../replay/pack/restorer.js'
import { unpack } from '../../replay/pack/unpack.js'
import { Recorder } from '../../replay/recorder.js'
import { PackedTrace } from '../../trace/pack/packed-trace.js'
import { packTrace } from '../../trace/pack/packer.js'
import { TraceReader } from '../../trace/reader.js'
import { TraceWriter } from '../../trace/writer.js'
import { testFolder } from '../trace/folder.js'
import { tables, unsealed } from '../trace/tables.js'
import { KAAL, type Recording, record } from './recording.js'

const folder = testFolder()
let files = 0

/** Packs a trace and opens the pack; without images, which take a second or two to compress, they are given. */
async function pack(trace: string, images = false): Promise<PackedTrace> {
  const reader = TraceReader.open(trace)
  const given = images ? [] : [...reader.images()]
  const path = folder(`${++files}.kaalpack`)
  writeFileSync(path, await packTrace(reader, { kaal: 'test', images }).finally(() => reader.close()))
  return new PackedTrace(path, given)
}

const guest = (name: string) => `bench/guests/prebuilt/${name}.elf`

describe('a trace comes back byte for byte', () => {
  const M = 2 ** 20
  const many = { interval: 300_000, pageInstructions: 1000 }
  const text = (length: number) =>
    Uint8Array.from({ length }, (_, n) => (n === length - 1 ? 4 : 32 + ((n * 7919) % 95)))
  const recordings: [string, Recording & { readonly images?: boolean }][] = [
    ['of the boot', { kernel: KAAL, images: true }],
    ['with several snapshots', { kernel: KAAL, snapshots: many }],
    ['of the rule of format 1', { kernel: KAAL, snapshots: { interval: M, pageInstructions: 0 } }],
    ['with input', { kernel: guest('echo'), input: text(4096) }],
    ['of interrupts', { kernel: guest('irq') }],
    ['that was stopped', { kernel: guest('mix'), run: { maxInstructions: 2_345_678 } }],
    ['that was stopped between batches', { kernel: guest('mix'), run: { maxInstructions: 2 * M } }],
    ['that writes many pages', { kernel: guest('ptswitch'), snapshots: many, run: { maxInstructions: 4_000_000 } }],
    ['of EL2', { kernel: KAAL, config: { virtualization: true, append: 'fault=null' } }],
  ]
  it.each(recordings)('%s', async (_, recording) => {
    const { path, result } = await record(recording)
    const out = folder(`${++files}.kaal`)
    expect(await unpack(await pack(path, recording.images), out)).toEqual({
      kind: 'same',
      instructions: result.instructions,
      finalDigest: result.finalDigest,
      identical: true,
    })
    expect(tables(out)).toEqual(tables(path))
    expect(readFileSync(out).equals(readFileSync(path))).toBe(true)
  })
})

describe('commits in between', () => {
  /** Records the boot, with output and input, with a commit after every third batch; some come in front of a snapshot, some behind. */
  async function committed(path: string, end: 'finish' | 'abort'): Promise<void> {
    const loaded = { kernel: { name: 'kaal.elf', bytes: readFileSync(KAAL) } }
    const description = { config: DEFAULT_CONFIG, files: loaded, snapshots: { interval: 300_000, pageInstructions: 0 } }
    const writer = TraceWriter.create(path, {
      kaal: 'test',
      machine: machineRecord(description),
      images: imageFiles(loaded),
    })
    const batch = writer.batch.bind(writer)
    let batches = 0
    writer.batch = (...row) => {
      batch(...row)
      if (++batches % 3 === 0) writer.commit()
    }
    if (end === 'abort') writer.finish = () => writer.abort()
    const recorder = new Recorder({ ...description, writer: () => writer })
    recorder.endInput()
    await recorder.run()
  }
  const without = (path: string, ...keys: string[]): Record<string, unknown[]> => {
    const all = tables(path)
    return { ...all, meta: all['meta'].filter((row) => !keys.includes((row as { key: string }).key)) }
  }

  it('are noted, and made again', async () => {
    const path = folder('committed.kaal')
    await committed(path, 'finish')
    const out = folder('committed-again.kaal')
    const packed = await pack(path)
    expect(packed.manifest.commits.length).toBeGreaterThan(5)
    expect(await unpack(packed, out)).toMatchObject({ kind: 'same', identical: true })
    expect(tables(out)).toEqual(tables(path))
  })

  it('are found by the runs of UART bytes that they ended, in traces that do not note them', async () => {
    const path = folder('unnoted.kaal')
    await committed(path, 'finish')
    const database = new Database(path)
    database.exec("DELETE FROM meta WHERE key = 'commits'; UPDATE meta SET value = zeroblob(32) WHERE key = 'seal'")
    database.close()
    // Its seal is gone with that; it is read all the same.
    const reader = TraceReader.open(path, { seal: false })
    const file = folder('unnoted.kaalpack')
    writeFileSync(file, await packTrace(reader, { kaal: 'test', images: true }).finally(() => reader.close()))
    const out = folder('unnoted-again.kaal')
    expect(await unpack(new PackedTrace(file), out)).toMatchObject({ kind: 'same', identical: false })
    expect(tables(path)['uart_runs'].length).toBeGreaterThan(5)
    expect(without(out, 'seal', 'commits')).toEqual(without(path, 'seal', 'commits'))
  })

  it('leave an unfinished trace that packs up to the last of them', async () => {
    const path = folder('killed.kaal')
    await committed(path, 'abort')
    const out = folder('killed-again.kaal')
    expect(await unpack(await pack(path), out)).toEqual({
      kind: 'same',
      instructions: expect.any(Number),
      finalDigest: undefined,
    })
    expect(tables(out)).toEqual(tables(path))
    expect(tables(path)['batches'].length).toBeGreaterThan(5)
    expect(tables(path)['batches'].length % 3).toBe(0)
    const reader = TraceReader.open(out)
    expect(reader.meta.finished).toBe(false)
    reader.close()
  })
})

describe('format 1', () => {
  it.each(['kaal-boot', 'kaal-fault'])('%s comes back as it was, but for its seal', async (name) => {
    const out = folder(`${name}.kaal`)
    expect(await unpack(await pack(`traces/${name}.kaal`), out)).toMatchObject({ kind: 'same', identical: false })
    const restored = unsealed(out)
    expect(restored).toEqual(unsealed(`traces/${name}.kaal`))
    expect(restored['uart'].length).toBeGreaterThan(5000)
  })
})

describe('a replay that does not reach the digest', () => {
  let good: PackedTrace
  beforeAll(async () => {
    good = await pack((await record({ kernel: guest('echo'), input: Uint8Array.of(65, 66, 4) })).path)
  })
  const changed = (change: object): PackedTrace =>
    Object.assign(Object.create(good), { manifest: { ...good.manifest, ...change } }) as PackedTrace

  it.each([
    ['final digest', { finalDigest: new Uint8Array(32) }, /final digest [0-9a-f]{64}, not 0{64}/],
    ['digest of the last batch', { digest: new Uint8Array(8) }, /digest [0-9a-f]{16} of its last batch, not 0{16}/],
    ['too long', { batches: 10_000 }, /the guest has powered off|goes on past/],
    ['too short', { batches: 1, ended: 'limit' }, /ends otherwise|ends before/],
    ['other end', { ended: 'reset' }, /its last batch ends otherwise \(power-off, not reset\)/],
    ['too few instructions', { instructions: 10 }, /it goes on past 10, the end of the trace/],
  ])('by its %s', async (_, change, message) => {
    const result = await new Restorer(changed(change)).run()
    expect(result).toMatchObject({ kind: 'differs', message: expect.stringMatching(message) })
  })

  it('for want of an input', async () => {
    const lost = Object.assign(Object.create(good), { inputsAfter: () => [][Symbol.iterator]() }) as PackedTrace
    expect(await new Restorer(lost).run()).toMatchObject({ kind: 'differs' })
  })

  it('is stopped from outside without a file', async () => {
    const { path } = await record({ kernel: KAAL })
    const out = folder('stopped.kaal')
    const result = await unpack(await pack(path), out, { stopped: () => true })
    expect(['stopped', 'same']).toContain(result.kind)
    if (result.kind === 'stopped') expect(() => readFileSync(out)).toThrow('ENOENT')
  })
})
