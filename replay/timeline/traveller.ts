/**
 * Travelling in a trace: its machine at any position, from the nearest state that is known before it.
 *
 * States are the trace's snapshots, and checkpoints in memory: on a grid wherever the machine runs, and shortly before a position that was far
 * away, so that the next steps back are short. What the machine writes on its way is noted by page.
 */
import { FastTable } from '../../cpu/mmu/fast-tlb.js'
import { Machine, type RunEnd } from '../../devices/machine.js'
import type { TraceReader } from '../../trace/reader.js'
import { readDescription } from '../description.js'
import { GuestMemory } from '../guest-memory.js'
import { CHECKPOINT_MEMORY, type Checkpoint, Checkpoints } from './checkpoints.js'
import { TimelineInputs } from './inputs.js'
import { WrittenPages } from './written-pages.js'

/** How a timeline works. */
export interface TimelineOptions {
  /** Bytes that its checkpoints may take; by default {@link CHECKPOINT_MEMORY}. */
  readonly checkpointMemory?: number
}

/** Wherever it runs, checkpoints are left at multiples of this many instructions: a few milliseconds' worth. */
const SPACING = 2 ** 21
/** Distances before a position that was far away at which checkpoints are left. */
const LEAVE_BEHIND = [2 ** 16, 2 ** 13, 2 ** 10]
/** Breakpoints that shall not stop are taken out for longer runs than this: passing many takes time, and so does making code without them. */
const LONG = 2 ** 22

/** The next place behind a position at which a checkpoint is left. */
export const nextMultiple = (position: number): number => (Math.floor(position / SPACING) + 1) * SPACING

/** A trace's machine, on its way. */
export class Traveller {
  readonly machine: Machine
  /** The last position. */
  readonly end: number
  /** Which pages are known to be written where. */
  readonly writes = new WrittenPages()
  private readonly reader: TraceReader
  private readonly memory: GuestMemory
  private readonly inputs: TimelineInputs
  private readonly snapshots: readonly number[]
  private readonly pageCache = new Map<number, WeakRef<Uint8Array>>()
  private readonly checkpoints: Checkpoints
  /** Where the stretch began whose written pages the MMU is collecting. */
  private collecting = 0
  /** The breakpoints that the processor knows. */
  private installed: readonly bigint[] = []
  /** Somebody wants {@link advance} to return behind the instruction that is executing. */
  private halting = false

  /**
   * Opens a trace at position 0.
   *
   * @param onTransmit told every byte that the guest sends while it runs forwards.
   * @throws {TraceError} if the trace holds what this kaal cannot honour.
   */
  constructor(reader: TraceReader, onTransmit: (byte: number) => void, options: TimelineOptions) {
    this.reader = reader
    const { config, files } = readDescription(reader)
    this.machine = new Machine(config, files, {
      interrupt: () => {},
      exception: () => {},
      transmit: (_icount, byte) => onTransmit(byte),
    })
    this.memory = new GuestMemory(this.machine)
    this.inputs = new TimelineInputs(reader, this.machine)
    this.machine.door = this.inputs
    this.end = reader.meta.instructions
    this.snapshots = reader.snapshotPositions()
    this.machine.cpu.ignoreBreakpoints = true
    this.advance(0)
    this.cut(0)
    this.checkpoints = new Checkpoints(this.checkpoint(), options.checkpointMemory ?? CHECKPOINT_MEMORY)
  }

  /** The position. */
  get position(): number {
    return this.machine.icount
  }

  /** Bytes that checkpoints take now. */
  get checkpointMemory(): number {
    return this.checkpoints.memory
  }

  /** Goes to a position of the trace, past all points. */
  seek(position: number): void {
    if (position === this.position) return
    if (position < this.position || this.nearestPosition(position) > this.position) this.restore(this.nearest(position))
    this.travel(position)
  }

  /** Runs forwards to a position, past all points; leaves checkpoints on a long way. */
  travel(position: number): void {
    if (position - this.position > LONG) this.install([])
    for (let stop = nextMultiple(this.position); stop < position; stop += SPACING) {
      this.advance(stop)
      this.keepGrid()
    }
    for (const distance of LEAVE_BEHIND) {
      const stop = position - distance
      if (stop - this.position < distance) continue
      this.advance(stop)
      this.keepHere()
    }
    this.advance(position)
  }

  /** Makes these the breakpoints that the processor knows. */
  install(addresses: readonly bigint[]): void {
    const { installed } = this
    if (addresses.length === installed.length && addresses.every((address, i) => address === installed[i])) return
    this.machine.cpu.setBreakpoints(addresses)
    this.installed = addresses
  }

  /** Runs to a position, through everything that happens on the way; returns early at a point, or where the guest ends. */
  advance(position: number): RunEnd {
    const { machine } = this
    for (;;) {
      const end = machine.run(position)
      if (end === 'idle') machine.skipIdle()
      else if (end === 'reset') machine.restart()
      else if (end !== 'interrupt' && end !== 'input' && (end !== 'paused' || this.halting)) {
        // A pause that the limit comes before is seen by the next run, when nobody waits for it any more.
        this.halting = false
        return end
      }
    }
  }

  /** Makes {@link advance} return behind the instruction that is executing. */
  halt(): void {
    this.halting = true
    this.machine.pause()
  }

  /** Ends the stretch whose written pages are collected at the current position; the next begins at `position`. */
  cut(position: number): void {
    const { mmu } = this.machine.cpu
    if (mmu.writtenPages) this.writes.add(this.collecting, this.position, mmu.writtenPages)
    mmu.writtenPages = new Set()
    // What is in the fast TLB already would not be collected.
    mmu.fast.flush(FastTable.WRITE)
    this.collecting = position
  }

  private checkpoint(): Checkpoint {
    this.cut(this.position)
    return {
      position: this.position,
      machine: this.machine.checkpoint(),
      memory: this.memory.capture(),
      inputs: this.inputs.given,
    }
  }

  /** Leaves a checkpoint here. */
  keepHere(): void {
    this.checkpoints.keep(this.checkpoint(), this.memory.captured)
  }

  /** Leaves a checkpoint here if this is a place for one. */
  keepGrid(): void {
    if (this.position % SPACING === 0 && this.sinceCheckpoint > 0) this.keepHere()
  }

  /** Instructions since the last checkpoint in memory. */
  get sinceCheckpoint(): number {
    return this.position - this.checkpoints.nearest(this.position).position
  }

  /** The position of the last state known at or before a position. */
  private nearestPosition(position: number): number {
    const snapshot = this.snapshots.findLast((at) => at <= position) ?? 0
    return Math.max(this.checkpoints.nearest(position).position, snapshot)
  }

  /** The last state known at or before a position. A snapshot that is loaded for the first time passes through the machine. */
  nearest(position: number): Checkpoint {
    const checkpoint = this.checkpoints.nearest(position)
    const snapshot = this.snapshots.findLastIndex((at) => at <= position)
    return snapshot >= 0 && this.snapshots[snapshot] > checkpoint.position ? this.snapshot(snapshot + 1) : checkpoint
  }

  /** A snapshot of the trace as a checkpoint. */
  private snapshot(n: number): Checkpoint {
    const { icount, state, inputs } = this.reader.snapshot(n)
    let loaded = 0
    const pages = this.reader.snapshotPages(n).map(({ page, id }): [number, Uint8Array] => {
      let bytes = this.pageCache.get(id)?.deref()
      if (!bytes) {
        bytes = this.reader.page(id)
        loaded += bytes.length
        this.pageCache.set(id, new WeakRef(bytes))
      }
      return [page, bytes]
    })
    this.cut(icount)
    const memory = this.memory.version(pages)
    this.memory.restore(memory)
    this.machine.loadState(icount, state)
    const checkpoint = { position: icount, machine: this.machine.checkpoint(), memory, inputs }
    this.checkpoints.keep(checkpoint, loaded)
    return checkpoint
  }

  /** Puts a state back. */
  restore({ position, machine, memory, inputs }: Checkpoint): void {
    this.cut(position)
    this.memory.restore(memory)
    this.machine.restore(machine)
    this.machine.passBreakpointAt = -1
    this.inputs.resume(inputs)
  }
}
