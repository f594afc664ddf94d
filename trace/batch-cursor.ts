/** Reads batches one after the other, as a replay does: into fields of one object, without 64-bit integers. */
import type { SqlValue } from './platform.js'
import type { BatchEnd } from './rows.js'

/** The query whose rows a cursor takes, from batch `?` on. */
export const CURSOR_COLUMNS =
  'n, icount, count, pc & 4294967295, pc >> 32 & 4294967295, ended, digest & 4294967295, digest >> 32 & 4294967295'

/** The batch that was read last; halves are unsigned. */
export class BatchCursor {
  n = 0
  icount = 0
  count = 0
  pcLo = 0
  pcHi = 0
  ended: BatchEnd = 'stopped'
  digestLo = 0
  digestHi = 0
  private readonly fetch: (from: number) => SqlValue[][]
  private rows: SqlValue[][] = []
  private at = 0

  /** @param fetch reads rows of {@link CURSOR_COLUMNS} from batch `from` on; none after the last. */
  constructor(fetch: (from: number) => SqlValue[][]) {
    this.fetch = fetch
  }

  /**
   * Goes to the next batch. Returns false after the last, and in front of a row that is not as it should be, of which
   * `TraceReader.batch` says more.
   */
  next(): boolean {
    if (this.at === this.rows.length) {
      this.rows = this.fetch(this.n + 1)
      this.at = 0
      if (this.rows.length === 0) return false
    }
    const row = this.rows[this.at++]
    for (let i = 0; i < row.length; i++) if (typeof row[i] !== (i === ENDED ? 'string' : 'number')) return false
    if (row[0] !== this.n + 1) return false
    this.n++
    this.icount = row[1] as number
    this.count = row[2] as number
    this.pcLo = row[3] as number
    this.pcHi = row[4] as number
    this.ended = row[ENDED] as BatchEnd
    this.digestLo = row[6] as number
    this.digestHi = row[7] as number
    return true
  }
}

/** The one column that is text. */
const ENDED = 5
