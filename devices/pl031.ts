/** The real-time clock: an Arm PrimeCell RTC (PL031), registers as in Arm DDI 0224C, 3.3. It counts seconds of virtual time. */
import type { MachineMemory } from '../cpu/machine-memory.js'
import { type BlockView, stateBlock, u32 } from '../cpu/state-block.js'
import type { Clock, Line, MmioDevice } from './device.js'

const NS_PER_SECOND = 1e9
const HALF = 2 ** 32
/** RTCPeriphID0-3 and RTCPCellID0-3 (3.3.9, 3.3.10). */
const IDENTIFICATION = [0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1]

const fields = {
  /** What to add to the seconds of virtual time to get the count. */
  offset: u32,
  match: u32,
  load: u32,
  mask: u32,
  raw: u32,
  /** Whether an alarm is set, and the virtual time in ns at which it is due. */
  armed: u32,
  dueLo: u32,
  dueHi: u32,
}

/** A PL031. */
export class Pl031 implements MmioDevice {
  readonly name = 'pl031'
  readonly minAccess = 1
  readonly maxAccess = 8
  private readonly state: BlockView<typeof fields>
  private readonly clock: Clock
  private readonly interrupt: Line
  private readonly base: number

  /** @param base what the clock shows at virtual time 0, in seconds since 1970. */
  constructor(memory: MachineMemory, clock: Clock, interrupt: Line, base: number) {
    this.state = memory.place(stateBlock('pl031', fields))
    this.clock = clock
    this.interrupt = interrupt
    this.base = base
    this.reset()
  }

  reset(): void {
    const { state } = this
    state.offset = this.base >>> 0
    state.match = state.load = state.mask = state.raw = 0
    state.armed = state.dueLo = state.dueHi = 0
    this.refresh()
  }

  /** To be called after a snapshot was loaded: drives the interrupt line. */
  restored(): void {
    this.refresh()
  }

  /** Virtual nanoseconds at which the alarm is due, or Infinity. */
  nextDeadline(): number {
    const { armed, dueHi, dueLo } = this.state
    return armed ? dueHi * HALF + dueLo : Infinity
  }

  /** To be called when {@link nextDeadline} has come. */
  update(): void {
    if (this.clock.now() < this.nextDeadline()) return
    this.state.armed = 0
    this.state.raw = 1
    this.refresh()
  }

  read(offset: number): number {
    const { state } = this
    switch (offset) {
      case 0x00: // RTCDR
        return this.count()
      case 0x04: // RTCMR
        return state.match
      case 0x08: // RTCLR
        return state.load
      case 0x0c: // RTCCR: always enabled
        return 1
      case 0x10: // RTCIMSC
        return state.mask
      case 0x14: // RTCRIS
        return state.raw
      case 0x18: // RTCMIS
        return state.raw & state.mask
      default:
        return offset >= 0xfe0 ? IDENTIFICATION[(offset - 0xfe0) >> 2] : 0
    }
  }

  write(offset: number, _size: 1 | 2 | 4, value: number): void {
    const { state } = this
    switch (offset) {
      case 0x04:
        state.match = value
        this.setAlarm()
        break
      case 0x08:
        state.load = value
        state.offset += value - this.count()
        this.setAlarm()
        break
      case 0x10:
        state.mask = value & 1
        this.refresh()
        break
      case 0x1c: // RTCICR
        state.raw &= ~value
        this.refresh()
        break
    }
  }

  private count(): number {
    return (this.state.offset + Math.floor(this.clock.now() / NS_PER_SECOND)) >>> 0
  }

  /** As in QEMU, the alarm comes a whole number of seconds after the write that set it; at once if the count matches already. */
  private setAlarm(): void {
    const { state } = this
    const seconds = (state.match - this.count()) >>> 0
    state.armed = 0
    if (seconds === 0) {
      state.raw = 1
      this.refresh()
      return
    }
    const due = this.clock.now() + seconds * NS_PER_SECOND
    // An alarm beyond exact time (104 days) is never reached.
    if (due > Number.MAX_SAFE_INTEGER) return
    state.armed = 1
    state.dueLo = due >>> 0
    state.dueHi = Math.floor(due / HALF)
  }

  private refresh(): void {
    this.interrupt((this.state.raw & this.state.mask) !== 0)
  }
}
