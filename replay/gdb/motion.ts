/**
 * How a gdb session moves: breakpoints and watchpoints, steps and continues in both directions, and the stop replies that tell of them.
 *
 * gdb takes AArch64 watchpoints for what its debug registers do: a stop is reported *before* the access, in the direction of travel,
 * and gdb itself steps over it to see the new value. So going forwards a hit is reported in front of the instruction, and
 * going backwards behind it.
 */
import type { Watchpoint } from '../../cpu/mmu/watchpoints.js'
import { yieldToHost } from '../platform.js'
import type { Stop } from '../timeline/points.js'
import type { Timeline } from '../timeline.js'
import { parseHex } from './packets.js'

/** The answer to what is malformed, or not there. */
export const ERROR = 'E01'
/** The one vCPU's thread. */
export const THREAD = '1'
const SIGINT = '02'
const SIGTRAP = '05'
/** The most breakpoints and watchpoints that a client may set. */
const MOST_POINTS = 4096
/** Instructions that a range step may take before it stops by itself. */
const LONGEST_RANGE_STEP = 1_000_000
/** Steps of a range step between two turns of the host's event loop. */
const STEPS_A_TURN = 1024

type PointType = 0 | 1 | 2 | 3 | 4
const WATCH_KINDS: Readonly<Record<2 | 3 | 4, Watchpoint['kind']>> = { 2: 'write', 3: 'read', 4: 'access' }
const WATCH_REASONS = { write: 'watch', read: 'rwatch', access: 'awatch' } as const

/** A breakpoint or watchpoint of the client. */
interface Point {
  readonly id: number
  readonly type: PointType
}

/** The motion of one client. */
export class Motion {
  /** The client has these stop reasons explained. */
  readonly knows = { swbreak: false, hwbreak: false }
  /** The last stop reply. */
  lastStop: string
  private readonly timeline: Timeline
  private readonly onEvent: (stop: Stop) => void
  private readonly points = new Map<string, Point>()
  private running = false
  private interrupted = false
  /** Where a watchpoint has been reported last without the access being passed, and in which direction. */
  private reported: { readonly position: number; readonly direction: 'forwards' | 'backwards' } | undefined

  /** @param onEvent told of a stop at an event, for which gdb has no word, before its stop reply. */
  constructor(timeline: Timeline, onEvent: (stop: Stop) => void) {
    this.timeline = timeline
    this.onEvent = onEvent
    this.lastStop = this.stopReply(SIGTRAP, '')
  }

  /** The client wants what is running to stop; or what it has asked for already and what runs `soon`. */
  interrupt(soon: boolean): void {
    this.interrupted = this.running || soon
    if (this.running) this.timeline.interrupt()
  }

  /** All that the client has asked for is done: there is nothing to interrupt. */
  idle(): void {
    this.interrupted = false
  }

  /** The timeline has been moved by other means. */
  moved(): void {
    this.reported = undefined
  }

  /** Removes what the client has set. */
  removePoints(): void {
    for (const { id, type } of this.points.values()) this.removePoint(id, type)
    this.points.clear()
  }

  /** Packets Z and z: `TYPE,ADDRESS,KIND`; what may follow it being conditions, which are not supported and which gdb checks itself. */
  changePoint(insert: boolean, argument: string): string {
    const match = /^([0-4]),([0-9a-f]{1,16}),([0-9a-f]{1,13})$/i.exec(argument)
    if (!match) return /^[5-9]/.test(argument) ? '' : ERROR
    const key = argument.toLowerCase()
    const type = Number(match[1]) as PointType
    const known = this.points.get(key)
    if (!insert) {
      if (known) this.removePoint(known.id, type)
      this.points.delete(key)
      return 'OK'
    }
    if (known) return 'OK'
    if (this.points.size >= MOST_POINTS) return 'E.too many breakpoints'
    const address = BigInt(`0x${match[2]}`)
    if (type < 2) {
      if (address % 4n !== 0n) return ERROR
      this.points.set(key, { id: this.timeline.breakpoints.add(address), type })
      return 'OK'
    }
    const watchpoint = { address, length: Number.parseInt(match[3], 16), kind: WATCH_KINDS[type as 2 | 3 | 4] }
    this.points.set(key, { id: this.timeline.watchpoints.add(watchpoint), type })
    return 'OK'
  }

  private removePoint(id: number, type: PointType): void {
    if (type < 2) this.timeline.breakpoints.delete(id)
    else this.timeline.watchpoints.delete(id)
  }

  /** Steps or continues, forwards or backwards; gives the stop reply. */
  resume(how: 's' | 'c' | 'bs' | 'bc'): Promise<string> {
    return this.whileRunning(async () => {
      if (how === 's') return this.stopped(this.step(), 'forwards')
      if (how === 'c') return this.stopped(await this.continue(), 'forwards')
      return this.stopped(how === 'bs' ? this.stepBack() : await this.continueBack(), 'backwards')
    })
  }

  /** Does something that the client may interrupt. */
  private async whileRunning(action: () => Promise<string>): Promise<string> {
    if (this.interrupted) return this.stopReply(SIGINT, '')
    this.running = true
    try {
      return await action()
    } finally {
      this.running = false
      this.interrupted = false
    }
  }

  /** Steps while the PC stays in `START,END`, as gdb asks for when it steps a source line. */
  async stepRange(argument: string): Promise<string> {
    const [start, end] = argument.split(',', 2).map(parseHex)
    if (start === undefined || end === undefined) return ERROR
    return this.whileRunning(() => this.stepWithin(start, end))
  }

  private async stepWithin(start: bigint, end: bigint): Promise<string> {
    const { timeline } = this
    for (let n = 1; n < LONGEST_RANGE_STEP; n++) {
      if (n % STEPS_A_TURN === 0) {
        await yieldToHost()
        if (this.interrupted) return this.stopped({ reason: 'interrupted', position: timeline.position }, 'forwards')
      }
      const stop = this.step()
      const { pc } = timeline.machine.cpu.state
      const breakpoint = timeline.breakpoints.list().find(({ address }) => address === pc)
      if (stop.reason === 'step' && breakpoint)
        return this.stopped({ ...stop, reason: 'breakpoint', breakpoint: breakpoint.id }, 'forwards')
      if (stop.reason !== 'step' || pc < start || pc >= end) return this.stopped(stop, 'forwards')
    }
    return this.stopped({ reason: 'step', position: timeline.position }, 'forwards')
  }

  private step(): Stop {
    return this.passing('forwards') ? this.timeline.step() : this.timeline.stepWatched()
  }

  private stepBack(): Stop {
    return this.passing('backwards') ? this.timeline.reverseStep() : this.timeline.reverseStepWatched()
  }

  private async continue(): Promise<Stop> {
    const { timeline } = this
    if (this.passing('forwards')) {
      const stop = timeline.step()
      const { pc } = timeline.machine.cpu.state
      const breakpoint = timeline.breakpoints.list().find(({ address }) => address === pc)
      if (stop.reason === 'step' && breakpoint)
        return { reason: 'breakpoint', position: timeline.position, breakpoint: breakpoint.id }
    }
    return timeline.continue()
  }

  private async continueBack(): Promise<Stop> {
    if (this.passing('backwards')) this.timeline.reverseStep()
    return this.timeline.reverseContinue()
  }

  /** Whether the access next on the way has been reported already: a client that does not step over it shall not meet it again. */
  private passing(direction: 'forwards' | 'backwards'): boolean {
    const { reported } = this
    this.reported = undefined
    return reported?.direction === direction && reported.position === this.timeline.position
  }

  /** Goes to where gdb wants to see a stop, and says it. */
  private stopped(stop: Stop, direction: 'forwards' | 'backwards'): string {
    const { timeline } = this
    const { reason, access, breakpoint } = stop
    switch (reason) {
      case 'start':
        return this.stopReply(SIGTRAP, 'replaylog:begin;')
      case 'end':
        return this.stopReply(SIGTRAP, 'replaylog:end;')
      case 'interrupted':
        return this.stopReply(SIGINT, '')
      case 'event':
        this.onEvent(stop)
        return this.stopReply(SIGTRAP, '')
      case 'breakpoint': {
        const hardware = [...this.points.values()].some(({ id, type }) => id === breakpoint && type === 1)
        const name = hardware ? 'hwbreak' : 'swbreak'
        return this.stopReply(SIGTRAP, this.knows[name] ? `${name}:;` : '')
      }
      case 'watchpoint': {
        if (direction === 'forwards') timeline.reverseStep()
        else timeline.step()
        this.reported = { position: timeline.position, direction }
        const watchpoint = timeline.watchpoints.list().find(({ id }) => id === breakpoint)
        if (!watchpoint || !access) return this.stopReply(SIGTRAP, '')
        // gdb knows its watchpoint by an address in it.
        const address = access.address > watchpoint.address ? access.address : watchpoint.address
        return this.stopReply(SIGTRAP, `${WATCH_REASONS[watchpoint.kind]}:${address.toString(16)};`)
      }
      default:
        return this.stopReply(SIGTRAP, '')
    }
  }

  private stopReply(signal: string, reasons: string): string {
    this.lastStop = `T${signal}thread:${THREAD};${reasons}`
    return this.lastStop
  }
}
