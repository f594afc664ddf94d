/** What is in a packed trace, for people and programs. */
import type { PackedTrace } from '../trace/pack/packed-trace.js'
import { json } from './output.js'
import { formatPosition } from './positions.js'

/** The name of a pack beside its trace. */
export const packName = (trace: string): string => `${trace.replace(/\.kaal$/, '')}.kaalpack`

/** The name of a trace beside its pack. */
export const traceName = (pack: string): string => `${pack.replace(/\.kaalpack$/, '')}.kaal`

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** What may be private in it. */
function note({ manifest }: PackedTrace): string {
  const inside = manifest.images.some(({ packed }) => packed !== null)
  return inside
    ? 'images, inputs and the command line (append) may hold private data'
    : 'inputs and the command line (append) may hold private data; of images, only names and hashes are here'
}

/** Lines for people. */
export function packLines(pack: PackedTrace): string[] {
  const { manifest, meta, path, bytes } = pack
  const { finished, instructions, ended, inputs, images, finalDigest } = manifest
  const end = ended === '' ? '' : `, ended: ${ended}`
  return [
    `pack           ${path}, ${bytes} bytes, made by kaal ${manifest.packer}`,
    `trace          format ${manifest.format}, made by kaal ${manifest.kaal}`,
    `identity       ${manifest.uuid}`,
    `state          ${finished ? 'finished' : 'unfinished: its recorder was killed; packed to its last batch'}`,
    `instructions   ${formatPosition(instructions)}${end}`,
    ...(finalDigest ? [`final digest   ${hex(finalDigest)}`] : []),
    ...Object.entries(meta.machine).map(
      ([field, value]) => `machine        ${field} ${value === '' ? '(empty)' : json(value)}`,
    ),
    ...images.map(
      ({ role, name, size, sha256, packed }) =>
        `image          ${role} ${name}, ${size} bytes, sha256 ${hex(sha256)}${packed === null ? ', not in the pack: give it with --image' : ''}`,
    ),
    `inputs         ${inputs.count}, ${inputs.bytes} bytes`,
    ...pack.contents().map(({ name, packed }) => `part           ${name}: ${packed} bytes`),
    `note           ${note(pack)}`,
  ]
}

/** The same for programs. */
export function packJson(pack: PackedTrace): Record<string, unknown> {
  const { machine: _, ...manifest } = pack.manifest
  return {
    pack: pack.path,
    bytes: pack.bytes,
    ...manifest,
    machine: pack.meta.machine,
    parts: pack.contents(),
    note: note(pack),
  }
}
