/** The rows of a trace's tables, merged by position, as lines for people. */
import { type Names } from '../replay/debugger/names.js'
import { hex64 } from '../replay/debugger/numbers.js'
import type { EventTable, Span, TraceReader } from '../trace/reader.js'
import type { BatchRow, ExceptionRow, InputRow, InterruptRow, UartRow } from '../trace/rows.js'

/** UART bytes of one direction, up to the end of a line. */
interface UartLine {
  readonly icount: number
  readonly direction: 0 | 1
  readonly bytes: Uint8Array
}

interface SnapshotRow {
  readonly icount: number
  readonly n: number
  readonly batch: number
  readonly inputs: number
  readonly pages: number
}

/** A row, and the table it is from. */
export type Item =
  | { readonly table: 'batches'; readonly icount: number; readonly row: BatchRow }
  | { readonly table: 'interrupts'; readonly icount: number; readonly row: InterruptRow }
  | { readonly table: 'exceptions'; readonly icount: number; readonly row: ExceptionRow }
  | { readonly table: 'uart'; readonly icount: number; readonly row: UartRow | UartLine }
  | { readonly table: 'inputs'; readonly icount: number; readonly row: InputRow }
  | { readonly table: 'snapshots'; readonly icount: number; readonly row: SnapshotRow }

const LONGEST_LINE = 256

/** Rows of several tables by position; at equal positions in the order of `tables`. UART bytes come as lines unless `raw`. */
export function* mergeByPosition(
  reader: TraceReader,
  tables: readonly EventTable[],
  span: Span,
  raw: boolean,
): Generator<Item> {
  const heads = tables.map((table) => {
    const rows = itemsOf(reader, table, span, raw)
    return { rows, step: rows.next() }
  })
  for (;;) {
    let first: (typeof heads)[number] | undefined
    for (const head of heads) {
      if (head.step.done) continue
      if (!first || first.step.done || head.step.value.icount < first.step.value.icount) first = head
    }
    if (!first || first.step.done) return
    yield first.step.value
    first.step = first.rows.next()
  }
}

function* itemsOf(reader: TraceReader, table: EventTable, span: Span, raw: boolean): Generator<Item> {
  if (table === 'uart' && !raw) {
    for (const row of uartLines(reader.uart(span))) yield { table, icount: row.icount, row }
  } else if (table === 'snapshots') {
    const { from = 0, to = Infinity } = span
    for (const [index, icount] of reader.snapshotPositions().entries()) {
      if (icount < from || icount > to) continue
      const { n, batch, inputs } = reader.snapshot(index + 1)
      yield { table, icount, row: { icount, n, batch, inputs, pages: reader.snapshotPages(n).length } }
    }
  } else {
    for (const row of reader[table](span)) yield { table, icount: row.icount, row } as Item
  }
}

/** Joins bytes of one direction into lines; a line stands at the position of its first byte. */
function* uartLines(rows: Iterable<UartRow>): Generator<UartLine> {
  let icount = 0
  let direction: 0 | 1 = 0
  let bytes: number[] = []
  for (const row of rows) {
    if (bytes.length > 0 && (row.direction !== direction || bytes.length >= LONGEST_LINE || bytes.at(-1) === 10)) {
      yield { icount, direction, bytes: Uint8Array.from(bytes) }
      bytes = []
    }
    if (bytes.length === 0) ({ icount, direction } = row)
    bytes.push(row.byte)
  }
  if (bytes.length > 0) yield { icount, direction, bytes: Uint8Array.from(bytes) }
}

/** A row as a line for people, without its position. */
export function textOf(item: Item, names: Names): string {
  const place = (address: bigint) => `${hex64(address)}${names.suffix(address)}`
  switch (item.table) {
    case 'batches': {
      const { n, count, pc, ended, digestHi, digestLo } = item.row
      const digest = word(digestHi) + word(digestLo)
      return `batch ${n}: ${count} instructions, ended by ${ended} at pc ${place(pc)}, digest ${digest}`
    }
    case 'interrupts':
      return `interrupt ${item.row.intid} taken from EL${item.row.el} at pc ${place(item.row.pc)}`
    case 'exceptions': {
      const { kind, esr, far, elr } = item.row
      return `${kind}: esr 0x${word(esr)}, far ${hex64(far)}, elr ${place(elr)}`
    }
    case 'uart': {
      const bytes = 'bytes' in item.row ? item.row.bytes : Uint8Array.of(item.row.byte)
      return `uart ${item.row.direction === 0 ? 'out' : 'in '} ${quoted(bytes)}`
    }
    case 'inputs':
      return `input to ${item.row.source}, ${item.row.payload.length} bytes: ${hexBytes(item.row.payload)} ${quoted(item.row.payload)}`
    case 'snapshots': {
      const { n, batch, inputs, pages } = item.row
      return `snapshot ${n}: after batch ${batch} and ${inputs} inputs, ${pages} pages`
    }
  }
}

const word = (value: number): string => (value >>> 0).toString(16).padStart(8, '0')

const hexBytes = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')

/** Bytes as text in quotes: what is not printable ASCII is escaped, so that nothing reaches the terminal as a command. */
function quoted(bytes: Uint8Array): string {
  const named: Readonly<Record<number, string>> = { 9: '\\t', 10: '\\n', 13: '\\r', 34: '\\"', 92: '\\\\' }
  let text = ''
  for (const byte of bytes) {
    const printable = byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`
    text += named[byte] ?? printable
  }
  return `"${text}"`
}
