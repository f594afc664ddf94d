/** Replaying: runs a trace's machine again, with the same inputs at the same positions, and compares every batch. */
import { UnsupportedFeature } from '../cpu/processor.js'
import type { InputDoor } from '../devices/machine.js'
import type { TraceReader } from '../trace/reader.js'
import type { BatchCursor } from '../trace/batch-cursor.js'
import type { BatchRow, InputRow } from '../trace/rows.js'
import { readDescription } from './description.js'
import { Names } from './debugger/names.js'
import { EventLog } from './event-log.js'
import { type Batch, Execution } from './execution.js'
import { hostMilliseconds, yieldToHost } from './platform.js'

/** Where a replay left its trace. */
export interface Divergence {
  /** Number of the batch, from 1. */
  readonly batch: number
  /** What the trace says of it. */
  readonly recorded: BatchRow
  /** What the replay did instead; undefined if it could not end the batch. */
  readonly replayed: Batch | undefined
  /** For people: what differs, where, and what the last batch that agreed was. */
  readonly message: string
}

/** The outcome of a replay. */
export type ReplayResult =
  | { readonly kind: 'same'; readonly instructions: number; readonly finalDigest: string | undefined }
  | { readonly kind: 'diverged'; readonly instructions: number; readonly divergence: Divergence }

/** What a replay may be asked for. */
export interface ReplayOptions {
  /** Called for every byte that the guest sends through its UART. */
  readonly onTransmit?: (byte: number) => void
}

/** How to run it. */
export interface ReplayRun {
  /** Stop at the end of the batch that holds this position. */
  readonly to?: number
  readonly onProgress?: (icount: number) => void
}

/** The host's event loop gets its turn this often, in milliseconds; the clock is looked at after so many batches or instructions. */
const TURN = 50
const BATCHES = 64
const INSTRUCTIONS = 2 ** 19

/** Where recorded inputs come from. */
export interface InputSource {
  /** All inputs after the first `given`. */
  inputsAfter(given: number): Iterator<InputRow>
}

/** Gives a machine the inputs of a trace. */
export class RecordedInputs implements InputDoor {
  next = Infinity
  private readonly execution: Execution
  private rows: Iterator<InputRow>
  private row: InputRow | undefined
  private readonly reader: InputSource
  private readonly onDeliver: (icount: number, source: string, payload: Uint8Array) => void

  /** @param onDeliver told every input when the machine has got it. */
  constructor(reader: InputSource, execution: Execution, onDeliver: RecordedInputs['onDeliver'] = () => {}) {
    this.reader = reader
    this.onDeliver = onDeliver
    this.execution = execution
    this.rows = reader.inputsAfter(0)
    this.advance()
  }

  /** Goes on after the first `given` inputs. */
  resume(given: number): void {
    this.rows = this.reader.inputsAfter(given)
    this.advance()
  }

  deliver(icount: number): void {
    while (this.row && this.row.icount <= icount) {
      const { source, payload } = this.row
      for (const byte of payload) this.execution.machine.board.uart.receive(byte)
      this.execution.noteInput(icount, source, payload)
      this.onDeliver(icount, source, payload)
      this.advance()
    }
  }

  private advance(): void {
    const step = this.rows.next()
    this.row = step.done ? undefined : step.value
    this.next = this.row?.icount ?? Infinity
  }
}

/** A replay of a whole trace. */
export class Replayer {
  readonly execution: Execution
  private readonly names: Names
  private readonly reader: TraceReader
  /** What has happened in the current batch. */
  private readonly events = new EventLog()

  /**
   * @throws {TraceError} if the trace holds what this kaal cannot honour, before the first instruction.
   * @throws {LoadError} if an image cannot be loaded.
   */
  constructor(reader: TraceReader, options: ReplayOptions = {}) {
    this.reader = reader
    const { config, files, snapshots } = readDescription(reader)
    this.execution = new Execution(config, files, snapshots, {
      transmit: (icount, byte) => {
        this.events.add('uart', icount, byte)
        options.onTransmit?.(byte)
      },
      interrupt: (icount, _vcpu, intid) => this.events.add('interrupt', icount, intid),
      exception: (icount, _vcpu, _kind, esr) => this.events.add('exception', icount, esr),
    })
    this.execution.door = new RecordedInputs(reader, this.execution)
    this.names = new Names(this.execution.machine.boot.symbols)
  }

  /** Replays to the end of the trace, or of the batch that holds `to`. */
  async run(options: ReplayRun = {}): Promise<ReplayResult> {
    const { execution, reader } = this
    const { machine } = execution
    const to = options.to ?? Infinity
    let turn = hostMilliseconds()
    const recorded = reader.batchCursor()
    let looked = machine.icount
    while (recorded.next()) {
      if (recorded.icount >= to && recorded.n > 1) break
      const divergence = this.replay(recorded)
      if (divergence) return { kind: 'diverged', instructions: machine.icount, divergence }
      if (recorded.n % BATCHES !== 0 && machine.icount - looked < INSTRUCTIONS) continue
      looked = machine.icount
      const now = hostMilliseconds()
      if (now - turn >= TURN) {
        options.onProgress?.(machine.icount)
        await yieldToHost()
        turn = hostMilliseconds()
      }
    }
    // If the cursor has stopped in front of a damaged row, this throws and says which.
    if (recorded.n < reader.batchCount && machine.icount < to) reader.batch(recorded.n + 1)
    const whole = reader.meta.finished && machine.icount === reader.meta.instructions
    if (!whole) return { kind: 'same', instructions: machine.icount, finalDigest: undefined }
    return this.compareEnd()
  }

  private replay(recorded: BatchCursor): Divergence | undefined {
    const { execution } = this
    const end = recorded.icount + recorded.count
    let replayed: Batch
    this.events.clear()
    try {
      // Only a recording that was stopped has a batch that ends for no reason of the machine's own.
      const stopped = recorded.ended === 'stopped'
      const how = execution.run(stopped ? end : Infinity)
      const ended = execution.endFor(how) ?? (stopped && how !== 'paused' ? 'stopped' : undefined)
      if (ended === undefined) {
        const waits = how === 'asleep' ? 'the processor sleeps, and nothing wakes it' : 'nothing happens there'
        return this.diverged(recorded, undefined, `the trace has ${recorded.ended} at ${end}; in the replay ${waits}`)
      }
      replayed = execution.endBatch(ended)
    } catch (error) {
      if (!(error instanceof UnsupportedFeature)) throw error
      return this.diverged(recorded, undefined, error.message)
    }
    const difference = describe(recorded, replayed)
    return difference === undefined ? undefined : this.diverged(recorded, replayed, difference)
  }

  private compareEnd(): ReplayResult {
    const { execution, reader } = this
    const { icount: instructions } = execution.machine
    const finalDigest = execution.finalDigest()
    const recorded = reader.meta.finalDigest
    if (finalDigest === recorded) return { kind: 'same', instructions, finalDigest }
    const last = reader.batch(reader.batchCount)
    if (!last) return { kind: 'same', instructions, finalDigest }
    const message = `all batches agree, but guest memory at the end does not: final digest ${recorded} in the trace, ${finalDigest} in the replay`
    return {
      kind: 'diverged',
      instructions,
      divergence: { batch: last.n, recorded: last, replayed: undefined, message },
    }
  }

  private diverged({ n }: BatchCursor, replayed: Batch | undefined, what: string): Divergence {
    const recorded = this.reader.batch(n) as BatchRow
    const { icount } = recorded
    const pc = this.execution.machine.cpu.state.pc
    const where = `replay pc 0x${pc.toString(16)}${this.names.suffix(pc)}`
    const event = this.events.firstDifference(this.reader, recorded)
    const also = event ? `; ${event}` : ''
    const message = `replay differs in batch ${n}, which begins at ${icount}: ${what} (${where})${also}; everything before ${icount} agrees`
    return { batch: n, recorded, replayed, message }
  }
}

/** What differs between a recorded batch and a replayed one; undefined if nothing does. */
function describe(recorded: BatchCursor, replayed: Batch): string | undefined {
  if (recorded.count !== replayed.count || recorded.ended !== replayed.ended)
    return `it ends after ${recorded.count} instructions (${recorded.ended}) in the trace, after ${replayed.count} (${replayed.ended}) in the replay`
  if (recorded.pcLo !== replayed.pcLo || recorded.pcHi !== replayed.pcHi)
    return `it ends at pc ${address(recorded)} in the trace, at ${address(replayed)} in the replay`
  if (recorded.digestLo === replayed.digestLo && recorded.digestHi === replayed.digestHi) return undefined
  return `it has the same length and pc but another digest: a register, a device or an event in it differs`
}

const address = ({ pcLo, pcHi }: { readonly pcLo: number; readonly pcHi: number }): string =>
  `0x${((BigInt(pcHi >>> 0) << 32n) | BigInt(pcLo >>> 0)).toString(16)}`
