/** The file of a packed trace: its checksum finds every flipped bit, and whatever is wrong with it is said by name. */
import { readFileSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { beforeAll, describe, expect, it, test } from 'vitest'
import { TraceError } from '../../trace/errors.js'
import { isPack, joinContainer, splitContainer } from '../../trace/pack/container.js'
import { type Manifest, decodeManifest } from '../../trace/pack/manifest.js'
import { PackedTrace } from '../../trace/pack/packed-trace.js'
import { packTrace } from '../../trace/pack/packer.js'
import { encode } from '../../trace/msgpack.js'
import { expand, squeeze } from '../../trace/platform.js'
import type { Portable } from '../../trace/rows.js'
import { TraceReader } from '../../trace/reader.js'
import { testFolder } from './folder.js'
import { INITRD, KERNEL, withReader, writeSample } from './sample.js'

const folder = testFolder()
const path = folder('sample.kaalpack')
let whole: Uint8Array
let bare: Uint8Array

beforeAll(async () => {
  writeSample(folder('sample.kaal'))
  const reader = TraceReader.open(folder('sample.kaal'))
  whole = await packTrace(reader, { kaal: '9.9.9', images: true })
  bare = await packTrace(reader, { kaal: '9.9.9', images: false })
  reader.close()
  writeFileSync(path, whole)
})

/** What opening bytes as a pack, and reading all of it, throws. */
function complaint(bytes: Uint8Array): TraceError {
  const file = folder('changed.kaalpack')
  writeFileSync(file, bytes)
  try {
    const pack = new PackedTrace(file)
    pack.images()
    Array.from(pack.inputsAfter(0))
  } catch (error) {
    expect(error).toBeInstanceOf(TraceError)
    expect((error as TraceError).message).not.toContain('\n')
    return error as TraceError
  }
  throw new Error('nothing was found')
}

/** A pack with another manifest. */
async function withManifest(change: (manifest: Record<string, unknown>) => void): Promise<Uint8Array> {
  const { manifest: packed, parts } = splitContainer('x', whole)
  const manifest = { ...decodeManifest('x', packed) } as Record<string, unknown>
  change(manifest)
  return joinContainer(await squeeze(encode(manifest as Portable)), [parts])
}

test('holds what a replay needs, and says what takes how much', () => {
  const pack = new PackedTrace(path)
  withReader(folder('sample.kaal'), (reader) => {
    const plain = Array.from(reader.images(), (image) => ({
      ...image,
      bytes: new Uint8Array(image.bytes),
      sha256: new Uint8Array(image.sha256),
    }))
    expect(pack.images().map((image) => ({ ...image, sha256: new Uint8Array(image.sha256) }))).toEqual(plain)
    expect([...pack.inputsAfter(0)]).toEqual(
      Array.from(reader.inputs(), (row) => ({ ...row, payload: new Uint8Array(row.payload) })),
    )
    expect([...pack.inputsAfter(10)]).toHaveLength(2)
    expect(pack.meta).toMatchObject({ machine: reader.meta.machine, instructions: 12_000, finished: true })
    expect(pack.manifest).toMatchObject({ uuid: reader.meta.uuid, kaal: '0.1.0', packer: '9.9.9', batches: 12 })
  })
  const sizes = pack.contents().map(({ packed }) => packed)
  expect(sizes.reduce((sum, size) => sum + size)).toBe(whole.length)
  expect(pack.contents().map(({ name }) => name)).toEqual([
    'header and manifest',
    'kernel Image',
    'initrd initrd.cpio',
    'inputs',
    'checksum',
  ])
})

test('without images it has their hashes, and takes files that match', () => {
  const file = folder('bare.kaalpack')
  writeFileSync(file, bare)
  const kernel = { name: 'k', bytes: KERNEL }
  const initrd = { name: 'i', bytes: INITRD }
  expect(bare.length).toBeLessThan(whole.length)
  expect(() => new PackedTrace(file).images()).toThrow(
    /packed without kernel Image \(sha256 [0-9a-f]{64}\) and initrd initrd\.cpio \(sha256 [0-9a-f]{64}\): give the file with --image/,
  )
  expect(() => new PackedTrace(file, [kernel]).images()).toThrow(/packed without initrd initrd\.cpio \(sha256/)
  expect(new PackedTrace(file, [initrd, kernel]).images().map(({ bytes }) => bytes)).toEqual([KERNEL, INITRD])
  expect(() => new PackedTrace(file, [{ name: 'other', bytes: INITRD.slice(1) }])).toThrow(
    /other \(sha256 [0-9a-f]{64}\) is none of its images: kernel Image, initrd initrd\.cpio/,
  )
})

describe('damage', () => {
  it('of any single bit is found', () => {
    for (let bit = 0; bit < bare.length * 8; bit++) {
      const changed = bare.slice()
      changed[bit >> 3] ^= 1 << (bit & 7)
      expect(() => splitContainer('x', changed), `bit ${bit}`).toThrow(TraceError)
    }
  })

  it('of several bits anywhere is found', () => {
    const bits = fc.uniqueArray(fc.nat(whole.length * 8 - 1), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(bits, (places) => {
        const changed = whole.slice()
        for (const bit of places) changed[bit >> 3] ^= 1 << (bit & 7)
        expect(() => splitContainer('x', changed)).toThrow(TraceError)
      }),
    )
  })

  it('is found wherever it is cut', () => {
    for (let length = 0; length < bare.length; length++) {
      expect(complaint(bare.subarray(0, length)).message).toMatch(/cut short: \d+ bytes|empty: no packed trace/)
    }
  })

  it('by bytes added is found', () => {
    expect(complaint(Uint8Array.of(...bare, 0)).reason).toContain('checksum does not match')
  })
})

describe('what cannot be right is named', () => {
  const cases: [string, (manifest: Record<string, unknown>) => void, RegExp, string][] = [
    [
      'an unknown field',
      (m) => (m['colour'] = 'red'),
      /the manifest has a field "colour", which this kaal does not know/,
      'newer',
    ],
    ['a missing field', (m) => delete m['uuid'], /the manifest lacks the field uuid/, 'damaged'],
    [
      'a field of another type',
      (m) => (m['instructions'] = 'many'),
      /the manifest: instructions is not a count/,
      'damaged',
    ],
    [
      'a newer trace',
      (m) => (m['format'] = 3),
      /a trace of format 3, made by kaal 0\.1\.0; this kaal knows up to 2/,
      'newer',
    ],
    ['no digest', (m) => (m['finalDigest'] = null), /finalDigest is missing, but finished is true/, 'damaged'],
    ['no end', (m) => (m['ended'] = ''), /ended is "", but there are 12 batches/, 'damaged'],
    [
      'a machine that is none',
      (m) => (m['machine'] = Uint8Array.of(1)),
      /machine: the machine is not a msgpack map/,
      'damaged',
    ],
    [
      'an image field',
      (m) => (m['images'] = [{ ...(m as unknown as Manifest).images[0], colour: 1 }]),
      /image 1 has a field "colour"/,
      'newer',
    ],
    [
      'an image role',
      (m) => (m['images'] = [{ ...(m as unknown as Manifest).images[0], role: 'cup' }]),
      /image 1: role is not one of kernel/,
      'damaged',
    ],
    [
      'an image size',
      (m) => (m['images'] = (m as unknown as Manifest).images.map((image) => ({ ...image, size: 5 }))),
      /kernel Image: /,
      'damaged',
    ],
    [
      'an image hash',
      (m) =>
        (m['images'] = (m as unknown as Manifest).images.map((image) => ({ ...image, sha256: new Uint8Array(32) }))),
      /kernel Image: sha256 [0-9a-f]{64}, not 0{64}/,
      'damaged',
    ],
    ['parts', (m) => (m['images'] = []), /its parts take \d+ bytes, but the manifest says \d+/, 'damaged'],
    [
      'inputs',
      (m) => (m['inputs'] = { ...(m as unknown as Manifest).inputs, count: 11 }),
      /inputs: not 11 inputs of 36 bytes together/,
      'damaged',
    ],
  ]
  it.each(cases)('%s', async (_, change, message, kind) => {
    const error = complaint(await withManifest(change))
    expect(error.message).toMatch(message)
    expect(error.kind).toBe(kind)
  })

  it('a manifest that is no msgpack', async () => {
    const { parts } = splitContainer('x', whole)
    expect(complaint(joinContainer(Uint8Array.of(1, 2, 3), [parts])).reason).toContain('the manifest cannot be read')
    const list = joinContainer(await squeeze(encode([1, 2])), [parts])
    expect(complaint(list).reason).toBe('the manifest is not a map')
  })

  it('a newer container, whose checksum is right', async () => {
    const newer = whole.slice()
    new DataView(newer.buffer).setUint32(8, 2)
    const { createHash } = await import('node:crypto')
    newer.set(createHash('sha256').update(newer.subarray(0, -32)).digest(), newer.length - 32)
    expect(complaint(newer)).toMatchObject({ kind: 'newer', reason: 'a pack of format 2; this kaal reads up to 1' })
  })

  it('other files', () => {
    expect(complaint(readFileSync(folder('sample.kaal'))).reason).toBe('a trace, not a packed one')
    expect(complaint(Buffer.from('hello, world')).reason).toBe('not a packed trace')
    expect(() => new PackedTrace(folder('nowhere'))).toThrow(/nowhere: no such file/)
    expect(() => new PackedTrace(folder('.'))).toThrow(/is a directory/)
    expect([path, folder('sample.kaal'), folder('nowhere'), folder('.')].map(isPack)).toEqual([
      true,
      false,
      false,
      false,
    ])
    expect(() => TraceReader.open(path)).toThrow(/a packed trace: restore it with kaal unpack first/)
  })
})

test('compression keeps every byte', async () => {
  for (const length of [0, 1, 1000, 200_000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * i) >> 5)
    expect(expand(await squeeze(bytes), length)).toEqual(bytes)
    if (length > 0)
      expect(() => expand(Uint8Array.of(9, 9, 9), length)).toThrow(/Decompression failed|unexpected end of file/)
  }
  const told: number[] = []
  await squeeze(new Uint8Array(200_000), (done) => told.push(done))
  expect(told).toEqual([65_536, 131_072, 196_608, 200_000])
})
