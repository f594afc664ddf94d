/** `kaal info`: what a trace is and holds. */
import { statSync } from 'node:fs'
import type { Command } from 'commander'
import { isPack } from '../../trace/pack/container.js'
import { PackedTrace } from '../../trace/pack/packed-trace.js'
import { TraceReader } from '../../trace/reader.js'
import { Exit } from '../errors.js'
import { json, print } from '../output.js'
import { packJson, packLines } from '../pack-lines.js'
import { formatPosition } from '../positions.js'

const TABLES = ['batches', 'interrupts', 'exceptions', 'uart', 'inputs', 'snapshots', 'pages', 'images'] as const

/** Adds the verb. */
export function addInfo(program: Command, exit: (code: number) => void): void {
  program
    .command('info')
    .description('what a trace is and holds, or a packed one')
    .argument('<trace>')
    .option('--json', 'as JSON')
    .action((path: string, options: { json?: boolean }) => exit(info(path, options.json === true)))
}

function packInfo(pack: PackedTrace, asJson: boolean): number {
  if (asJson) print(json(packJson(pack)))
  else for (const line of packLines(pack)) print(line)
  return Exit.GOOD
}

function info(path: string, asJson: boolean): number {
  if (isPack(path)) return packInfo(new PackedTrace(path), asJson)
  const reader = TraceReader.open(path)
  try {
    const { meta } = reader
    const rows = Object.fromEntries(TABLES.map((table) => [table, reader.count(table)]))
    const images = [...reader.images()].map(({ role, name, bytes, sha256 }) => ({
      role,
      name,
      bytes: bytes.length,
      sha256,
    }))
    const bytes = statSync(path).size
    const ended = reader.batch(reader.batchCount)?.ended
    if (asJson) {
      print(json({ ...meta, ended, bytes, rows, images }))
      return Exit.GOOD
    }
    print(`trace          ${path}, ${bytes} bytes, format ${meta.format}, made by kaal ${meta.kaal}`)
    print(`identity       ${meta.uuid}`)
    print(
      `state          ${meta.finished ? 'finished' : 'unfinished: its recorder was killed; it replays to its last batch'}`,
    )
    print(`instructions   ${formatPosition(meta.instructions)}${ended === undefined ? '' : `, ended: ${ended}`}`)
    if (meta.finalDigest !== undefined) print(`final digest   ${meta.finalDigest}`)
    for (const [field, value] of Object.entries(meta.machine))
      print(`machine        ${field} ${value === '' ? '(empty)' : json(value)}`)
    for (const { role, name, bytes: size, sha256 } of images) {
      print(`image          ${role} ${name}, ${size} bytes, sha256 ${Buffer.from(sha256).toString('hex')}`)
    }
    for (const [table, count] of Object.entries(rows)) print(`rows           ${table} ${count}`)
    print('note           images and inputs may hold private data')
    return Exit.GOOD
  } finally {
    reader.close()
  }
}
