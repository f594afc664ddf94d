/** What a device on the board is: registers at an address, lines in and out, and state that lives in machine memory. */
import type { AccessSize } from '../cpu/board.js'

/** A wire into an interrupt controller; calling it with the level it already has does nothing. */
export type Line = (level: boolean) => void

/** Virtual time, as the instruction that is executing sees it (`docs/time.md`). */
export interface Clock {
  /** Virtual nanoseconds since reset, an integer below 2^53. */
  now(): number
}

/** A device with registers on the bus. */
export interface MmioDevice {
  /** The name that messages and `kaal dump` use; also that of its state block. */
  readonly name: string
  /**
   * Access sizes that the device answers, in bytes; others abort, as on QEMU. Where `maxAccess` is 8, the bus makes two 4-byte accesses
   * of one, low half first.
   */
  readonly minAccess: AccessSize
  readonly maxAccess: AccessSize
  /** Whether reads abort. */
  readonly writeOnly?: boolean
  /** Reads a register: `offset` from the region's start. The result is unsigned. */
  read(offset: number, size: 1 | 2 | 4): number
  /** Writes a register: `value` is unsigned. */
  write(offset: number, size: 1 | 2 | 4, value: number): void
  /** Puts the device's state into what it is after power-on. */
  reset(): void
}
