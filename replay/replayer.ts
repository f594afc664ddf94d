/** Replaying: runs a trace's machine again, with the same inputs at the same positions, and compares every batch and row. */
import { PAGE_SIZE, RAM_PHYSICAL } from '../cpu/machine-memory.js'
import type { InputDoor } from '../devices/machine.js'
import type { TraceReader } from '../trace/reader.js'
import type { BatchCursor } from '../trace/batch-cursor.js'
import type { BatchRow, InputRow } from '../trace/rows.js'
import { readDescription } from './description.js'
import { Names } from './debugger/names.js'
import { EventLog } from './event-log.js'
import { type Batch, Execution, type ExecutionListener, type MachineFactory } from './execution.js'
import { type RowDifference, RowCheck, rowText } from './divergence/rows.js'
import { hostMilliseconds, yieldToHost } from './platform.js'

/** Where a replay left its trace. */
export interface Divergence {
  /** Number of the batch, from 1. */
  readonly batch: number
  /** What the trace says of it. */
  readonly recorded: BatchRow
  /** What the replay did instead; undefined if it could not end the batch. */
  readonly replayed: Batch | undefined
  /** The row that differs, where the digests agree. */
  readonly row?: RowDifference
  /** Whether all batches agree, but guest memory at the end does not. */
  readonly atEnd?: boolean
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
  /** Builds the machine. */
  readonly make?: MachineFactory
  /** The snapshot to begin at, from 1, or 0 for the start. If it is given, only digests are compared, not rows. */
  readonly from?: number
}

/** How to run it. */
export interface ReplayRun {
  /** Stop at the end of the batch that holds this position. */
  readonly to?: number
  /** Stop at the end of this batch. */
  readonly toBatch?: number
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
  private readonly rows: RowCheck | undefined
  /** The last batch before the first that is replayed. */
  private readonly before: number

  /**
   * @throws {TraceError} if the trace holds what this kaal cannot honour, before the first instruction.
   * @throws {LoadError} if an image cannot be loaded.
   */
  constructor(reader: TraceReader, options: ReplayOptions = {}) {
    this.reader = reader
    const { config, files, snapshots } = readDescription(reader)
    const { onTransmit, make, from } = options
    const rows = from === undefined ? new RowCheck(reader) : undefined
    this.rows = rows
    const listener: ExecutionListener = {
      transmit: (icount, byte) => {
        this.events.add('uart', icount, byte)
        rows?.uart(icount, 0, byte)
        onTransmit?.(byte)
      },
      interrupt: (icount, vcpu, intid, pcLo, pcHi, el) => {
        this.events.add('interrupt', icount, intid)
        rows?.interrupt(icount, vcpu, intid, pcLo, pcHi, el)
      },
      exception: (icount, vcpu, kind, esr, farLo, farHi, elrLo, elrHi) => {
        this.events.add('exception', icount, esr)
        rows?.exception(icount, vcpu, kind, esr, farLo, farHi, elrLo, elrHi)
      },
    }
    this.execution = new Execution(config, files, snapshots, listener, make)
    const inputs = new RecordedInputs(reader, this.execution, (icount, _, payload) => {
      for (const byte of payload) rows?.uart(icount, 1, byte)
    })
    this.execution.door = inputs
    this.before = from ? this.load(from, inputs) : 0
    this.names = new Names(this.execution.machine.boot.symbols)
  }

  /** Replays to the end of the trace, or of the batch that holds `to`. */
  async run(options: ReplayRun = {}): Promise<ReplayResult> {
    const { execution, reader } = this
    const { machine } = execution
    const { to = Infinity, toBatch = Infinity } = options
    let turn = hostMilliseconds()
    const recorded = reader.batchCursor()
    recorded.n = this.before
    let looked = machine.icount
    while (recorded.n < toBatch && recorded.next()) {
      if (recorded.icount >= to && recorded.n > this.before + 1) break
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
    if (recorded.n < Math.min(reader.batchCount, toBatch) && machine.icount < to) reader.batch(recorded.n + 1)
    const whole =
      reader.meta.finished && machine.icount === reader.meta.instructions && recorded.n === reader.batchCount
    if (!whole) return { kind: 'same', instructions: machine.icount, finalDigest: undefined }
    return this.compareEnd()
  }

  /**
   * Runs one batch more, to where it ends by itself.
   *
   * @param recorded what the trace has of it: it says whether the recording was stopped there, for no reason of the machine's own.
   * @returns the batch, or why it does not end.
   */
  runBatch(recorded: Pick<BatchRow, 'icount' | 'count' | 'ended'>): Batch | string {
    const { execution } = this
    const end = recorded.icount + recorded.count
    this.events.clear()
    try {
      const stopped = recorded.ended === 'stopped'
      const how = execution.run(stopped ? end : Infinity)
      const ended = execution.endFor(how) ?? (stopped && how !== 'paused' ? 'stopped' : undefined)
      if (ended === undefined) {
        const waits = how === 'asleep' ? 'the processor sleeps, and nothing wakes it' : 'nothing happens there'
        return `the trace has ${recorded.ended} at ${end}; in the replay ${waits}`
      }
      return execution.endBatch(ended)
    } catch (error) {
      // That of another kaal's machine is of another class.
      if ((error as Error).name === 'UnsupportedFeature') return (error as Error).message
      throw error
    }
  }

  private replay(recorded: BatchCursor): Divergence | undefined {
    const replayed = this.runBatch(recorded)
    if (typeof replayed === 'string') return this.diverged(recorded, undefined, replayed)
    const difference = describe(recorded, replayed)
    if (difference !== undefined) return this.diverged(recorded, replayed, difference)
    const { rows } = this
    if (!rows) return undefined
    if (replayed.pages)
      rows.snapshot(replayed.icount + replayed.count, recorded.n, this.execution.machine, replayed.pages)
    return rows.difference && this.rowDiverged(recorded.n, replayed, rows.difference)
  }

  /** All digests agree, but a row does not: it was changed after the recording. */
  private rowDiverged(n: number, replayed: Batch | undefined, row: RowDifference): Divergence {
    const message = `${rowText(row)}; every digest up to there agrees with the replay, so the row was changed after it was recorded`
    return { batch: n, recorded: this.reader.batch(n) as BatchRow, replayed, row, message }
  }

  /** Puts the machine to a snapshot; gives the batch at whose end it was taken. */
  private load(n: number, inputs: RecordedInputs): number {
    const { execution, reader } = this
    const { machine } = execution
    const { icount, batch, inputs: given, state } = reader.snapshot(n)
    for (const { page, id } of reader.snapshotPages(n)) {
      machine.memory.ram.set(reader.page(id), page * PAGE_SIZE)
      machine.cpu.mmu.changedFromOutside(RAM_PHYSICAL + page * PAGE_SIZE, PAGE_SIZE)
    }
    execution.pages.knowLoaded()
    machine.loadState(icount, state)
    inputs.resume(given)
    const last = reader.batch(batch)
    execution.resume(icount, last?.digestLo ?? 0, last?.digestHi ?? 0)
    return batch
  }

  private compareEnd(): ReplayResult {
    const { execution, reader } = this
    const { icount: instructions } = execution.machine
    const finalDigest = execution.finalDigest()
    const recorded = reader.meta.finalDigest
    const last = reader.batch(reader.batchCount)
    this.rows?.end()
    if (last && this.rows?.difference) {
      const divergence = this.rowDiverged(last.n, undefined, this.rows.difference)
      return { kind: 'diverged', instructions, divergence }
    }
    if (finalDigest === recorded) return { kind: 'same', instructions, finalDigest }
    if (!last) return { kind: 'same', instructions, finalDigest }
    const message = `all batches agree, but guest memory at the end does not: final digest ${recorded} in the trace, ${finalDigest} in the replay`
    return {
      kind: 'diverged',
      instructions,
      divergence: { batch: last.n, recorded: last, replayed: undefined, atEnd: true, message },
    }
  }

  private diverged({ n }: Pick<BatchCursor, 'n'>, replayed: Batch | undefined, what: string): Divergence {
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
