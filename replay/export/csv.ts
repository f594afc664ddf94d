/** What happens in a trace as comma-separated values (RFC 4180, with a line of names): all of it in one list, or one kind with all its columns. */
import { SymbolTable } from '../../devices/loader/symbols.js'
import { Names } from '../debugger/names.js'
import { hex64 } from '../debugger/numbers.js'
import type { Happening, Observation } from './happenings.js'

type Cell = string | number | bigint
type Kind = Happening['kind']
type Of<K extends Kind> = Extract<Happening, { kind: K }>

interface Table<K extends Kind> {
  readonly kind: K
  readonly columns: readonly string[]
  /** The cells behind position and time. */
  readonly cells: (row: Of<K>, names: Names) => readonly Cell[]
}

const table = <K extends Kind>(definition: Table<K>): Table<Kind> => definition as unknown as Table<Kind>

/** The tables, by the names that `--table` has for them. */
const TABLES: Readonly<Record<string, Table<Kind>>> = {
  batches: table({
    kind: 'batch',
    columns: ['n', 'count', 'vcpu', 'pc', 'symbol', 'ended', 'duration_ns', 'idle_ns', 'digest'],
    cells: (row, names) => [
      row.n,
      row.count,
      0,
      hex64(row.pc),
      names.describe(row.pc) ?? '',
      row.ended,
      row.end - row.time,
      row.idle,
      hex64(row.digest),
    ],
  }),
  interrupts: table({
    kind: 'interrupt',
    columns: ['vcpu', 'intid', 'pc', 'symbol', 'el'],
    cells: (row, names) => [0, row.intid, hex64(row.pc), names.describe(row.pc) ?? '', row.el],
  }),
  exceptions: table({
    kind: 'exception',
    columns: ['vcpu', 'kind', 'esr', 'far', 'elr', 'symbol'],
    cells: (row, names) => [
      0,
      row.what,
      `0x${row.esr.toString(16)}`,
      hex64(row.far),
      hex64(row.elr),
      names.describe(row.elr) ?? '',
    ],
  }),
  uart: table({ kind: 'uart', columns: ['direction', 'byte'], cells: (row) => [row.direction, row.byte] }),
  inputs: table({ kind: 'input', columns: ['source', 'payload'], cells: (row) => [row.source, hexBytes(row.payload)] }),
  syscalls: table({
    kind: 'syscall',
    columns: ['thread', 'immediate', 'pc', 'symbol', 'x8', 'x0', 'return_position', 'return_time_ns', 'return_x0'],
    cells: (row, names) => [
      row.thread,
      row.immediate,
      hex64(row.pc),
      names.describe(row.pc) ?? '',
      hex64(row.x8),
      hex64(row.x0),
      row.returned?.position ?? '',
      row.returned?.time ?? '',
      row.returned ? hex64(row.returned.x0) : '',
    ],
  }),
}

/** What `--table` may name. */
export const CSV_TABLES: readonly string[] = Object.keys(TABLES)

/** Writes the events of one table, or of all in one list with the columns that they share. */
export function* csv({ happenings, symbols }: Observation, name: string | undefined): IterableIterator<string> {
  const names = new Names(new SymbolTable(symbols))
  const one = name === undefined ? undefined : TABLES[name]
  const columns = one ? one.columns : ['event', 'details']
  yield line(['position', 'time_ns', ...columns])
  for (const happening of happenings) {
    const { kind, position, time } = happening
    if (one) {
      if (kind === one.kind) yield line([position, time, ...one.cells(happening, names)])
      continue
    }
    const found = Object.values(TABLES).find((each) => each.kind === kind)
    if (!found) continue
    const cells = found.cells(happening, names)
    const details = found.columns.flatMap((column, i) => (cells[i] === '' ? [] : [`${column}=${cells[i]}`]))
    yield line([position, time, kind, details.join(' ')])
  }
}

const line = (cells: readonly Cell[]): string => `${cells.map((cell) => quoted(String(cell))).join(',')}\r\n`

const quoted = (cell: string): string => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)

const hexBytes = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
