/** `kaal dump T`: the rows of a trace, in the order in which things happened. */
import { hex64 } from '../../replay/debugger/numbers.js'
import type { Names } from '../../replay/debugger/names.js'
import { type EventTable, type Span, TraceReader } from '../../trace/reader.js'
import { Exit, UsageError } from '../errors.js'
import { out } from '../output.js'
import { checkPosition, grouped, parsePosition } from '../positions.js'
import { traceNames } from '../trace-symbols.js'
import { type Item, mergeByPosition, textOf } from '../trace-items.js'
import { type AddVerb, warnUnfinished } from './verb.js'

interface Flags {
  readonly from?: string
  readonly to?: string
  readonly table?: EventTable
  readonly json?: true
}

const TABLES: readonly EventTable[] = ['batches', 'interrupts', 'exceptions', 'uart', 'inputs', 'snapshots']
/** Rows after which the reader of standard output is waited for. */
const ROWS = 2000

export const addDump: AddVerb = (program, done) => {
  program
    .command('dump <trace>')
    .description('the rows of a trace, in the order in which things happened')
    .option('--from <position>', 'begin at this position')
    .option('--to <position>', 'end at this position')
    .option('--table <name>', `one table only: ${TABLES.join(', ')}`, parseTable)
    .option('--json', 'print one JSON object per row')
    .action(async (path: string, flags: Flags) => {
      const from = flags.from === undefined ? 0 : parsePosition('--from', flags.from)
      const to = flags.to === undefined ? undefined : parsePosition('--to', flags.to)
      const reader = TraceReader.open(path)
      try {
        const end = reader.meta.instructions
        checkPosition('--from', from, end)
        checkPosition('--to', to, end)
        if (to !== undefined && (from ?? end) > to)
          throw new UsageError(`--to ${grouped(to)}: comes before --from ${grouped(from ?? end)}`)
        warnUnfinished(reader)
        await print(reader, { from: from ?? end, ...(to !== undefined && { to }) }, flags)
        done(Exit.GOOD)
      } finally {
        reader.close()
      }
    })
}

function parseTable(text: string): EventTable {
  const table = TABLES.find((name) => name === text)
  if (!table) throw new UsageError(`--table ${text}: give one of ${TABLES.join(', ')}`)
  return table
}

async function print(reader: TraceReader, span: Span, { table, json }: Flags): Promise<void> {
  const names = traceNames(reader)
  let rows = 0
  for (const item of mergeByPosition(reader, table ? [table] : TABLES, span, json === true)) {
    out.line(json ? jsonLine(item, names) : `${grouped(item.icount).padStart(13)}  ${textOf(item, names)}`)
    if (++rows % ROWS > 0) continue
    await out.drain()
    if (out.closed) return
  }
}

/** A row as JSON: addresses in hexadecimal, with their symbols beside them. */
function jsonLine({ table, icount, row }: Item, names: Names): string {
  const fields: Record<string, unknown> = { table, icount }
  for (const [name, value] of Object.entries(row)) {
    if (typeof value === 'bigint') {
      fields[name] = hex64(value)
      const symbol = names.describe(value)
      if (symbol !== undefined) fields[`${name}Symbol`] = symbol
    } else fields[name] = value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value
  }
  return JSON.stringify(fields)
}
