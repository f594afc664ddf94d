/** A small trace with rows in every table, for the tests of the trace library. */
import { DigestChain, finalDigest } from '../../trace/digest.js'
import { sha256 } from '../../trace/platform.js'
import { PAGE_BYTES, type PageImage, type StateImage } from '../../trace/rows.js'
import { TraceReader } from '../../trace/reader.js'
import { TraceWriter } from '../../trace/writer.js'

export const SAMPLE_UUID = '00112233-4455-4677-8899-aabbccddeeff'
export const KERNEL = new Uint8Array(30_000).map((_, at) => (at * at) >> 3)
export const INITRD = new TextEncoder().encode('initrd '.repeat(500))

/** A page that is mostly zeros, with a few words that depend on `seed`. */
export function samplePage(seed: number): Uint8Array {
  const bytes = new Uint8Array(PAGE_BYTES)
  for (let at = 0; at < 200; at++) bytes[(at * 37 + seed) % PAGE_BYTES] = (seed * 31 + at * 7) & 0xff
  return bytes
}

export function pageImage(page: number, bytes: Uint8Array): PageImage {
  return { page, sha256: sha256(bytes), bytes }
}

export function sampleState(seed: number): StateImage {
  return {
    cpu0: { x: [0n, 1n, 0xffff_ffff_ffff_ffffn, BigInt(seed)], pc: 0xffff_0000_4008_0000n, nzcv: 0xf000_0000 },
    pl011: { fifo: [1, 2, 3, seed], flags: 0x90 },
  }
}

export const createSample = (path: string, force = false, uuid = SAMPLE_UUID) =>
  TraceWriter.create(path, {
    kaal: '0.1.0',
    machine: { memory: 16, cpu: 'cortex-a53', append: 'console=ttyAMA0', seed: 1n },
    images: [
      { role: 'kernel', name: 'Image', bytes: KERNEL },
      { role: 'initrd', name: 'initrd.cpio', bytes: INITRD },
    ],
    force,
    uuid,
  })

/** Feeds a writer and its digest chain with batches that have rows of every kind. */
export class SampleRun {
  readonly writer: TraceWriter
  readonly chain = new DigestChain()
  batches = 0
  icount = 0

  constructor(writer: TraceWriter) {
    this.writer = writer
  }

  /** A batch of 1000 instructions; every fourth is followed by a snapshot. */
  batch(): void {
    const { writer, chain } = this
    const start = this.icount
    const end = start + 1000
    for (let i = 0; i < 5; i++) {
      const direction = i === 4 ? 1 : 0
      chain.uart(start + i * 100, direction, 65 + i)
      writer.uart(start + i * 100, direction, 65 + i)
    }
    const payload = Uint8Array.of(this.batches & 0xff, 1, 2)
    chain.input(start + 500, 'uart', payload)
    writer.input(start + 500, 'uart', payload)
    chain.exception(start + 600, 0, 'data-abort', 0x9600_0007, 0x1000 + start, 0, 0x4008_0000, 0xffff_0000)
    writer.exception(start + 600, 0, 'data-abort', 0x9600_0007, 0x1000 + start, 0, 0x4008_0000, 0xffff_0000)
    chain.interrupt(end, 0, 27, 0x89ab_cdef, 0x8123_4567, 1)
    writer.interrupt(end, 0, 27, 0x89ab_cdef, 0x8123_4567, 1)
    chain.endBatch(start, 1000, 0, 0x4008_0100, 0xffff_0000, 'interrupt', this.batches, 7)
    writer.batch(start, 1000, 0, 0x4008_0100, 0xffff_0000, 'interrupt', chain.lo, chain.hi)
    this.icount = end
    this.batches++
    if (this.batches % 4 === 0) {
      const seed = this.batches
      const pages = [3, 9, 3 + seed].map((page) => pageImage(page, samplePage(page === 3 ? seed : page)))
      writer.snapshot(end, sampleState(seed), pages)
    }
  }

  finish(): void {
    const { page, sha256: hash } = pageImage(3, samplePage(this.batches))
    const pages = [{ page, hash }]
    const { lo, hi } = this.chain
    this.writer.finish({
      finalDigest: finalDigest({ digestLo: lo, digestHi: hi, instructions: this.icount, pages }),
    })
  }
}

/** Writes a finished sample of so many batches. */
export function writeSample(path: string, batches = 12, uuid = SAMPLE_UUID): void {
  const run = new SampleRun(createSample(path, false, uuid))
  for (let i = 0; i < batches; i++) run.batch()
  run.finish()
}

/** An end for traces whose digest nobody looks at. */
export const END = { finalDigest: 'ab'.repeat(32) }

/** Opens a trace, and closes it whatever happens. */
export function withReader<T>(path: string, use: (reader: TraceReader) => T): T {
  const reader = TraceReader.open(path)
  try {
    return use(reader)
  } finally {
    reader.close()
  }
}
