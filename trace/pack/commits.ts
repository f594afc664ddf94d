/** Where a recorder committed, for traces that do not say it: rows of `uart_runs` end there too, so they must be known to write a trace once more. */
import type { TraceReader } from '../reader.js'
import { RUN_BYTES, RUN_SPAN } from '../row-buffer.js'
import type { UartRow } from '../rows.js'

/**
 * Where a trace's recorder committed before its end: numbers of batches and snapshots that it had written by then.
 *
 * Without its own notes these are the commits that can be seen: those that ended a run of UART bytes.
 */
export function commitsOf(reader: TraceReader): number[] {
  return reader.commits() ?? (reader.meta.format > 1 ? [...visibleCommits(reader)] : [])
}

function* visibleCommits(reader: TraceReader): IterableIterator<number> {
  const snapshots = reader.snapshotPositions().map((_, i) => reader.snapshot(i + 1).batch)
  let before: UartRow[] | undefined
  for (const run of reader.uartRows()) {
    const last = before?.at(-1)
    if (before && last && before.length < RUN_BYTES && run[0].icount - before[0].icount < RUN_SPAN) {
      const n = batchOf(reader, last)
      yield n + snapshots.filter((batch) => batch < n).length
    }
    before = run
  }
}

/** The batch of an event: a byte sent is an instruction's, a byte received comes at the end of its batch. */
function batchOf(reader: TraceReader, { icount, direction }: UartRow): number {
  if (direction === 0) return reader.batchAt(icount + 1)?.n ?? reader.batchCount
  let batch = reader.batchAt(icount)
  while (batch && batch.ended !== 'input') batch = reader.batch(batch.n + 1)
  return batch?.n ?? reader.batchCount
}
