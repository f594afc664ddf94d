/**
 * When snapshots are taken. The rule looks at the guest alone (instructions executed, pages written), so that a replay takes the same
 * ones; it is part of a machine's description, since batches end where snapshots are.
 */

/** A rule. */
export interface SnapshotPolicy {
  /** Instructions between snapshots, once a run is that long; the first ones may come at 2^20 and each fourfold position up to here. */
  readonly interval: number
  /**
   * Instructions that must have been executed since the last snapshot for each page written since; up to `interval / pageInstructions` pages
   * are free. 0 takes snapshots whatever they cost, twice as many of the first ones, and lists pages as loaded too: the rule of format 1.
   */
  readonly pageInstructions: number
}

/**
 * The rule for new recordings. A page costs 10 to 60 µs (hash, compression, row), on average 45; 2^22 instructions take 2 ms or more: snapshots
 * cost 2 to 3 % of a run. A guest that writes 1,000 pages again and again has one every four thousand million instructions.
 */
export const SNAPSHOT_POLICY: SnapshotPolicy = { interval: 2 ** 28, pageInstructions: 2 ** 22 }

const FIRST = 2 ** 20
/** From one of the first snapshots to the next. */
const STEP = 4
/** A snapshot that was too dear is looked at again after this part of the interval, or later. */
const PATIENCE = 16

/** Where a run stands between snapshots. */
export class SnapshotSchedule {
  /** The position at which to ask whether a snapshot is {@link due}. */
  next: number
  private readonly policy: SnapshotPolicy
  /** The last snapshot. */
  private last = 0

  constructor(policy: SnapshotPolicy) {
    this.policy = policy
    this.next = Math.min(FIRST, policy.interval)
  }

  /**
   * Whether a snapshot is to be taken at {@link next}. If not, `next` is later when this returns.
   *
   * @param pagesWritten how many pages of RAM have been written since the last snapshot; asked for only if it matters.
   */
  due(pagesWritten: () => number): boolean {
    const { interval, pageInstructions } = this.policy
    if (pageInstructions === 0) return true
    const cost = pagesWritten() * pageInstructions
    const earliest = cost <= interval ? this.next : this.last + cost
    if (earliest <= this.next) return true
    this.next = Math.max(earliest, this.next + Math.ceil(interval / PATIENCE))
    return false
  }

  /** A snapshot has been taken at `position`: what follows depends on nothing before. */
  taken(position: number): void {
    const { interval, pageInstructions } = this.policy
    this.last = position
    this.next =
      position < interval ? Math.min(position * (pageInstructions === 0 ? 2 : STEP), interval) : position + interval
  }
}
