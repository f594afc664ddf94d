/** Packs a trace: machine, images, inputs and the digest to be reached; a replay makes everything else again. */
import { encode } from '../msgpack.js'
import { fromHex, squeeze } from '../platform.js'
import type { TraceReader } from '../reader.js'
import type { InputRow, Portable } from '../rows.js'
import { differences } from '../writer.js'
import { commitsOf } from './commits.js'
import { joinContainer } from './container.js'
import { type PackedImage, encodeManifest } from './manifest.js'

/** How to pack. */
export interface PackOptions {
  /** Version of kaal that packs. */
  readonly kaal: string
  /** Whether the images go in; if not, only their hashes do. */
  readonly images: boolean
  /** Told how many bytes of images have been compressed. */
  readonly onProgress?: (done: number) => void
}

/**
 * Packs a trace. An unfinished one is packed up to its last committed batch.
 *
 * @returns the bytes of the pack.
 * @throws {TraceError} if the trace is damaged.
 */
export async function packTrace(reader: TraceReader, options: PackOptions): Promise<Uint8Array> {
  const { meta } = reader
  const parts: Uint8Array[] = []
  const images: PackedImage[] = []
  let done = 0
  for (const { role, name, sha256, bytes } of reader.images()) {
    let packed: number | null = null
    if (options.images) {
      const before = done
      const part = await squeeze(bytes, (taken) => options.onProgress?.(before + taken))
      parts.push(part)
      packed = part.length
      done += bytes.length
    }
    images.push({ role, name, sha256, size: bytes.length, packed })
  }
  const rows = [...reader.inputs()]
  const inputs = rows.length === 0 ? new Uint8Array() : await squeeze(encodeInputs(rows))
  if (rows.length > 0) parts.push(inputs)
  const last = reader.batch(reader.batchCount)
  const digest = new Uint8Array(8)
  new DataView(digest.buffer).setUint32(0, last?.digestHi ?? 0)
  new DataView(digest.buffer).setUint32(4, last?.digestLo ?? 0)
  const manifest = encodeManifest({
    packer: options.kaal,
    format: meta.format,
    kaal: meta.kaal,
    uuid: meta.uuid,
    machine: reader.machineBytes(),
    finished: meta.finished,
    instructions: meta.instructions,
    batches: reader.batchCount,
    ended: last?.ended ?? '',
    snapshots: reader.count('snapshots'),
    digest,
    finalDigest: meta.finalDigest === undefined ? null : fromHex(meta.finalDigest),
    seal: reader.sealBytes ?? null,
    commits: differences(commitsOf(reader)),
    images,
    inputs: {
      count: rows.length,
      bytes: rows.reduce((sum, { payload }) => sum + payload.length, 0),
      packed: inputs.length,
    },
  })
  return joinContainer(await squeeze(manifest), parts)
}

/** Inputs by column, which compresses better than by row: steps of icount, sources, lengths of payloads, and the payloads. */
function encodeInputs(rows: readonly InputRow[]): Uint8Array {
  const sources = [...new Set(rows.map(({ source }) => source))]
  const payload = new Uint8Array(rows.reduce((sum, row) => sum + row.payload.length, 0))
  let at = 0
  for (const row of rows) {
    payload.set(row.payload, at)
    at += row.payload.length
  }
  return encode({
    icount: differences(rows.map(({ icount }) => icount)),
    sources,
    source: rows.map(({ source }) => sources.indexOf(source)),
    length: rows.map((row) => row.payload.length),
    payload,
  } satisfies Record<string, Portable>)
}
