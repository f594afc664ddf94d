/** The checkpoints of a timeline, within a limit of memory: many near where it is, few far away. */
import type { MachineCheckpoint } from '../../devices/machine.js'
import { type MemoryVersion, versionBytes } from '../guest-memory.js'

/** The machine at a position. */
export interface Checkpoint {
  readonly position: number
  readonly machine: MachineCheckpoint
  readonly memory: MemoryVersion
  /** How many inputs had been given by then. */
  readonly inputs: number
}

/** What `--checkpoint-memory` is if nobody says, in bytes. */
export const CHECKPOINT_MEMORY = 512 * 2 ** 20
/** The most checkpoints, whatever their size. */
const MOST = 4096
/** Distances below this count as near: a checkpoint there is worth as much as one a step away. */
const NEAR = 2 ** 16

/** Checkpoints by position. The one at position 0 always stays. */
export class Checkpoints {
  private readonly limit: number
  /** In order of position. */
  private readonly kept: Checkpoint[]
  /** Bytes held, as of the last time they were counted, and at most so many since. */
  private bytes = 0
  private since = 0

  /** @param limit bytes that the checkpoints may take together, a few megabytes more or less. */
  constructor(first: Checkpoint, limit: number) {
    this.limit = limit
    this.kept = [first]
    this.count()
  }

  /** How many there are. */
  get size(): number {
    return this.kept.length
  }

  /** Bytes that they take. */
  get memory(): number {
    this.count()
    return this.bytes
  }

  /** The last one at or before a position. */
  nearest(position: number): Checkpoint {
    return this.kept[this.indexAfter(position) - 1]
  }

  /**
   * Keeps one, unless there is one at its position; others may go for it.
   *
   * @param news bytes of memory that no other checkpoint holds, at most.
   */
  keep(checkpoint: Checkpoint, news: number): void {
    const index = this.indexAfter(checkpoint.position)
    if (this.kept[index - 1].position === checkpoint.position) return
    this.kept.splice(index, 0, checkpoint)
    this.since += news + stateBytes(checkpoint)
    if (this.bytes + this.since <= this.limit && this.kept.length <= MOST) return
    this.count()
    // What goes may be shared with what stays: some at a time, and count again.
    while ((this.bytes > this.limit * 0.9 || this.kept.length > MOST) && this.kept.length > 2) {
      this.thin(checkpoint.position, Math.ceil(this.kept.length / 8))
      this.count()
    }
  }

  private thin(here: number, goers: number): void {
    for (let gone = 0; gone < goers && this.kept.length > 2; gone++) {
      let worst = 0
      let least = Infinity
      for (let i = 1; i < this.kept.length; i++) {
        const { position } = this.kept[i]
        if (position === here) continue
        const gap = (this.kept[i + 1]?.position ?? position) - this.kept[i - 1].position
        const worth = gap / (Math.abs(position - here) + NEAR)
        if (worth < least) {
          least = worth
          worst = i
        }
      }
      if (worst === 0) return
      this.kept.splice(worst, 1)
    }
  }

  private count(): void {
    const counted = new Set<object>()
    this.bytes = 0
    for (const checkpoint of this.kept) this.bytes += stateBytes(checkpoint) + versionBytes(checkpoint.memory, counted)
    this.since = 0
  }

  /** Index of the first one behind a position. */
  private indexAfter(position: number): number {
    let low = 0
    let high = this.kept.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.kept[middle].position > position) high = middle
      else low = middle + 1
    }
    return low
  }
}

const stateBytes = ({ machine }: Checkpoint): number => machine.state.byteLength + machine.tlb.byteLength
