/** What the lockstep comparison asks of the machine under test. */
import type { Registers } from './hash.js'

/**
 * A machine that runs one instruction at a time and shows its registers in between.
 *
 * Instructions are numbered as QEMU's plugin sees them: every attempt counts, also one that ends in a synchronous exception; a fetch
 * that aborts is no instruction.
 */
export interface Subject {
  /** The registers before the next instruction; valid until the next {@link step}. */
  readonly registers: Registers
  /** Position of the next instruction, in the machine's own count, for messages. */
  readonly position: number
  /** Runs one instruction, and whatever follows it up to the next one that QEMU's plugin would see. Returns false once the machine has stopped. */
  step(): boolean
  /** Whether there is a first instruction: false for a machine that has stopped. */
  readonly running: boolean
  /** What the UART has sent so far. */
  uart(): Uint8Array
  /** Why the machine stopped, for messages. */
  readonly stopReason: string
}

/** What is run on both sides. */
export interface Guest {
  /** Path of the kernel image, an ELF or an arm64 `Image`. */
  readonly kernel: string
  readonly virtualization: boolean
  readonly icountShift: number
  readonly append: string | undefined
  readonly initrd: string | undefined
  readonly memoryMiB: number
}

/** Makes a machine that stands before its first instruction. */
export type SubjectFactory = (guest: Guest) => Promise<Subject> | Subject
