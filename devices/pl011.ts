/**
 * The serial port: an Arm PrimeCell UART (PL011), registers as in Arm DDI 0183G, 3.3.
 *
 * Behaves as QEMU 7.2's: a byte written is sent at once, whether or not the transmitter or the UART is enabled; a byte received
 * raises UARTRXINTR as soon as the FIFO is not empty, whatever UARTIFLS says; there is no receive time-out and no loopback; a
 * change of FEN empties the receive FIFO but leaves UARTFR alone.
 */
import type { MachineMemory } from '../cpu/machine-memory.js'
import { type BlockView, stateBlock, u32, u32s } from '../cpu/state-block.js'
import type { Line, MmioDevice } from './device.js'

/** UARTFR (Arm DDI 0183G, 3.3.3). */
const TXFE = 1 << 7
const RXFF = 1 << 6
const RXFE = 1 << 4
/** UARTLCR_H (3.3.7). */
const FEN = 1 << 4
const BRK = 1 << 0
/** Interrupt bits of UARTIMSC, RIS, MIS and ICR (3.3.10). */
const TXI = 1 << 5
const RXI = 1 << 4
const ALL_INTERRUPTS = 0x7ff
/** Receive data with a break error, in UARTDR (3.3.1). */
const BREAK_ERROR = 1 << 10

const DEPTH = 16
/** UARTPeriphID0-3 and UARTPCellID0-3 (3.3.14 to 3.3.21). */
const IDENTIFICATION = [0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1]

const fields = {
  flags: u32,
  lcr: u32,
  cr: u32,
  rsr: u32,
  ilpr: u32,
  ibrd: u32,
  fbrd: u32,
  ifls: u32,
  imsc: u32,
  ris: u32,
  dmacr: u32,
  fifo: u32s(DEPTH),
  fifoHead: u32,
  fifoCount: u32,
}

const BLOCK = stateBlock('pl011', fields)
const RIS = BLOCK.offsetOf('ris') >>> 2
const IMSC = BLOCK.offsetOf('imsc') >>> 2
const FLAGS = BLOCK.offsetOf('flags') >>> 2

/** UARTCR.RXE and UARTEN. */
const LISTENING = 0x201

/** What the serial port tells the host. */
export interface SerialHost {
  /** A byte was sent. */
  onTransmit(byte: number): void
  /** A break condition was put on the line, or taken off it. */
  onBreak?(on: boolean): void
  /** The guest read a byte: {@link Pl011.canReceive} may have grown. */
  onRoom?(): void
}

/** A PL011. */
export class Pl011 implements MmioDevice {
  readonly name = 'pl011'
  readonly minAccess = 1
  readonly maxAccess = 8
  private readonly state: BlockView<typeof fields>
  /** The same, for what is touched with every byte that a guest sends: accessors of several machines' blocks are slow. */
  private readonly words: Uint32Array
  private readonly interrupt: Line
  private readonly host: SerialHost

  /** @param interrupt UARTINTR, the combined interrupt. */
  constructor(memory: MachineMemory, interrupt: Line, host: SerialHost) {
    const base = memory.stateEnd
    this.state = memory.place(BLOCK)
    this.words = new Uint32Array(memory.buffer, base, BLOCK.size / 4)
    this.interrupt = interrupt
    this.host = host
    this.reset()
  }

  /** Power-on state (Arm DDI 0183G, table 3-1). */
  reset(): void {
    const { state } = this
    state.flags = TXFE | RXFE
    state.cr = 0x300
    state.ifls = 0x12
    state.lcr = state.rsr = state.ilpr = state.ibrd = state.fbrd = state.dmacr = 0
    state.imsc = state.ris = 0
    state.fifo.fill(0)
    state.fifoHead = state.fifoCount = 0
    this.refresh()
  }

  /** To be called after a snapshot was loaded: drives the interrupt line. */
  restored(): void {
    this.refresh()
  }

  /** Whether the guest has switched reception on (UARTCR.UARTEN and RXE): until then its set-up might flush what has arrived. */
  get listening(): boolean {
    return (this.state.cr & LISTENING) === LISTENING
  }

  /** How many bytes {@link receive} will take now: 0 to 16, or 0 to 1 with the FIFO disabled. */
  canReceive(): number {
    return Math.max(0, (this.state.lcr & FEN ? DEPTH : 1) - this.state.fifoCount)
  }

  /**
   * A byte arrives.
   *
   * @throws {RangeError} if there is no room: the host must ask {@link canReceive} first, or a byte would be lost unseen.
   */
  receive(byte: number): void {
    if (this.canReceive() === 0) throw new RangeError('the PL011 has no room for a byte: ask canReceive() first')
    this.push(byte & 0xff)
  }

  /** A break arrives: a zero byte with UARTDR.BE set (Arm DDI 0183G, 3.3.1); lost if the FIFO is full. */
  receiveBreak(): void {
    if (this.state.fifoCount < DEPTH) this.push(BREAK_ERROR)
  }

  read(offset: number): number {
    const { state } = this
    switch (offset >>> 2) {
      case 0x00 >> 2: // UARTDR
        return this.pop()
      case 0x04 >> 2: // UARTRSR
        return state.rsr
      case 0x18 >> 2: // UARTFR
        return this.words[FLAGS]
      case 0x20 >> 2: // UARTILPR
        return state.ilpr
      case 0x24 >> 2: // UARTIBRD
        return state.ibrd
      case 0x28 >> 2: // UARTFBRD
        return state.fbrd
      case 0x2c >> 2: // UARTLCR_H
        return state.lcr
      case 0x30 >> 2: // UARTCR
        return state.cr
      case 0x34 >> 2: // UARTIFLS
        return state.ifls
      case 0x38 >> 2: // UARTIMSC
        return state.imsc
      case 0x3c >> 2: // UARTRIS
        return state.ris
      case 0x40 >> 2: // UARTMIS
        return state.ris & state.imsc
      case 0x48 >> 2: // UARTDMACR
        return state.dmacr
      default:
        return offset >= 0xfe0 ? IDENTIFICATION[(offset - 0xfe0) >> 2] : 0
    }
  }

  write(offset: number, _size: 1 | 2 | 4, value: number): void {
    const { state } = this
    switch (offset >>> 2) {
      case 0x00 >> 2:
        this.host.onTransmit(value & 0xff)
        this.words[RIS] |= TXI
        this.refresh()
        break
      case 0x04 >> 2: // UARTECR
        state.rsr = 0
        break
      case 0x20 >> 2:
        state.ilpr = value
        break
      case 0x24 >> 2:
        state.ibrd = value
        break
      case 0x28 >> 2:
        state.fbrd = value
        break
      case 0x2c >> 2:
        this.writeLineControl(value)
        break
      case 0x30 >> 2:
        state.cr = value
        break
      case 0x34 >> 2:
        state.ifls = value
        break
      case 0x38 >> 2:
        state.imsc = value
        this.refresh()
        break
      case 0x44 >> 2: // UARTICR
        state.ris &= ~value
        this.refresh()
        break
      case 0x48 >> 2:
        state.dmacr = value
        break
    }
  }

  private writeLineControl(value: number): void {
    const { state } = this
    const changed = state.lcr ^ value
    if (changed & FEN) state.fifoCount = state.fifoHead = 0
    state.lcr = value
    if (changed & BRK) this.host.onBreak?.((value & BRK) !== 0)
  }

  private push(data: number): void {
    const { state } = this
    state.fifo[(state.fifoHead + state.fifoCount) % DEPTH] = data
    state.fifoCount++
    state.flags &= ~RXFE
    if (!(state.lcr & FEN) || state.fifoCount === DEPTH) state.flags |= RXFF
    if (state.fifoCount === 1) {
      state.ris |= RXI
      this.refresh()
    }
  }

  /** Reading UARTDR. An empty FIFO gives what its head last held. */
  private pop(): number {
    const { state } = this
    const data = state.fifo[state.fifoHead]
    state.flags &= ~RXFF
    if (state.fifoCount > 0) {
      state.fifoCount--
      state.fifoHead = (state.fifoHead + 1) % DEPTH
    }
    if (state.fifoCount === 0) {
      state.flags |= RXFE
      state.ris &= ~RXI
    }
    state.rsr = data >>> 8
    this.refresh()
    this.host.onRoom?.()
    return data
  }

  private refresh(): void {
    this.interrupt((this.words[RIS] & this.words[IMSC] & ALL_INTERRUPTS) !== 0)
  }
}
