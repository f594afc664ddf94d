/** `kaal dump`: the rows of a trace, in order of position. */
import type { Command } from 'commander'
import { isElf, readElf } from '../../devices/loader/elf.js'
import { Names } from '../../replay/debugger/names.js'
import { type EventTable, type Span, TraceReader } from '../../trace/reader.js'
import { Exit, UsageError } from '../errors.js'
import { json, print } from '../output.js'
import { formatPosition, parsePosition } from '../positions.js'

const TABLES: readonly EventTable[] = ['batches', 'interrupts', 'exceptions', 'uart', 'inputs', 'snapshots']

interface DumpOptions {
  readonly from?: string
  readonly to?: string
  readonly table?: string
  readonly json?: boolean
}

/** A row to print: its position, its table, and its text. */
interface Line {
  readonly icount: number
  readonly table: EventTable
  readonly text: string
  readonly row: unknown
}

/** Adds the verb. */
export function addDump(program: Command, exit: (code: number) => void): void {
  program
    .command('dump')
    .description('the rows of a trace')
    .argument('<trace>')
    .option('--from <position>', 'from this position on')
    .option('--to <position>', 'up to this position')
    .option('--table <name>', `only this table: ${TABLES.join(', ')}`)
    .option('--json', 'a JSON object for each row')
    .action((path: string, options: DumpOptions) => exit(dump(path, options)))
}

function dump(path: string, options: DumpOptions): number {
  const table = options.table as EventTable | undefined
  if (table !== undefined && !TABLES.includes(table)) {
    throw new UsageError(`--table ${table}: give one of ${TABLES.join(', ')}`)
  }
  const reader = TraceReader.open(path)
  try {
    const end = reader.meta.instructions
    const span = {
      from: options.from === undefined ? 0 : parsePosition('--from', options.from, end),
      to: options.to === undefined ? end : parsePosition('--to', options.to, end),
    }
    if (span.to < span.from) throw new UsageError(`--to ${options.to}: lies before --from ${options.from}`)
    const symbols = symbolsOf(reader)
    const sources = (table === undefined ? TABLES : [table]).map((name) =>
      lines(reader, name, span, symbols, options.json === true),
    )
    for (const { icount, table: name, text, row } of merge(sources)) {
      print(
        options.json
          ? json({ table: name, ...(row as object) }, true)
          : `${formatPosition(icount).padStart(13)}  ${name.padEnd(10)}  ${text}`,
      )
    }
    return Exit.GOOD
  } finally {
    reader.close()
  }
}

function symbolsOf(reader: TraceReader): Names {
  for (const { role, name, bytes } of reader.images())
    if (role === 'kernel' && isElf(bytes)) return new Names(readElf(bytes, name).symbols)
  return new Names()
}

function* lines(reader: TraceReader, table: EventTable, span: Span, symbols: Names, asJson: boolean): Generator<Line> {
  const at = (address: bigint): string => {
    return `0x${address.toString(16)}${symbols.suffix(address)}`
  }
  switch (table) {
    case 'batches':
      for (const row of reader.batches(span)) {
        const digest = `${hex(row.digestHi)}${hex(row.digestLo)}`
        yield {
          icount: row.icount,
          table,
          row,
          text: `${row.count} instructions, ${row.ended}, to pc ${at(row.pc)}, digest ${digest}`,
        }
      }
      return
    case 'interrupts':
      for (const row of reader.interrupts(span))
        yield { icount: row.icount, table, row, text: `INTID ${row.intid} at EL${row.el}, pc ${at(row.pc)}` }
      return
    case 'exceptions':
      for (const row of reader.exceptions(span)) {
        yield {
          icount: row.icount,
          table,
          row,
          text: `${row.kind}, ESR 0x${row.esr.toString(16)}, FAR 0x${row.far.toString(16)}, pc ${at(row.elr)}`,
        }
      }
      return
    case 'uart':
      if (asJson) for (const row of reader.uart(span)) yield { icount: row.icount, table, row, text: '' }
      else yield* uartLines(reader, span)
      return
    case 'inputs':
      for (const row of reader.inputs(span))
        yield {
          icount: row.icount,
          table,
          row,
          text: `${row.source}, ${row.payload.length} bytes: ${quoted(row.payload)}`,
        }
      return
    case 'snapshots':
      for (const [i, icount] of reader.snapshotPositions().entries()) {
        if (icount < (span.from ?? 0) || icount > (span.to ?? Infinity)) continue
        const pages = reader.snapshotPages(i + 1).length
        yield { icount, table, row: { icount, pages }, text: `${pages} pages differ from position 0` }
      }
  }
}

/** Bytes one way are gathered up to the end of their line. */
function* uartLines(reader: TraceReader, span: Span): Generator<Line> {
  let gathered: number[] = []
  let first: { icount: number; direction: 0 | 1 } | undefined
  const take = (): Line[] => {
    if (!first) return []
    const { icount, direction } = first
    const bytes = Uint8Array.from(gathered)
    gathered = []
    first = undefined
    return [
      {
        icount,
        table: 'uart',
        row: { icount, direction, bytes },
        text: `${direction === 0 ? 'out' : 'in '} ${quoted(bytes)}`,
      },
    ]
  }
  for (const { icount, direction, byte } of reader.uart(span)) {
    if (first && first.direction !== direction) yield* take()
    first ??= { icount, direction }
    gathered.push(byte)
    if (byte === 10) yield* take()
  }
  yield* take()
}

const hex = (word: number): string => word.toString(16).padStart(8, '0')

/** Bytes as text, what is not printable escaped. */
function quoted(bytes: Uint8Array): string {
  return JSON.stringify(Buffer.from(bytes).toString('latin1'))
}

/** Merges sources that are each in order into one that is. */
function* merge(sources: Generator<Line>[]): Generator<Line> {
  const heads = sources.map((source) => ({ source, head: source.next() }))
  for (;;) {
    let first: (typeof heads)[number] | undefined
    for (const candidate of heads) {
      if (candidate.head.done) continue
      if (!first || first.head.done || candidate.head.value.icount < first.head.value.icount) first = candidate
    }
    if (!first || first.head.done) return
    yield first.head.value
    first.head = first.source.next()
  }
}
