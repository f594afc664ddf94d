/** Steps by source line and by function, in both directions. */
import type { Stop } from '../timeline/points.js'
import { hostMilliseconds, yieldToHost } from '../platform.js'
import { backtrace } from './backtrace.js'
import type { Debugger } from './debugger.js'
import { instructionAt, isCall } from './frame-state.js'
import type { SourcePlace } from '../dwarf/source-lines.js'

/** The host's event loop gets its turn after so many milliseconds of stepping. */
const TURN = 20
const RET_MASK = 0xffff_fc1f
const RET = 0xd65f_0000

/** Where code is, as far as a step by lines is concerned. */
interface Here {
  readonly pc: bigint
  readonly sp: bigint
  readonly el: number
  readonly line: SourcePlace | undefined
}

/** Steps of one debugger. What stops a run stops them too. */
export class Stepper {
  private readonly debug: Debugger
  private interrupted = false
  private lastTurn = 0

  constructor(debug: Debugger) {
    this.debug = debug
  }

  /** Makes a step that is under way stop soon. */
  interrupt(): void {
    this.interrupted = true
    this.debug.timeline.interrupt()
  }

  /** To the next source line, into calls; an instruction where no line is known. */
  into(): Promise<Stop> {
    return this.forwards(true)
  }

  /** To the next source line of this function or of its caller, over calls and exceptions. */
  over(): Promise<Stop> {
    return this.forwards(false)
  }

  /** To the return from this function. */
  async out(): Promise<Stop> {
    this.interrupted = false
    const { debug } = this
    const { timeline, names } = debug
    const frames = backtrace({
      state: timeline.machine.cpu.state,
      read: debug.read,
      startOf: (address) => names.find(address)?.address,
      recorded: (elr) => debug.recordedException(elr),
    })
    const caller = frames.slice(1).find((frame) => frame.kind === 'code')
    if (!caller) return timeline.continue()
    const { sp, el } = this.here()
    // A return leaves the stack pointer above where the callee had it; after an exception it may be another stack's.
    return this.runTo(caller.pc, (there) => there.el !== el || there.sp >= sp)
  }

  /** Back to the start of the line before, in this function or its caller; over calls and exceptions. */
  async back(): Promise<Stop> {
    this.interrupted = false
    const { timeline } = this.debug
    const from = this.here()
    let stop = await this.backOver(from)
    if (from.line === undefined) return stop
    // To the last instruction of the line before, and on to the first of that line.
    while (stop.reason === 'step' && sameLine(this.here().line, from.line)) stop = await this.backOver(this.here())
    const target = this.here()
    while (stop.reason === 'step' && target.line !== undefined) {
      const position = timeline.position
      stop = await this.backOver(this.here())
      if (stop.reason === 'step' && !sameLine(this.here().line, target.line)) {
        timeline.seek(position)
        return { reason: 'step', position }
      }
    }
    return stop
  }

  private async forwards(intoCalls: boolean): Promise<Stop> {
    this.interrupted = false
    const { timeline } = this.debug
    const from = this.here()
    for (;;) {
      const before = this.here()
      const call = isCall(instructionAt(this.debug.read, before.pc) ?? 0)
      let stop = timeline.stepWatched()
      if (stop.reason !== 'step') return stop
      const after = this.here()
      const left = after.el > before.el || (after.el === before.el && isEntry(this.debug, after, before))
      if (left && after.pc !== before.pc + 4n) {
        // An exception: it is no part of the line, unless it does not come back.
        stop = await this.runTo(before.pc, (there) => there.sp === before.sp && there.el === before.el, before.pc + 4n)
        if (stop.reason !== 'step') return stop
      } else if (call && !intoCalls && after.pc !== before.pc + 4n) {
        stop = await this.runTo(before.pc + 4n, (there) => there.sp === before.sp)
        if (stop.reason !== 'step') return stop
      }
      if (this.atBreakpoint()) return this.breakpointHere(stop)
      const now = this.here()
      if (from.line === undefined || (now.line !== undefined && !sameLine(now.line, from.line))) return stop
      if (await this.turn()) return { reason: 'interrupted', position: timeline.position }
    }
  }

  /** An instruction back; over all of a function that has returned there, and over an exception that has. */
  private async backOver(from: Here): Promise<Stop> {
    const { timeline } = this.debug
    if (await this.turn()) return { reason: 'interrupted', position: timeline.position }
    const stop = timeline.reverseStepWatched()
    if (stop.reason !== 'step') return stop
    const now = this.here()
    const word = instructionAt(this.debug.read, now.pc) ?? 0
    const returned = (word & RET_MASK) >>> 0 === RET && from.pc !== now.pc + 4n
    if (returned) {
      const call = from.pc - 4n
      return this.runBackTo(call, (there) => there.sp === from.sp)
    }
    if (now.el > from.el) {
      // The exception came from the instruction that has now been returned to, or from the system call before it.
      return this.runBackTo(from.pc, (there) => there.el === from.el && there.sp === from.sp, from.pc - 4n)
    }
    return stop
  }

  private here(): Here {
    const { sp, pc, el } = this.debug.timeline.machine.cpu.state
    return { pc, sp, el, line: this.debug.sources.at(pc) }
  }

  private atBreakpoint(): boolean {
    const { pc } = this.debug.timeline.machine.cpu.state
    return this.debug.timeline.breakpoints
      .list()
      .some(({ address, condition }) => address === pc && (condition?.() ?? true))
  }

  private breakpointHere({ position }: Stop): Stop {
    const { pc } = this.debug.timeline.machine.cpu.state
    const { id } = this.debug.timeline.breakpoints.list().find(({ address }) => address === pc) ?? { id: 0 }
    return { reason: 'breakpoint', position, breakpoint: id }
  }

  private runTo(pc: bigint, when: (there: Here) => boolean, or = pc): Promise<Stop> {
    return this.run(pc, or, when, () => this.debug.timeline.continue())
  }

  private runBackTo(pc: bigint, when: (there: Here) => boolean, or = pc): Promise<Stop> {
    return this.run(pc, or, when, () => this.debug.timeline.reverseContinue())
  }

  /** Runs to one of two addresses, unless something else stops it. */
  private async run(pc: bigint, or: bigint, when: (there: Here) => boolean, go: () => Promise<Stop>): Promise<Stop> {
    const { breakpoints } = this.debug.timeline
    const ids = [...new Set([pc, or])].map((address) => breakpoints.add(address, () => when(this.here())))
    try {
      const stop = await go()
      return ids.includes(stop.breakpoint ?? -1) ? { reason: 'step', position: stop.position } : stop
    } finally {
      for (const id of ids) breakpoints.delete(id)
    }
  }

  private async turn(): Promise<boolean> {
    if (hostMilliseconds() - this.lastTurn >= TURN) {
      await yieldToHost()
      this.lastTurn = hostMilliseconds()
    }
    return this.interrupted
  }
}

const sameLine = (a: SourcePlace | undefined, b: SourcePlace | undefined): boolean =>
  a !== undefined && b !== undefined && a.file === b.file && a.line === b.line

/** Whether an exception has been taken to the level that code ran at already: only vectors begin so. */
function isEntry(debug: Debugger, after: Here, before: Here): boolean {
  if (after.el === 0 || after.pc === before.pc + 4n) return false
  const base = debug.timeline.machine.cpu.state.vbar_el[after.el]
  const offset = after.pc - base
  return offset >= 0n && offset < 0x800n && offset % 0x80n === 0n
}
