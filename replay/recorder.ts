/** Recording: runs a machine, lets the outside in at instruction boundaries, and writes the trace. */
import { UnsupportedFeature } from '../cpu/processor.js'
import type { InputDoor } from '../devices/machine.js'
import type { ExceptionKind } from '../trace/rows.js'
import type { TraceWriter } from '../trace/writer.js'
import { grouped } from './debugger/numbers.js'
import type { MachineDescription } from './description.js'
import { type Batch, type ExecutionListener, Execution } from './execution.js'
import { hostMilliseconds, sleep, yieldToHost } from './platform.js'

/** How a recording ended. */
export type RecordEnd =
  | 'power-off'
  /** Ended from outside. */
  | 'stopped'
  /** The number of instructions asked for has been executed. */
  | 'limit'
  /** The guest waits for an interrupt, and nothing will ever raise one. */
  | 'asleep'
  /** Every instruction faults, for ever. */
  | 'fault-loop'
  /** The guest asked for something that is not modelled. */
  | 'unsupported'
  /** What {@link RecordRun.until} waits for has come. */
  | 'until'

/** The outcome of a recording. */
export interface RecordResult {
  readonly end: RecordEnd
  /** One line for people. */
  readonly message: string
  readonly instructions: number
  readonly finalDigest: string
  /** How many tests the guest reported as failed: the second number of the last line `N passed, N failed` on its UART, or 0. */
  readonly testsFailed: number
}

/** What a recorder is made from. */
export interface RecorderOptions extends MachineDescription {
  /** Where the trace goes, asked when the recording begins; without one nothing is written, and everything else is the same. */
  readonly writer?: () => TraceWriter
  /** Called for every byte that the guest sends through its UART. */
  readonly onTransmit?: (byte: number, icount: number) => void
  /** Called for every logged exception, right after it was taken, with the exception level that it was taken from. */
  readonly onException?: (icount: number, kind: ExceptionKind, esr: number, from: number) => void
  /** Gives input by what the guest does. */
  readonly feeder?: Feeder
}

/**
 * Gives input to the guest at points that the guest itself reaches. It is asked at instruction boundaries, and must go by the guest alone:
 * what has been sent and delivered, and virtual time.
 */
export interface Feeder {
  /** What is due at virtual time `now`, in nanoseconds; asked whenever all that was given before has been delivered. */
  take(now: number): Uint8Array | undefined
  /** Virtual nanoseconds at which something will be due if nothing happens before; Infinity if time alone brings nothing. */
  readonly deadline: number
  /** All that was given has been delivered, at this position and time. */
  delivered(icount: number, now: number): void
  /** What shall be given to a guest that sleeps for ever otherwise; undefined to let it sleep. */
  wake(): Uint8Array | undefined
}

/** How to run it. */
export interface RecordRun {
  /** Stop after so many instructions; a function is asked again after every batch. */
  readonly maxInstructions?: number | (() => number)
  /** Asked after every batch, with the position: whether the recording shall end there. */
  readonly until?: (icount: number) => boolean
  /** A person may be typing: idle time passes at the pace of the clock on the wall, and a sleeping guest is waited for. */
  readonly interactive?: boolean
  readonly onProgress?: (icount: number) => void
}

/** The host's event loop gets its turn this often, in milliseconds; whole batches are committed as often. */
const TURN = 20
const COMMIT_INTERVAL = 100
/** The clock is looked at after so many batches or instructions, whichever comes first: in less than a millisecond. */
const BATCHES = 64
const INSTRUCTIONS = 2 ** 19
/** That many exceptions, each at most this many instructions behind the one before, are a loop that will not end. */
const FAULT_LOOP = 10_000
const FAULT_DISTANCE = 2

/** A recording session. */
export class Recorder {
  readonly execution: Execution
  private readonly openWriter: (() => TraceWriter) | undefined
  private writer: TraceWriter | undefined
  private readonly feeder: Feeder | undefined
  private readonly queue: Uint8Array[] = []
  private inputEnded = false
  private stopping = false
  private wake: () => void = () => {}
  private readonly verdict = new TestVerdict()
  private lastFault = -Infinity
  private faults = 0

  /** @throws what `new Machine` throws. */
  constructor(options: RecorderOptions) {
    const { onTransmit, onException } = options
    this.openWriter = options.writer
    this.feeder = options.feeder
    const listener: ExecutionListener = {
      transmit: (icount, byte) => {
        this.writer?.uart(icount, 0, byte)
        this.verdict.see(byte)
        onTransmit?.(byte, icount)
        // Input may be due behind this instruction: the door is asked at boundaries.
        if (this.feeder) this.execution.machine.cpu.stop()
      },
      interrupt: (icount, vcpu, intid, pcLo, pcHi, el) => this.writer?.interrupt(icount, vcpu, intid, pcLo, pcHi, el),
      exception: (icount, vcpu, kind, esr, farLo, farHi, elrLo, elrHi) => {
        this.writer?.exception(icount, vcpu, kind, esr, farLo, farHi, elrLo, elrHi)
        onException?.(icount, kind, esr, this.exceptedFrom())
        this.faults = icount - this.lastFault <= FAULT_DISTANCE ? this.faults + 1 : 0
        this.lastFault = icount
        if (this.faults >= FAULT_LOOP) this.execution.machine.pause()
      },
    }
    this.execution = new Execution(options.config, options.files, options.snapshots, listener)
    this.execution.door = this.door()
  }

  /** Input for the guest's UART; it arrives when the guest has room for it, all of it and in order. */
  send(bytes: Uint8Array): void {
    if (bytes.length > 0) this.queue.push(bytes.slice())
    this.wake()
  }

  /** No more input will come: a guest that waits for some sleeps for ever. */
  endInput(): void {
    this.inputEnded = true
    this.wake()
  }

  /** Ends the recording at the next opportunity; what has been recorded is a whole trace. */
  stop(): void {
    this.stopping = true
    this.wake()
  }

  /**
   * Records until the guest ends, or something else does; finishes the trace.
   *
   * @throws {TraceError} if the trace cannot be written; what was committed stays valid.
   */
  async run(options: RecordRun = {}): Promise<RecordResult> {
    this.writer = this.openWriter?.()
    try {
      return await this.record(options)
    } catch (error) {
      this.writer?.abort()
      throw error
    }
  }

  private async record(options: RecordRun): Promise<RecordResult> {
    const { execution } = this
    const { machine } = execution
    const { maxInstructions = Infinity } = options
    let turn = hostMilliseconds()
    let committed = turn
    let batches = 0
    let looked = machine.icount
    for (;;) {
      const limit = typeof maxInstructions === 'number' ? maxInstructions : maxInstructions()
      let end
      try {
        end = execution.run(limit)
      } catch (error) {
        if (!(error instanceof UnsupportedFeature)) throw error
        return this.finish('unsupported', error.message)
      }
      if (this.faults >= FAULT_LOOP) return this.finish('fault-loop', this.faultMessage())
      const ended = execution.endFor(end)
      if (ended !== undefined) {
        if (ended === 'idle' && options.interactive) {
          // Someone types: let them do it before time jumps to the next deadline.
          if (await this.pace()) continue
        }
        this.write(execution.endBatch(ended))
        if (ended === 'power-off') return this.finish(ended, 'the guest has powered off')
        if (options.until?.(machine.icount)) return this.finish('until', `ended at ${grouped(machine.icount)}`)
      }
      if (end === 'asleep') {
        if (this.queue.length === 0 && this.wakeBy(this.feeder)) continue
        if (this.stopping || this.inputEnded) return this.sleepForEver()
        const pause = sleep(Infinity)
        this.wake = pause.wake
        await pause.done
        turn = hostMilliseconds()
        continue
      }
      if (machine.icount >= limit) return this.finish('limit', `stopped after ${machine.icount} instructions, as asked`)
      // Asking for the time costs as much as an interrupt: once for many short batches is enough.
      if (++batches < BATCHES && machine.icount - looked < INSTRUCTIONS) continue
      batches = 0
      looked = machine.icount
      const now = hostMilliseconds()
      if (now - turn < TURN) continue
      if (ended !== undefined && now - committed >= COMMIT_INTERVAL) {
        committed = now
        this.writer?.commit()
        options.onProgress?.(machine.icount)
      }
      await yieldToHost()
      if (this.stopping) return this.finish('stopped', `stopped at ${machine.icount}`)
      turn = hostMilliseconds()
    }
  }

  private door(): InputDoor {
    const { queue, execution, feeder } = this
    const { machine } = execution
    const { uart } = machine.board
    const nanoseconds = 2 ** machine.config.icountShift
    return {
      get next() {
        if (feeder && queue.length === 0) {
          const now = machine.now()
          const due = feeder.take(now)
          // What is not due yet comes after so many instructions, or more if some take no time.
          if (!due) return machine.icount + Math.ceil((feeder.deadline - now) / nanoseconds)
          queue.push(due)
        }
        return queue.length > 0 && uart.listening && uart.canReceive() > 0 ? 0 : Infinity
      },
      deliver: (icount) => {
        const payload = this.take(uart.canReceive())
        for (const byte of payload) uart.receive(byte)
        execution.noteInput(icount, 'uart', payload)
        this.writer?.input(icount, 'uart', payload)
        for (const byte of payload) this.writer?.uart(icount, 1, byte)
        if (queue.length === 0) feeder?.delivered(icount, machine.now())
      },
    }
  }

  /** A guest that would sleep for ever gets the next input. Returns whether there is one. */
  private wakeBy(feeder: Feeder | undefined): boolean {
    const bytes = feeder?.wake()
    if (bytes) this.queue.push(bytes)
    return bytes !== undefined
  }

  /** The exception level that the exception just taken came from, by SPSR_ELx.M (Arm ARM DDI 0487, C5.2.18). */
  private exceptedFrom(): number {
    const { el, spsr_el: spsr } = this.execution.machine.cpu.state
    return Number((spsr[el] >> 2n) & 3n)
  }

  /** Takes up to `most` bytes from the front of the queue. */
  private take(most: number): Uint8Array {
    const first = this.queue[0]
    const taken = first.subarray(0, most)
    if (taken.length === first.length) this.queue.shift()
    else this.queue[0] = first.subarray(taken.length)
    return taken
  }

  /** Lets the idle time pass on the wall too. Returns whether input came first, so that time must not jump. */
  private async pace(): Promise<boolean> {
    const { machine } = this.execution
    const pause = sleep(machine.idleNanoseconds() / 1e6)
    this.wake = pause.wake
    if (this.stopping || this.door().next === 0) pause.wake()
    await pause.done
    this.wake = () => {}
    return this.door().next === 0
  }

  private write(batch: Batch): void {
    const { writer } = this
    if (!writer) return
    writer.batch(batch.icount, batch.count, 0, batch.pcLo, batch.pcHi, batch.ended, batch.digestLo, batch.digestHi)
    if (batch.pages) writer.snapshot(batch.icount + batch.count, this.execution.machine.saveState(), batch.pages)
  }

  private sleepForEver(): RecordResult {
    const { icount } = this.execution.machine
    if (this.stopping) return this.finish('stopped', `stopped at ${icount}`)
    const lost = this.queue.reduce((sum, bytes) => sum + bytes.length, 0)
    const unread = lost > 0 ? `; ${lost} bytes of input were never read` : ''
    return this.finish('asleep', `guest idle with nothing to wake it at ${grouped(icount)}${unread}`)
  }

  private faultMessage(): string {
    const { machine } = this.execution
    const at = `0x${machine.cpu.state.pc.toString(16)}`
    return `guest loops on faults: ${FAULT_LOOP} in a row up to ${grouped(machine.icount)}, pc ${at}`
  }

  private finish(end: RecordEnd, message: string): RecordResult {
    const { execution } = this
    const { machine } = execution
    if (end !== 'power-off') this.write(execution.endBatch('stopped'))
    const finalDigest = execution.finalDigest()
    this.writer?.finish({ finalDigest })
    return { end, message, instructions: machine.icount, finalDigest, testsFailed: this.verdict.failed }
  }
}

/** The longest line looked at for a verdict. */
const LINE = 200

/** Looks for a test runner's last word, `N passed, N failed`, in the guest's output. */
class TestVerdict {
  failed = 0
  private readonly line = new Uint8Array(LINE)
  private used = 0

  see(byte: number): void {
    if (byte !== 10) {
      if (this.used < LINE) this.line[this.used++] = byte
      return
    }
    if (this.line.subarray(0, this.used).includes(COMMA)) this.judge()
    this.used = 0
  }

  private judge(): void {
    const text = String.fromCharCode(...this.line.subarray(0, this.used))
    const found = /\b\d+ passed, (\d+) failed\b/.exec(text)
    if (found) this.failed = Number(found[1])
  }
}

/** A verdict has one: other lines need not become text. */
const COMMA = 0x2c
