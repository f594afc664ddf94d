/** What a trace itself shows of a divergence: rows that contradict each other, the first event that differs, a snapshot at the end of the batch. */
import type { TraceReader } from '../../trace/reader.js'
import type { BatchRow } from '../../trace/rows.js'
import type { Batch } from '../execution.js'
import { grouped } from '../debugger/numbers.js'
import type { Divergence, Replayer } from '../replayer.js'
import { type Item, differingEvents, differingState } from './items.js'
import type { RowDifference } from './rows.js'
import type { Side, SideEvent } from './side.js'

/** What there is. */
export interface Evidence {
  /** Rows that were changed after the recording, for certain. */
  readonly rows: readonly RowDifference[]
  /** What is known to differ at {@link to} or before. */
  readonly items: readonly Item[]
  /** The first position by which the difference shows. */
  readonly to: number
  readonly notes: readonly string[]
}

/**
 * Looks at a batch once more.
 *
 * @param replayer stands at a snapshot before the batch, or at the start; it runs past the batch.
 * @param side a machine at the same place.
 */
export async function evidenceOf(
  replayer: Replayer,
  side: Side,
  reader: TraceReader,
  divergence: Divergence,
): Promise<Evidence> {
  const { recorded, atEnd } = divergence
  const none: Evidence = { rows: [], items: [], to: reader.meta.instructions, notes: [] }
  const inputs = changedInput(reader, recorded)
  if (inputs) return { ...none, rows: [inputs] }
  if (atEnd) {
    const notes = ['every digest agrees but the last one, of guest memory: a page, or the final_digest in meta']
    return { ...none, notes }
  }
  await replayer.run({ toBatch: recorded.n - 1 })
  const { machine } = replayer.execution
  const batch = replayer.runBatch(recorded)
  const end = recorded.icount + recorded.count
  side.advance(recorded.icount)
  side.forget()
  side.advance(end)
  const replayed = side.events
  const items = differingEvents(recordedEvents(reader, recorded), replayed)
  const notes: string[] = []
  let to = Math.min(end, typeof batch === 'string' ? end : batch.icount + batch.count)
  const event = firstDifference(recordedEvents(reader, recorded), replayed)
  if (event !== undefined) to = Math.min(to, event)
  if (typeof batch === 'string') return { rows: [], items, to, notes: [batch] }
  items.push(...batchItems(recorded, batch))
  const snapshot = snapshotAt(reader, recorded)
  if (snapshot !== undefined && machine.icount === end) {
    items.push(...differingState(reader.snapshot(snapshot).state, machine.saveState()))
    notes.push(`snapshot ${snapshot}, at ${grouped(end)}, has what the recorded machine held there`)
  }
  return { rows: changedBatch(replayer, reader, recorded, batch), items, to, notes }
}

/** The batch's row, if it alone was changed: what comes after it agrees, and its digest covers this one. */
function changedBatch(replayer: Replayer, reader: TraceReader, recorded: BatchRow, batch: Batch): RowDifference[] {
  const row = (column: string, one: string, other: string): RowDifference => ({
    table: 'batches',
    row: recorded.n,
    column,
    recorded: one,
    replayed: other,
  })
  const differing = batchColumns(recorded, batch).map(([name, one, other]) => row(name, one, other))
  const digests = (one: Digest, other: Digest) => one.digestLo === other.digestLo && one.digestHi === other.digestHi
  if (digests(recorded, batch)) return differing
  const next = reader.batch(recorded.n + 1)
  if (next) {
    const after = replayer.runBatch(next)
    if (typeof after === 'string' || !digests(next, after)) return []
  } else if (replayer.execution.finalDigest() !== reader.meta.finalDigest) return []
  return [...differing, row('digest', digestText(recorded), digestText(batch))]
}

type Digest = Pick<BatchRow, 'digestLo' | 'digestHi'>

const digestText = ({ digestLo, digestHi }: Digest): string =>
  [digestHi, digestLo].map((word) => word.toString(16).padStart(8, '0')).join('')

function batchColumns(recorded: BatchRow, batch: Batch): [string, string, string][] {
  const pc = (BigInt(batch.pcHi >>> 0) << 32n) | BigInt(batch.pcLo >>> 0)
  const columns: [string, string, string][] = [
    ['icount', String(recorded.icount), String(batch.icount)],
    ['count', String(recorded.count), String(batch.count)],
    ['ended', recorded.ended, batch.ended],
    ['pc', `0x${recorded.pc.toString(16)}`, `0x${pc.toString(16)}`],
  ]
  return columns.filter(([, one, other]) => one !== other)
}

function batchItems(recorded: BatchRow, batch: Batch): Item[] {
  return batchColumns(recorded, batch).map(([name, one, other]) => ({
    kind: 'end',
    name: `${name} of batch ${recorded.n}`,
    recorded: one,
    replayed: other,
  }))
}

function snapshotAt(reader: TraceReader, recorded: BatchRow): number | undefined {
  const end = recorded.icount + recorded.count
  const n = reader.snapshotPositions().indexOf(end) + 1
  return n > 0 && reader.snapshot(n).batch === recorded.n ? n : undefined
}

/** An input that the rows of uart contradict: they have what the guest was given. */
function changedInput(reader: TraceReader, recorded: BatchRow): RowDifference | undefined {
  const span = { to: recorded.icount + recorded.count }
  const given = [...reader.uart(span)].filter(({ direction }) => direction === 1)
  let at = 0
  let row = 0
  for (const { icount, payload } of reader.inputs(span)) {
    row++
    for (const byte of payload) {
      const uart = given[at++]
      const text = (value: number, where: number) => `byte 0x${value.toString(16).padStart(2, '0')} at ${where}`
      if (uart && uart.icount === icount && uart.byte === byte) continue
      const replayed = uart ? `${text(uart.byte, uart.icount)} as uart has it` : 'no byte as uart has it'
      return { table: 'inputs', row, column: 'payload', recorded: text(byte, icount), replayed }
    }
  }
  return undefined
}

/** A batch's events as the trace has them. An interrupt at a boundary belongs to the batch that ends there. */
function recordedEvents(reader: TraceReader, { icount, count }: BatchRow): SideEvent[] {
  const events: SideEvent[] = []
  const end = icount + count
  for (const row of reader.interrupts({ from: icount + 1, to: end })) {
    const values = { INTID: BigInt(row.intid), pc: row.pc, EL: BigInt(row.el) }
    events.push({ kind: 'interrupt', icount: row.icount, values })
  }
  if (count > 0) {
    const span = { from: icount, to: end - 1 }
    for (const row of reader.exceptions(span)) {
      const values = { ESR: BigInt(row.esr), FAR: row.far, ELR: row.elr }
      events.push({ kind: 'exception', icount: row.icount, values })
    }
    for (const row of reader.uart(span))
      if (row.direction === 0) events.push({ kind: 'uart', icount: row.icount, values: { byte: BigInt(row.byte) } })
  }
  return events.toSorted((a, b) => a.icount - b.icount)
}

function firstDifference(recorded: readonly SideEvent[], replayed: readonly SideEvent[]): number | undefined {
  for (let i = 0; i < Math.max(recorded.length, replayed.length); i++) {
    if (differingEvents(recorded.slice(i, i + 1), replayed.slice(i, i + 1)).length === 0) continue
    return Math.min(recorded[i]?.icount ?? Infinity, replayed[i]?.icount ?? Infinity)
  }
  return undefined
}
