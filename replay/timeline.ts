/**
 * The timeline of a trace: its machine at any position, forwards and backwards.
 *
 * Backwards is forwards from an earlier state: a snapshot of the trace, or one of the checkpoints that the timeline makes as it goes. When it
 * has to run far to reach a position it leaves checkpoints shortly before it, so that the next steps back are short.
 *
 * At a position the machine stands as it does right after the instruction before, with every interrupt due there taken; if it idles there,
 * the idle skip and what it wakes come with the next step.
 */
import { PAGE_SIZE, RAM_BASE, RAM_PHYSICAL } from '../cpu/machine-memory.js'
import type { SymbolTable } from '../devices/loader/symbols.js'
import { type MachineCheckpoint, Machine, type RunEnd } from '../devices/machine.js'
import type { TraceReader } from '../trace/reader.js'
import { readDescription } from './description.js'
import { GuestMemory, type MemoryVersion } from './guest-memory.js'
import { yieldToHost } from './platform.js'

/** Why the timeline stopped. */
export interface Stop {
  readonly reason: 'step' | 'breakpoint' | 'start' | 'end' | 'interrupted'
  readonly position: number
  /** Number of the breakpoint, for that reason. */
  readonly breakpoint?: number
}

/** A breakpoint at a virtual address. */
export interface Breakpoint {
  readonly id: number
  readonly address: bigint
}

interface Checkpoint {
  readonly position: number
  readonly machine: MachineCheckpoint
  readonly memory: MemoryVersion
  /** How many inputs had been given by then. */
  readonly inputs: number
}

/** Distances before a position that was far away at which checkpoints are left. */
const LEAVE_BEHIND = [2 ** 20, 2 ** 16, 2 ** 13, 2 ** 10]
/** Checkpoints kept; the one used longest ago goes. */
const KEPT = 256
/** The host's event loop gets its turn after about so many instructions of a long continue. */
const SLICE = 2 ** 24
/** Stretches that a search backwards is divided into. */
const STRETCHES = 16

/** A trace, opened for looking around in it. */
export class Timeline {
  readonly machine: Machine
  readonly symbols: SymbolTable
  /** The last position. */
  readonly end: number
  private readonly reader: TraceReader
  private readonly memory: GuestMemory
  private readonly inputs: TimelineInputs
  private readonly snapshots: readonly number[]
  private readonly snapshotCache = new Map<number, Checkpoint>()
  private readonly pageCache = new Map<number, Uint8Array>()
  /** In-memory checkpoints, least recently used first. */
  private checkpoints: Checkpoint[] = []
  private readonly points = new Map<number, bigint>()
  private nextPoint = 1
  private interrupted = false
  private transmit: ((byte: number) => void) | undefined

  /**
   * Opens a trace at position 0.
   *
   * @throws {TraceError} if the trace holds what this kaal cannot honour.
   */
  constructor(reader: TraceReader) {
    this.reader = reader
    const { config, files } = readDescription(reader)
    this.machine = new Machine(config, files, {
      interrupt: () => {},
      exception: () => {},
      transmit: (_icount, byte) => this.transmit?.(byte),
    })
    this.symbols = this.machine.boot.symbols
    this.memory = new GuestMemory(this.machine)
    this.inputs = new TimelineInputs(reader, this.machine)
    this.machine.door = this.inputs
    this.end = reader.meta.instructions
    this.snapshots = reader.snapshotPositions()
    this.run(0)
    this.checkpoints.push(this.checkpoint())
  }

  /** The position. */
  get position(): number {
    return this.machine.icount
  }

  /** Called with every byte that the guest sends while it runs forwards; undefined for none. */
  onTransmit(listener: ((byte: number) => void) | undefined): void {
    this.transmit = listener
  }

  /**
   * Goes to a position.
   *
   * @throws {RangeError} if the trace has no such position.
   */
  seek(position: number): void {
    if (!Number.isInteger(position) || position < 0 || position > this.end) {
      throw new RangeError(`position ${position}: this trace has positions 0 to ${this.end}`)
    }
    this.withoutBreakpoints(() => {
      if (position <= this.position || this.nearestPosition(position) > this.position)
        this.restore(this.nearest(position))
      for (const distance of LEAVE_BEHIND) {
        const stop = position - distance
        if (stop - this.position < distance) continue
        this.run(stop)
        this.keep(this.checkpoint())
      }
      this.run(position)
    })
  }

  /** Executes `n` instructions, or fewer if the trace ends; breakpoints do not stop it. */
  step(n = 1): Stop {
    const target = Math.min(this.position + n, this.end)
    if (target === this.position) return { reason: 'end', position: target }
    this.withoutBreakpoints(() => this.run(target))
    return { reason: 'step', position: this.position }
  }

  /** Goes back `n` instructions, or fewer if the trace begins. */
  reverseStep(n = 1): Stop {
    const target = Math.max(this.position - n, 0)
    if (this.position === 0) return { reason: 'start', position: 0 }
    this.seek(target)
    return { reason: 'step', position: target }
  }

  /** Runs forwards to the next breakpoint, or to the end. */
  async continue(): Promise<Stop> {
    this.interrupted = false
    this.machine.passBreakpointAt = this.position
    for (;;) {
      const end = this.run(Math.min(this.position + SLICE, this.end))
      if (end === 'breakpoint') return this.atBreakpoint()
      if (this.position >= this.end || end !== 'limit') return { reason: 'end', position: this.position }
      if (await this.turn()) return { reason: 'interrupted', position: this.position }
    }
  }

  /** Goes back to the last breakpoint before the current position, or to the start. */
  async reverseContinue(): Promise<Stop> {
    this.interrupted = false
    let before = this.position
    while (before > 0) {
      const from = this.nearest(before - 1)
      const last = this.lastHit(from, before)
      if (last) {
        this.restore(last.from)
        for (let hit = 0; hit < last.hits; hit++) this.run(before)
        return this.atBreakpoint()
      }
      before = from.position
      if (await this.turn()) {
        this.seek(before)
        return { reason: 'interrupted', position: before }
      }
    }
    this.seek(0)
    return { reason: 'start', position: 0 }
  }

  /** Makes a {@link continue} or {@link reverseContinue} that is under way return soon. */
  interrupt(): void {
    this.interrupted = true
  }

  /** Breakpoints at virtual addresses. */
  readonly breakpoints = {
    /** Sets one; returns its number. */
    add: (address: bigint): number => {
      const id = this.nextPoint++
      this.points.set(id, address)
      this.machine.cpu.setBreakpoints(this.points.values())
      return id
    },
    /** Removes one; returns whether there was one of that number. */
    delete: (id: number): boolean => {
      const known = this.points.delete(id)
      this.machine.cpu.setBreakpoints(this.points.values())
      return known
    },
    /** All of them, by number. */
    list: (): Breakpoint[] => [...this.points].map(([id, address]) => ({ id, address })),
  }

  /**
   * Reads guest memory as the processor would see it now, without any effect.
   *
   * @returns the bytes, or undefined if an address among them leads nowhere or to a device.
   */
  readMemory(address: bigint, bytes: number): Uint8Array | undefined {
    const { cpu, memory } = this.machine
    const out = new Uint8Array(bytes)
    for (let done = 0; done < bytes;) {
      const at = BigInt.asUintN(64, address + BigInt(done))
      const physical = cpu.mmu.peek(Number(at & 0xffff_ffffn), Number(at >> 32n), cpu.state.el)
      const offset = physical - RAM_PHYSICAL
      if (physical < 0 || offset < 0 || offset >= memory.ramSize) return undefined
      const count = Math.min(bytes - done, PAGE_SIZE - (physical % PAGE_SIZE))
      out.set(memory.u8.subarray(RAM_BASE + offset, RAM_BASE + offset + count), done)
      done += count
    }
    return out
  }

  private atBreakpoint(): Stop {
    const { pc } = this.machine.cpu.state
    const id = [...this.points].find(([, address]) => address === pc)?.[0]
    return { reason: 'breakpoint', position: this.position, ...(id !== undefined && { breakpoint: id }) }
  }

  /**
   * Looks for the last breakpoint met from a checkpoint up to, but not at, a position. On the way checkpoints are left, so that the
   * place is quick to find again, and so are those before it.
   *
   * @returns a checkpoint, and the how-many-eth breakpoint from there it is; undefined if there is none.
   */
  private lastHit(start: Checkpoint, before: number): { from: Checkpoint; hits: number } | undefined {
    const stretch = Math.max(Math.ceil((before - start.position) / STRETCHES), 2 ** 10)
    let last: { from: Checkpoint; hits: number } | undefined
    let from = start
    this.restore(from)
    while (this.position < before) {
      const stop = Math.min(from.position + stretch, before)
      let hits = 0
      while (this.run(stop) === 'breakpoint') hits++
      if (hits > 0) last = { from, hits }
      if (this.position < stop) break
      if (stop < before) {
        from = this.checkpoint()
        this.keep(from)
      }
    }
    return last
  }

  /** Runs to a position, through everything that happens on the way; returns early at a breakpoint, or where the guest ends. */
  private run(position: number): RunEnd {
    const { machine } = this
    for (;;) {
      const end = machine.run(position)
      if (end === 'idle') machine.skipIdle()
      else if (end === 'reset') machine.restart()
      else if (end !== 'interrupt' && end !== 'input') return end
    }
  }

  private withoutBreakpoints(action: () => void): void {
    const { cpu } = this.machine
    cpu.ignoreBreakpoints = true
    try {
      action()
    } finally {
      cpu.ignoreBreakpoints = false
    }
  }

  private async turn(): Promise<boolean> {
    await yieldToHost()
    return this.interrupted
  }

  private checkpoint(): Checkpoint {
    return {
      position: this.position,
      machine: this.machine.checkpoint(),
      memory: this.memory.capture(),
      inputs: this.inputs.given,
    }
  }

  private keep(checkpoint: Checkpoint): void {
    if (this.checkpoints.some(({ position }) => position === checkpoint.position)) return
    this.checkpoints.push(checkpoint)
    // The first one, at position 0, stays: there is nothing before it to start from.
    if (this.checkpoints.length > KEPT) this.checkpoints.splice(1, 1)
  }

  /** The last checkpoint at or before a position. */
  private nearestCheckpoint(position: number): Checkpoint {
    let best = this.checkpoints[0]
    for (const checkpoint of this.checkpoints) {
      if (checkpoint.position <= position && checkpoint.position >= best.position) best = checkpoint
    }
    return best
  }

  /** The position of the last state known at or before a position. */
  private nearestPosition(position: number): number {
    return Math.max(this.nearestCheckpoint(position).position, this.snapshots.findLast((at) => at <= position) ?? 0)
  }

  /** That state. A snapshot that is loaded for the first time passes through the machine. */
  private nearest(position: number): Checkpoint {
    const checkpoint = this.nearestCheckpoint(position)
    const snapshot = this.snapshots.findLastIndex((at) => at <= position)
    return snapshot >= 0 && this.snapshots[snapshot] > checkpoint.position ? this.snapshot(snapshot + 1) : checkpoint
  }

  /** A snapshot of the trace as a checkpoint; loaded once. */
  private snapshot(n: number): Checkpoint {
    let known = this.snapshotCache.get(n)
    if (!known) {
      const { icount, state, inputs } = this.reader.snapshot(n)
      const version = new Map<number, Uint8Array>()
      for (const { page, id } of this.reader.snapshotPages(n)) {
        let bytes = this.pageCache.get(id)
        if (!bytes) {
          bytes = this.reader.page(id)
          this.pageCache.set(id, bytes)
        }
        version.set(page, bytes)
      }
      this.memory.restore(version)
      this.machine.loadState(icount, state)
      known = { position: icount, machine: this.machine.checkpoint(), memory: version, inputs }
      this.snapshotCache.set(n, known)
    }
    return known
  }

  private restore({ machine, memory, inputs }: Checkpoint): void {
    this.memory.restore(memory)
    this.machine.restore(machine)
    this.machine.passBreakpointAt = -1
    this.inputs.resume(inputs)
  }
}

/** Gives the machine the trace's inputs again, from any point on. */
class TimelineInputs {
  next = Infinity
  /** How many have been given. */
  given = 0
  private readonly reader: TraceReader
  private readonly machine: Machine
  private readonly rows: { icount: number; payload: Uint8Array }[]

  constructor(reader: TraceReader, machine: Machine) {
    this.reader = reader
    this.machine = machine
    this.rows = [...this.reader.inputs()].map(({ icount, payload }) => ({ icount, payload }))
    this.resume(0)
  }

  resume(given: number): void {
    this.given = given
    this.next = this.rows[given]?.icount ?? Infinity
  }

  deliver(icount: number): void {
    while (this.next <= icount) {
      for (const byte of this.rows[this.given].payload) this.machine.board.uart.receive(byte)
      this.resume(this.given + 1)
    }
  }
}
