/**
 * The timeline of a trace: its machine at any position, forwards and backwards.
 *
 * At a position the machine stands as it does right after the instruction before, with every interrupt due there taken; if it idles there,
 * the idle skip and what it wakes come with the next step.
 *
 * What it stops at has a position by which both directions find it: a breakpoint's instruction is the next one there; a watched access or
 * an event of an instruction lies between the position in front of that instruction and the one behind, and the timeline stops at
 * whichever of the two comes later on its way. An interrupt stops it where it has been taken, from both sides.
 */
import type { WatchedAccess, Watchpoint } from '../cpu/mmu/watchpoints.js'
import { PAGE_SIZE, RAM_BASE, RAM_PHYSICAL } from '../cpu/machine-memory.js'
import type { SymbolTable } from '../devices/loader/symbols.js'
import type { Machine, RunEnd } from '../devices/machine.js'
import type { TraceReader } from '../trace/reader.js'
import { hostMilliseconds, yieldToHost } from './platform.js'
import type { Checkpoint } from './timeline/checkpoints.js'
import {
  type Breakpoint,
  type Catchpoint,
  type Condition,
  type EventFilter,
  type EventPlaces,
  type Stop,
  type TimelineWatchpoint,
  eventPlaces,
  nextPlace,
  previousPlace,
} from './timeline/points.js'
import { Traveller, type TimelineOptions, nextMultiple } from './timeline/traveller.js'

export type { TimelineOptions } from './timeline/traveller.js'
export type { Stop } from './timeline/points.js'

/** The host's event loop gets its turn after about so many milliseconds of a long search. */
const TURN = 20
/** Stretches that a search backwards is divided into where points are met again and again, and the shortest one. */
const STRETCHES = 16
const SHORTEST_STRETCH = 2 ** 10
/** Points met in a stretch after which a search backwards looks at later parts first; at most so many are met between two looks at the clock. */
const MANY = 512
/** A search backwards from farther behind a checkpoint than this leaves one where it began. */
const FAR = 2 ** 16

/** A trace, opened for looking around in it. */
export class Timeline {
  readonly machine: Machine
  readonly symbols: SymbolTable
  /** The last position. */
  readonly end: number
  private readonly reader: TraceReader
  private readonly traveller: Traveller
  private readonly breaks = new Map<number, Breakpoint>()
  private readonly watches = new Map<number, TimelineWatchpoint>()
  private readonly catches = new Map<number, Catchpoint & { readonly places: EventPlaces }>()
  private nextPoint = 1
  /** Watched accesses of the instruction that was executed last. */
  private accesses: WatchedAccess[] = []
  private interrupted = false
  /** When the host's event loop has last had its turn, by the host's clock. */
  private lastTurn = 0
  private transmit: ((byte: number) => void) | undefined

  /**
   * Opens a trace at position 0.
   *
   * @throws {TraceError} if the trace holds what this kaal cannot honour.
   */
  constructor(reader: TraceReader, options: TimelineOptions = {}) {
    this.reader = reader
    this.traveller = new Traveller(reader, (byte) => this.transmit?.(byte), options)
    this.machine = this.traveller.machine
    this.end = this.traveller.end
    this.symbols = this.machine.boot.symbols
  }

  /** The position. */
  get position(): number {
    return this.machine.icount
  }

  /** Bytes that checkpoints take now. */
  get checkpointMemory(): number {
    return this.traveller.checkpointMemory
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
    this.traveller.seek(position)
  }

  /** Executes `n` instructions, or fewer if the trace ends; nothing stops it. */
  step(n = 1): Stop {
    const target = Math.min(this.position + n, this.end)
    if (target === this.position) return { reason: 'end', position: target }
    this.traveller.travel(target)
    return { reason: 'step', position: this.position }
  }

  /** Goes back `n` instructions, or fewer if the trace begins; nothing stops it. */
  reverseStep(n = 1): Stop {
    const target = Math.max(this.position - n, 0)
    if (this.position === 0) return { reason: 'start', position: 0 }
    this.seek(target)
    return { reason: 'step', position: target }
  }

  /** Executes one instruction, and tells if a watchpoint has seen what it did. */
  stepWatched(): Stop {
    const target = this.position + 1
    if (target > this.end) return { reason: 'end', position: this.position }
    const met = this.watching(() => this.met(this.traveller.advance(target), 'forwards'))
    return met ?? { reason: this.position === target ? 'step' : 'end', position: this.position }
  }

  /** Goes back one instruction, and tells if a watchpoint has seen what it did. */
  reverseStepWatched(): Stop {
    const stop = this.reverseStep()
    if (stop.reason !== 'step' || this.watches.size === 0) return stop
    const met = this.stepWatched()
    this.seek(stop.position)
    return met.reason === 'watchpoint' ? { ...met, position: stop.position } : stop
  }

  /** Runs forwards to whatever of breakpoints, watchpoints and catchpoints comes first, or to the end. */
  async continue(): Promise<Stop> {
    this.interrupted = false
    const event = this.nextEvent(this.position)
    const limit = event?.position ?? this.end
    this.machine.passBreakpointAt = this.position
    while (this.position < limit) {
      const { position } = this
      const target = Math.min(nextMultiple(position), limit)
      const { first, count, ended } = this.armed(() => this.search(target, 'first'))
      if (first) return first
      // The guest has ended, though the trace should go on: as far as there is to go.
      if (ended && count === 0) return { reason: 'end', position: this.position }
      if (this.position === target) this.traveller.keepGrid()
      if (await this.turn()) return { reason: 'interrupted', position: this.position }
    }
    return event ?? { reason: 'end', position: this.position }
  }

  /** Goes back to whatever of breakpoints, watchpoints and catchpoints comes last before the current position, or to the start. */
  async reverseContinue(): Promise<Stop> {
    this.interrupted = false
    const event = this.previousEvent(this.position)
    const floor = event?.position ?? 0
    let before = this.position
    const searched = this.breaks.size > 0 || this.watches.size > 0 ? floor : before
    if (before > searched && this.traveller.sinceCheckpoint > FAR) this.traveller.keepHere()
    while (before > searched) {
      before = Math.max(this.untouchedSince(before), floor)
      if (before === floor) break
      const from = this.traveller.nearest(before - 1)
      const start = Math.max(from.position, floor)
      const last = await this.lastMet(from, start, before)
      if (last) {
        this.seek(last.position)
        return last
      }
      if (this.interrupted) {
        this.seek(before)
        return { reason: 'interrupted', position: before }
      }
      before = start
    }
    this.seek(floor)
    return event ?? { reason: 'start', position: 0 }
  }

  /** Makes a {@link continue} or {@link reverseContinue} that is under way return soon. */
  interrupt(): void {
    this.interrupted = true
  }

  /** Breakpoints at virtual addresses. */
  readonly breakpoints = {
    /** Sets one; returns its number. */
    add: (address: bigint, condition?: Condition): number => {
      const id = this.nextPoint++
      this.breaks.set(id, { id, address, ...(condition && { condition }) })
      return id
    },
    /** Removes one; returns whether there was one of that number. */
    delete: (id: number): boolean => this.breaks.delete(id),
    /** All of them, by number. */
    list: (): Breakpoint[] => [...this.breaks.values()],
  }

  /** Watchpoints on ranges of virtual addresses. */
  readonly watchpoints = {
    /**
     * Sets one; returns its number.
     *
     * @throws {RangeError} if the range is empty or does not fit the address space.
     */
    add: (watchpoint: Watchpoint, condition?: Condition): number => {
      this.machine.cpu.setWatchpoints([watchpoint])
      this.machine.cpu.setWatchpoints([])
      const id = this.nextPoint++
      this.watches.set(id, { ...watchpoint, id, ...(condition && { condition }) })
      return id
    },
    /** Removes one; returns whether there was one of that number. */
    delete: (id: number): boolean => this.watches.delete(id),
    /** All of them, by number. */
    list: (): TimelineWatchpoint[] => [...this.watches.values()],
  }

  /** Catchpoints for exceptions, interrupts and what the guest prints. */
  readonly catchpoints = {
    /** Sets one; returns its number. */
    add: (filter: EventFilter): number => {
      const id = this.nextPoint++
      this.catches.set(id, { id, filter, places: eventPlaces(this.reader, filter) })
      return id
    },
    /** Removes one; returns whether there was one of that number. */
    delete: (id: number): boolean => this.catches.delete(id),
    /** All of them, by number. */
    list: (): Catchpoint[] => [...this.catches.values()].map(({ id, filter }) => ({ id, filter })),
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

  /** The next event with a catchpoint on the way forwards. */
  private nextEvent(position: number): Stop | undefined {
    let first: Stop | undefined
    for (const { id, places } of this.catches.values()) {
      const place = nextPlace(places, position)
      if (place !== undefined && place <= this.end && !(first && first.position <= place))
        first = { reason: 'event', position: place, breakpoint: id }
    }
    return first
  }

  /** The next event with a catchpoint on the way backwards. */
  private previousEvent(position: number): Stop | undefined {
    let last: Stop | undefined
    for (const { id, places } of this.catches.values()) {
      const place = previousPlace(places, position)
      if (place !== undefined && !(last && last.position >= place))
        last = { reason: 'event', position: place, breakpoint: id }
    }
    return last
  }

  /**
   * Runs forwards to `limit`, if the guest does not end before: for the first point there, or for the last, which may take too long to be
   * done at once. To be called with points in force.
   *
   * @returns the point, how many have been met, those with a false condition among them, and whether the guest has ended.
   */
  private search(
    limit: number,
    wanted: 'first' | 'last',
  ): { first?: Stop; last?: Stop; count: number; ended: boolean } {
    let last: Stop | undefined
    for (let count = 0; count < MANY; count++) {
      const end = this.traveller.advance(limit)
      const met = this.met(end, wanted === 'first' ? 'forwards' : 'backwards')
      if (met && wanted === 'first') return { first: met, count, ended: false }
      last = met ?? last
      if (this.position >= limit || (end !== 'breakpoint' && end !== 'paused'))
        return { ...(last && { last }), count, ended: this.position < limit }
    }
    return { ...(last && { last }), count: MANY, ended: false }
  }

  /**
   * Looks for the last point met from `start` up to, but not at, a position; `from` is a checkpoint at or before `start`. On the way
   * checkpoints are left, so that the place is quick to find again, and so are those before it.
   *
   * @returns undefined also if it has been interrupted.
   */
  private async lastMet(from: Checkpoint, start: number, before: number): Promise<Stop | undefined> {
    this.traveller.restore(from)
    this.traveller.travel(start)
    const enough = before - start > SHORTEST_STRETCH ? MANY : Infinity
    let last: Stop | undefined
    let count = 0
    let next = Math.min(nextMultiple(start), before)
    while (this.position < before && count < enough) {
      const found = this.armed(() => this.search(next, 'last'))
      last = found.last ?? last
      count += found.count
      if (found.ended) break
      if (await this.turn()) return undefined
      if (this.position < next) continue
      this.traveller.keepGrid()
      next = Math.min(nextMultiple(next), before)
    }
    if (count < enough) return last
    // It is met again and again: what comes last is near the end, so only checkpoints are made from here on, and searched from the last.
    const searched = this.position
    const stretch = Math.max(Math.ceil((before - searched) / STRETCHES), SHORTEST_STRETCH)
    for (let stop = searched + stretch; stop < before; stop += stretch) {
      this.traveller.travel(stop)
      this.traveller.keepHere()
    }
    for (let behind = before; behind > searched;) {
      const nearest = this.traveller.nearest(behind - 1)
      const first = Math.max(nearest.position, searched)
      const found = await this.lastMet(nearest, first, behind)
      if (found || this.interrupted) return found
      behind = first
    }
    return last
  }

  /** Of what the machine has just met, the point that shall stop the timeline. */
  private met(end: RunEnd, direction: 'forwards' | 'backwards'): Stop | undefined {
    const { accesses, position } = this
    if (accesses.length > 0) {
      this.accesses = []
      for (const watchpoint of this.watches.values()) {
        const access = accesses.find((each) => concerns(watchpoint, each))
        if (access && (watchpoint.condition?.() ?? true)) {
          const at = direction === 'forwards' ? position : position - 1
          return { reason: 'watchpoint', position: at, breakpoint: watchpoint.id, access }
        }
      }
    }
    if (end !== 'breakpoint') return undefined
    const { pc } = this.machine.cpu.state
    for (const { id, address, condition } of this.breaks.values())
      if (address === pc && (condition?.() ?? true)) return { reason: 'breakpoint', position, breakpoint: id }
    return undefined
  }

  /** If only writes can stop a search backwards, the position down to which there are known to be none; otherwise `before`. */
  private untouchedSince(before: number): number {
    const watches = [...this.watches.values()]
    if (this.breaks.size > 0 || watches.some(({ kind }) => kind !== 'write')) return before
    this.traveller.cut(this.position)
    const ranges = watches.map(({ address, length }) => ({
      first: Number(address >> 12n),
      last: Number((address + BigInt(length) - 1n) >> 12n),
    }))
    return this.traveller.writes.untouchedSince(before, ranges)
  }

  /** Does something with breakpoints and watchpoints in force. */
  private armed<T>(action: () => T): T {
    const { cpu } = this.machine
    this.traveller.install([...this.breaks.values()].map(({ address }) => address))
    cpu.ignoreBreakpoints = false
    return this.watching(() => {
      try {
        return action()
      } finally {
        cpu.ignoreBreakpoints = true
      }
    })
  }

  /** Does something with watchpoints in force. */
  private watching<T>(action: () => T): T {
    const { cpu } = this.machine
    if (this.watches.size > 0)
      cpu.setWatchpoints([...this.watches.values()], (access) => {
        this.accesses.push(access)
        this.traveller.halt()
      })
    try {
      return action()
    } finally {
      if (this.watches.size > 0) cpu.setWatchpoints([])
      this.accesses = []
    }
  }

  /** Lets the host's event loop run now and then. Returns whether the search has been interrupted. */
  private async turn(): Promise<boolean> {
    if (hostMilliseconds() - this.lastTurn >= TURN) {
      await yieldToHost()
      this.lastTurn = hostMilliseconds()
    }
    return this.interrupted
  }
}

/** Whether an access is one that a watchpoint watches for. */
function concerns({ address, length, kind }: Watchpoint, access: WatchedAccess): boolean {
  if (kind !== 'access' && (kind === 'write') !== access.write) return false
  const distance = BigInt.asIntN(64, access.address - address)
  return distance < BigInt(length) && distance > -BigInt(access.bytes)
}
