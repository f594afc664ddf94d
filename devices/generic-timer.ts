/**
 * The generic timer: the system counter at 62.5 MHz and the four timers of a processor (Arm DDI 0487, D11).
 *
 * The registers themselves belong to the processor's state; this decides when a timer's condition holds. As in QEMU 7.2, ISTATUS is
 * *stored* in CNTx_CTL when the timer is programmed and when it fires, not worked out at each read. All values are exact: 64-bit
 * quantities are pairs of 32-bit halves, and virtual time stays below 2^53 ns (104 days).
 */
import type { Clock, Line } from './device.js'

/** The timers, in the order in which {@link TimerRegisters} and the lines number them. */
export const TIMER = { physical: 0, virtual: 1, hypervisor: 2, secure: 3 } as const
/** The PPIs of the timers on `virt`, as INTIDs, in the order of {@link TIMER}: CNTP, CNTV, CNTHP, CNTPS. */
export const TIMER_INTIDS: readonly number[] = [30, 27, 26, 29]
/** Virtual nanoseconds in a tick of the counter. */
export const NS_PER_TICK = 16

/** CNTx_CTL (Arm DDI 0487, D13.11). */
const ENABLE = 1 << 0
const IMASK = 1 << 1
const ISTATUS = 1 << 2

const TIMERS = 4
const HALF = 2 ** 32
/** No deadline beyond this tick: its time in nanoseconds would not be exact. */
const LAST_TICK_HIGH = 2 ** 53 / NS_PER_TICK / HALF

/** The timer registers of one processor; halves are unsigned. */
export interface TimerRegisters {
  /** CNTx_CTL of a timer: ENABLE, IMASK and the ISTATUS last stored. */
  ctl(timer: number): number
  setCtl(timer: number, value: number): void
  /** CNTx_CVAL of a timer. */
  cvalLo(timer: number): number
  cvalHi(timer: number): number
  /** CNTVOFF_EL2; zero without EL2. */
  voffLo(): number
  voffHi(): number
}

/** The timers of one processor. */
export class GenericTimers {
  /** Halves of the physical count that {@link sample} took. */
  countLo = 0
  countHi = 0

  private readonly registers: TimerRegisters
  private readonly clock: Clock
  private readonly lines: readonly Line[]
  /** Derived from the registers: when each timer fires (Infinity: not at all), and the values for which that was worked out. */
  private readonly deadlines = new Float64Array(TIMERS).fill(Infinity)
  private readonly enabled = new Uint8Array(TIMERS)
  private readonly compares = new Uint32Array(TIMERS * 4)
  private earliest = Infinity

  /** @param lines a line for each timer, in the order of {@link TIMER}. */
  constructor(registers: TimerRegisters, clock: Clock, lines: readonly Line[]) {
    this.registers = registers
    this.clock = clock
    this.lines = lines
  }

  /** Takes the physical count of this moment into {@link countLo} and {@link countHi}. */
  sample(): void {
    const count = Math.floor(this.clock.now() / NS_PER_TICK)
    this.countHi = Math.floor(count / HALF)
    this.countLo = count >>> 0
  }

  /**
   * To be called after a write to a timer register, and when the time of {@link nextDeadline} has come: stores ISTATUS where it may
   * have changed, drives the lines and sets new deadlines.
   *
   * A write that changes IMASK alone moves the line but leaves ISTATUS as it was stored, as in QEMU.
   */
  update(): void {
    const { registers } = this
    const now = this.clock.now()
    for (let timer = 0; timer < TIMERS; timer++) {
      const enable = registers.ctl(timer) & ENABLE
      if (this.changed(timer, enable) || now >= this.deadlines[timer]) this.evaluate(timer, enable)
      this.lines[timer]((registers.ctl(timer) & (ISTATUS | IMASK)) === ISTATUS)
    }
    this.earliest = Math.min(this.deadlines[0], this.deadlines[1], this.deadlines[2], this.deadlines[3])
  }

  /** Virtual nanoseconds at which a timer's condition becomes true: an integer, or Infinity. */
  nextDeadline(): number {
    return this.earliest
  }

  /** To be called after a reset or when a snapshot was loaded: works out the deadlines from the registers, and drives the lines. */
  restored(): void {
    for (let timer = 0; timer < TIMERS; timer++) {
      const ctl = this.registers.ctl(timer)
      this.changed(timer, ctl & ENABLE)
      this.deadlines[timer] = (ctl & (ENABLE | ISTATUS)) === ENABLE ? this.deadline(timer) : Infinity
      this.lines[timer]((ctl & (ISTATUS | IMASK)) === ISTATUS)
    }
    this.earliest = Math.min(this.deadlines[0], this.deadlines[1], this.deadlines[2], this.deadlines[3])
  }

  /** Whether ENABLE, CVAL or the offset differ from what the deadline was worked out for; remembers the new values. */
  private changed(timer: number, enable: number): boolean {
    const { registers, compares } = this
    const virtual = timer === TIMER.virtual
    const cvalLo = registers.cvalLo(timer)
    const cvalHi = registers.cvalHi(timer)
    const voffLo = virtual ? registers.voffLo() : 0
    const voffHi = virtual ? registers.voffHi() : 0
    const at = timer * 4
    if (
      this.enabled[timer] === enable &&
      compares[at] === cvalLo &&
      compares[at + 1] === cvalHi &&
      compares[at + 2] === voffLo &&
      compares[at + 3] === voffHi
    ) {
      return false
    }
    this.enabled[timer] = enable
    compares[at] = cvalLo
    compares[at + 1] = cvalHi
    compares[at + 2] = voffLo
    compares[at + 3] = voffHi
    return true
  }

  /** Stores ISTATUS (Arm DDI 0487, D11.2.4: count - offset >= CVAL, unsigned) and sets the timer's deadline. */
  private evaluate(timer: number, enable: number): void {
    const { registers } = this
    const ctl = registers.ctl(timer)
    const met = enable !== 0 && this.conditionMet(timer)
    const stored = met ? ctl | ISTATUS : ctl & ~ISTATUS
    if (stored !== ctl) registers.setCtl(timer, stored)
    this.deadlines[timer] = enable !== 0 && !met ? this.deadline(timer) : Infinity
  }

  private conditionMet(timer: number): boolean {
    const { compares } = this
    const at = timer * 4
    this.sample()
    const borrow = this.countLo < compares[at + 2] ? 1 : 0
    const lo = (this.countLo - compares[at + 2]) >>> 0
    const hi = (this.countHi - compares[at + 3] - borrow) >>> 0
    return hi > compares[at + 1] || (hi === compares[at + 1] && lo >= compares[at])
  }

  /** When the physical count reaches CVAL plus the offset, modulo 2^64; never if that lies in the past or beyond exact time. */
  private deadline(timer: number): number {
    const { compares } = this
    const at = timer * 4
    const lo = compares[at] + compares[at + 2]
    const carry = lo >= HALF ? 1 : 0
    const hi = (compares[at + 1] + compares[at + 3] + carry) >>> 0
    if (hi >= LAST_TICK_HIGH) return Infinity
    const ns = (hi * HALF + (lo >>> 0)) * NS_PER_TICK
    return ns > this.clock.now() ? ns : Infinity
  }
}
