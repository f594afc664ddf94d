/** `kaal info T`: what a trace holds, at a glance. */
import { statSync } from 'node:fs'
import { TraceReader } from '../../trace/reader.js'
import { Exit } from '../errors.js'
import { bold, out } from '../output.js'
import { grouped } from '../positions.js'
import type { AddVerb } from './verb.js'

const TABLES = ['batches', 'interrupts', 'exceptions', 'uart', 'inputs', 'snapshots', 'pages'] as const

export const addInfo: AddVerb = (program, done) => {
  program
    .command('info <trace>')
    .description('what a trace holds')
    .option('--json', 'print it as JSON')
    .action((path: string, { json }: { json?: true }) => {
      const reader = TraceReader.open(path)
      try {
        const facts = gather(reader)
        if (json) out.json(facts)
        else print(facts)
        done(Exit.GOOD)
      } finally {
        reader.close()
      }
    })
}

type Facts = ReturnType<typeof gather>

function gather(reader: TraceReader) {
  const { meta, path } = reader
  const rows = Object.fromEntries(TABLES.map((table) => [table, reader.count(table)]))
  const last = reader.batch(reader.batchCount)
  const images = [...reader.images()].map(({ role, name, bytes, sha256 }) => ({
    role,
    name,
    bytes: bytes.length,
    sha256: Buffer.from(sha256).toString('hex'),
  }))
  return { path, bytes: statSync(path).size, ...meta, ended: last?.ended, images, rows }
}

function print(facts: Facts): void {
  const { meta, machine } = { meta: facts, machine: facts.machine }
  const fact = (name: string, text: string) => out.line(`${bold(name.padEnd(14))}${text}`)
  fact('trace', `${facts.path}, ${grouped(facts.bytes)} bytes`)
  fact('recorded by', `kaal ${meta.kaal}, format ${meta.format}`)
  fact('uuid', meta.uuid)
  fact('finished', meta.finished ? 'yes' : 'no: the recorder was ended early; it replays up to its last whole batch')
  fact('instructions', grouped(meta.instructions))
  fact('ended', facts.ended ?? 'before its first batch')
  if (meta.finalDigest !== undefined) fact('final digest', meta.finalDigest)
  fact('machine', '')
  for (const [field, value] of Object.entries(machine)) {
    out.line(`  ${field.padEnd(20)}${typeof value === 'number' ? grouped(value) : JSON.stringify(value)}`)
  }
  fact('images', '')
  for (const { role, name, bytes, sha256 } of facts.images) {
    out.line(`  ${role.padEnd(8)}${name}, ${grouped(bytes)} bytes, sha256 ${sha256}`)
  }
  fact('rows', '')
  for (const [table, count] of Object.entries(facts.rows)) out.line(`  ${table.padEnd(20)}${grouped(count)}`)
}
