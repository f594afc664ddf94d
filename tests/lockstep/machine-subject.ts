/** The emulated machine as the subject of a comparison. */
import { readFileSync } from 'node:fs'
import { savedProgramStatus } from '../../cpu/exceptions.js'
import { CPU_STATE, registerAddress } from '../../cpu/state.js'
import { DEFAULT_CONFIG } from '../../devices/config.js'
import { Machine } from '../../devices/machine.js'
import { REGISTER_WORDS, type Registers } from './hash.js'
import type { Guest, Subject, SubjectFactory } from './subject.js'

const X0 = registerAddress('x') >>> 2
const SP = registerAddress('sp') >>> 2
const PC = registerAddress('pc') >>> 2
/** Instructions between two looks at whether the UART takes a byte. */
const TYPING_INTERVAL = 50
/** Exception classes of an instruction abort. */
const INSTRUCTION_ABORT = new Set([0x20, 0x21])

/** An image that is read from memory rather than from a file. */
export interface GuestImage extends Omit<Guest, 'kernel'> {
  readonly kernel: string
  readonly bytes?: Uint8Array
}

const STATE_WORDS = CPU_STATE.size >>> 2
const bytesOf = (words: Uint32Array): Uint8Array => new Uint8Array(words.buffer, words.byteOffset, words.byteLength)

/** {@link SubjectFactory} for files. */
export const machineSubject: SubjectFactory = (guest) => new MachineSubject(guest)

/**
 * A machine that is stepped. It is always one instruction ahead of what it shows: only the attempt tells whether an instruction
 * could be fetched, and one that could not is not shown.
 */
export class MachineSubject implements Subject {
  readonly words = new Uint32Array(REGISTER_WORDS)
  readonly registers = { pcLo: 0, pcHi: 0, pstate: 0, words: this.words, base: 0 } satisfies Registers
  position = 0
  running = true
  stopReason = 'it is running'
  private readonly machine: Machine
  private readonly sent: number[] = []
  private fetchFault = false
  private door: { next: number; deliver(icount: number): void } = { next: Infinity, deliver: () => undefined }
  private failure: string | undefined

  constructor(guest: GuestImage) {
    const bytes = guest.bytes ?? readFileSync(guest.kernel)
    const files = {
      kernel: { name: guest.kernel, bytes },
      ...(guest.initrd === undefined ? {} : { initrd: { name: guest.initrd, bytes: readFileSync(guest.initrd) } }),
    }
    const config = {
      ...DEFAULT_CONFIG,
      memoryBytes: guest.memoryMiB * 2 ** 20,
      virtualization: guest.virtualization,
      icountShift: guest.icountShift,
      append: guest.append ?? '',
    }
    this.machine = new Machine(config, files, {
      interrupt: () => undefined,
      exception: (_icount, _vcpu, esr) => {
        if (INSTRUCTION_ABORT.has(esr >>> 26)) this.fetchFault = true
      },
      transmit: (_icount, byte) => this.sent.push(byte),
    })
    this.step()
  }

  /** The machine's own count: fetches that aborted are in it. */
  get icount(): number {
    return this.machine.icount
  }

  step(): boolean {
    const { machine, words, registers } = this
    const { u32 } = machine.memory
    if (this.failure !== undefined) {
      this.stopReason = `${this.failure} at ${machine.icount}`
      return (this.running = false)
    }
    do {
      if (!this.settle()) return (this.running = false)
      this.fetchFault = false
      this.position = machine.icount
      for (let i = 0; i < 62; i++) words[i] = u32[X0 + i]
      words[62] = u32[SP]
      words[63] = u32[SP + 1]
      registers.pcLo = u32[PC]
      registers.pcHi = u32[PC + 1]
      registers.pstate = savedProgramStatus(u32)
      try {
        machine.run(machine.icount + 1)
      } catch (error) {
        // The machine refuses or fails: that is a difference, shown at this instruction.
        this.failure = String(error)
      }
    } while (this.fetchFault)
    return true
  }

  /** Runs on without looking at registers until the machine stops. */
  runToEnd(): void {
    const { machine } = this
    for (;;) {
      const end = machine.run(Number.MAX_SAFE_INTEGER)
      if (end === 'asleep' && this.door.next !== Infinity && this.door.next !== machine.icount) {
        this.door.next = machine.icount
        continue
      }
      if (end === 'power-off' || end === 'reset' || end === 'asleep') {
        this.running = this.stopped(end)
        return
      }
      if (end === 'idle') machine.skipIdle()
    }
  }

  /** Whether two machines that have stopped hold the same: position, processor state, and RAM. */
  sameEnd(other: MachineSubject): boolean {
    const [a, b] = [this.machine, other.machine]
    const state = ({ memory }: Machine) => memory.u32.subarray(X0, X0 + STATE_WORDS)
    return (
      a.icount === b.icount &&
      Buffer.compare(bytesOf(state(a)), bytesOf(state(b))) === 0 &&
      Buffer.compare(a.memory.ram, b.memory.ram) === 0
    )
  }

  /** Has bytes come by the UART, as fast as it takes them. */
  type(input: Uint8Array): void {
    const { machine } = this
    const { uart } = machine.board
    let next = 0
    const door = {
      next: machine.icount,
      deliver(icount: number) {
        while (next < input.length && uart.canReceive() > 0) uart.receive(input[next++])
        door.next = next < input.length ? icount + TYPING_INTERVAL : Infinity
      },
    }
    this.door = door
    machine.door = door
  }

  uart(): Uint8Array {
    return Uint8Array.from(this.sent)
  }

  /** Takes what is due at this boundary: interrupts, and idle skips to the next. Returns false if no instruction comes any more. */
  private settle(): boolean {
    const { machine } = this
    for (;;) {
      const end = machine.run(machine.icount)
      if (end === 'power-off' || end === 'reset' || end === 'asleep') return this.stopped(end)
      if (end !== 'limit') continue
      if (!machine.cpu.waiting) return true
      if (machine.timers.nextDeadline() === Infinity) return this.stopped('asleep')
      machine.skipIdle()
    }
  }

  private stopped(reason: string): false {
    this.stopReason = `${reason} at ${this.machine.icount}`
    return false
  }
}
