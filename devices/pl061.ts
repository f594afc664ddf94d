/** The general-purpose I/O: an Arm PrimeCell GPIO (PL061), registers as in Arm DDI 0190B, 3.3. On `virt`, pin 3 is the power-off key. */
import type { MachineMemory } from '../cpu/machine-memory.js'
import { type BlockView, stateBlock, u32 } from '../cpu/state-block.js'
import type { Line, MmioDevice } from './device.js'

/** GPIOPeriphID0-3 and GPIOPCellID0-3 (3.3.11, 3.3.12). */
const IDENTIFICATION = [0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1]
const PINS = 8

const fields = {
  data: u32,
  /** The pins' levels when inputs were last looked at for edges. */
  seen: u32,
  direction: u32,
  levelSense: u32,
  bothEdges: u32,
  event: u32,
  mask: u32,
  raw: u32,
  alternate: u32,
}

/** A PL061. */
export class Pl061 implements MmioDevice {
  readonly name = 'pl061'
  readonly minAccess = 1
  readonly maxAccess = 8
  private readonly state: BlockView<typeof fields>
  private readonly interrupt: Line

  constructor(memory: MachineMemory, interrupt: Line) {
    this.state = memory.place(stateBlock('pl061', fields))
    this.interrupt = interrupt
    this.reset()
  }

  reset(): void {
    for (const field of Object.keys(fields) as (keyof typeof fields)[]) this.state[field] = 0
    this.refresh()
  }

  /** To be called after a snapshot was loaded: drives the interrupt line. */
  restored(): void {
    this.interrupt((this.state.raw & this.state.mask) !== 0)
  }

  /** The wire to an input pin, 0 to 7; one that the guest made an output ignores it. */
  pin(number: number): Line {
    if (number < 0 || number >= PINS) throw new RangeError(`the PL061 has no pin ${number}: give 0 to 7`)
    const bit = 1 << number
    return (level) => {
      const { state } = this
      if (state.direction & bit) return
      state.data = level ? state.data | bit : state.data & ~bit
      this.refresh()
    }
  }

  read(offset: number): number {
    const { state } = this
    // GPIODATA: the address says which pins, 3.3.2.
    if (offset < 0x400) return state.data & (offset >> 2)
    switch (offset) {
      case 0x400: // GPIODIR
        return state.direction
      case 0x404: // GPIOIS
        return state.levelSense
      case 0x408: // GPIOIBE
        return state.bothEdges
      case 0x40c: // GPIOIEV
        return state.event
      case 0x410: // GPIOIE
        return state.mask
      case 0x414: // GPIORIS
        return state.raw
      case 0x418: // GPIOMIS
        return state.raw & state.mask
      case 0x420: // GPIOAFSEL
        return state.alternate
      default:
        return offset >= 0xfe0 ? IDENTIFICATION[(offset - 0xfe0) >> 2] : 0
    }
  }

  write(offset: number, _size: 1 | 2 | 4, value: number): void {
    const { state } = this
    const byte = value & 0xff
    if (offset < 0x400) {
      const pins = (offset >> 2) & state.direction
      state.data = (state.data & ~pins) | (byte & pins)
    } else {
      switch (offset) {
        case 0x400:
          state.direction = byte
          break
        case 0x404:
          state.levelSense = byte
          break
        case 0x408:
          state.bothEdges = byte
          break
        case 0x40c:
          state.event = byte
          break
        case 0x410:
          state.mask = byte
          break
        case 0x41c: // GPIOIC
          state.raw &= ~byte
          break
        case 0x420:
          state.alternate = byte
          break
        default:
          return
      }
    }
    this.refresh()
  }

  /** Looks for edges and levels on the input pins (3.2.2) and drives the interrupt line. */
  private refresh(): void {
    const { state } = this
    const changed = (state.seen ^ state.data) & ~state.direction
    if (changed) {
      state.seen = state.data
      const asSelected = ~(state.data ^ state.event)
      state.raw |= changed & ~state.levelSense & (state.bothEdges | asSelected) & 0xff
    }
    state.raw |= ~(state.data ^ state.event) & state.levelSense
    this.interrupt((state.raw & state.mask) !== 0)
  }
}
