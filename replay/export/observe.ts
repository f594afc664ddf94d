/** What happens in a trace, with the virtual time of each: found by running its machine again. */
import type { Engine } from '../../cpu/translator/translator.js'
import { TraceError } from '../../trace/errors.js'
import type { TraceReader } from '../../trace/reader.js'
import { DebuggerError } from '../debugger/error.js'
import { grouped } from '../debugger/numbers.js'
import { readDescription } from '../description.js'
import { Execution } from '../execution.js'
import { hostMilliseconds, yieldToHost } from '../platform.js'
import { RecordedInputs } from '../replayer.js'
import { SupervisorCalls } from './calls.js'
import type { Happening, Observation } from './happenings.js'

/** What to look for. */
export interface ObserveOptions {
  /** Positions from and to, both included; by default all. */
  readonly from?: number
  readonly to?: number
  /** Whether supervisor calls are wanted: they cost a second run. */
  readonly calls?: boolean
  readonly engine?: Engine
  /** Told how many instructions have been executed, of {@link instructionsToObserve}. */
  readonly onProgress?: (done: number) => void
}

/** How many instructions {@link observe} will execute. */
export function instructionsToObserve(reader: TraceReader, { to, calls = false }: ObserveOptions): number {
  return Math.min(to ?? Infinity, reader.meta.instructions) * (calls ? 2 : 1)
}

/** All of them are in memory at once, some 1 KB each with what is made of them. */
const MOST_HAPPENINGS = 1_200_000
/** The host's event loop gets its turn this often, in milliseconds; the clock is looked at after so many batches or instructions. */
const TURN = 50
const BATCHES = 64
const INSTRUCTIONS = 2 ** 19

/**
 * Runs a trace's machine again and notes what happens.
 *
 * @throws {DebuggerError} if too much happens to be kept at once.
 * @throws {TraceError} `damaged` if the replay differs from the trace, or the trace holds what this kaal cannot honour.
 */
export async function observe(reader: TraceReader, options: ObserveOptions = {}): Promise<Observation> {
  const { calls = false, onProgress } = options
  if (!calls) return new Observer(reader, options, []).run(onProgress)
  const length = instructionsToObserve(reader, { ...options, calls: false })
  // Where exceptions enter is known only when all has been run once: code is watched that is not in the trace's log.
  const first = new Observer(reader, options, [])
  await first.run(onProgress)
  return new Observer(reader, options, [...first.vectors]).run((done) => onProgress?.(length + done))
}

/** One run. */
class Observer {
  /** Vector tables of EL1 that have been in use. */
  readonly vectors = new Set<bigint>()
  private readonly reader: TraceReader
  private readonly execution: Execution
  private readonly happenings: Happening[] = []
  private readonly calls: SupervisorCalls
  private readonly from: number
  private readonly to: number

  constructor(reader: TraceReader, { from = 0, to = Infinity, engine }: ObserveOptions, vectors: readonly bigint[]) {
    this.reader = reader
    this.from = from
    this.to = Math.min(to, reader.meta.instructions)
    const { config, files, snapshots } = readDescription(reader)
    const now = (): number => this.execution.machine.now()
    this.execution = new Execution(config, files, snapshots, {
      transmit: (position, byte) => this.note({ kind: 'uart', position, time: now(), direction: 0, byte }),
      interrupt: (position, _, intid, pcLo, pcHi, el) =>
        this.note({ kind: 'interrupt', position, time: now(), intid, pc: word(pcLo, pcHi), el }),
      exception: (position, _, what, esr, farLo, farHi, elrLo, elrHi) =>
        this.note({
          kind: 'exception',
          position,
          time: now(),
          what,
          esr,
          far: word(farLo, farHi),
          elr: word(elrLo, elrHi),
        }),
    })
    const { machine } = this.execution
    this.execution.door = new RecordedInputs(reader, this.execution, (position, source, payload) => {
      const time = now()
      this.note({ kind: 'input', position, time, source, payload })
      for (const byte of payload) this.note({ kind: 'uart', position, time, direction: 1, byte })
    })
    if (engine) machine.cpu.setEngine(engine)
    this.calls = new SupervisorCalls(machine, vectors, (call) => this.note(call))
  }

  async run(onProgress: (done: number) => void = () => {}): Promise<Observation> {
    const { execution, reader, to } = this
    const { machine } = execution
    const recorded = reader.batchCursor()
    let turn = hostMilliseconds()
    let looked = 0
    while (machine.icount < to && recorded.next()) {
      const time = machine.now()
      const end = recorded.icount + recorded.count
      const stopped = recorded.ended === 'stopped'
      let how = execution.run(stopped ? end : Infinity)
      while (how === 'breakpoint') {
        this.calls.stopped()
        how = execution.run(stopped ? end : Infinity)
      }
      const ended = execution.endFor(how) ?? 'stopped'
      const done = machine.now()
      const { digestLo, digestHi, icount, count } = execution.endBatch(ended)
      if (digestLo !== recorded.digestLo || digestHi !== recorded.digestHi) throw this.diverged(recorded.n)
      const { pc, vbar_el: vbar } = machine.cpu.state
      this.vectors.add(vbar[1])
      const digest = word(digestLo, digestHi)
      const idle = machine.now() - done
      this.note({ kind: 'batch', position: icount, time, n: recorded.n, count, pc, ended, digest, end: done, idle })
      if (recorded.n % BATCHES !== 0 && machine.icount - looked < INSTRUCTIONS) continue
      looked = machine.icount
      if (hostMilliseconds() - turn < TURN) continue
      onProgress(machine.icount)
      await yieldToHost()
      turn = hostMilliseconds()
    }
    // If the cursor has stopped in front of a damaged row, this throws and says which.
    if (recorded.n < reader.batchCount && machine.icount < to) reader.batch(recorded.n + 1)
    return {
      happenings: this.happenings.toSorted((a, b) => a.position - b.position || a.time - b.time),
      threads: this.calls.threads,
      symbols: machine.boot.symbols.all,
      from: this.from,
      to,
      endTime: machine.now(),
    }
  }

  private note(happening: Happening): void {
    const last = happening.kind === 'batch' ? happening.position + happening.count : happening.position
    if (last < this.from || happening.position > this.to) return
    if (this.happenings.length >= MOST_HAPPENINGS) {
      const end = grouped(happening.position)
      throw new DebuggerError(
        `${this.reader.path}: more than ${grouped(MOST_HAPPENINGS)} events up to ${end}: export a part with --from and --to`,
      )
    }
    this.happenings.push(happening)
  }

  private diverged(n: number): TraceError {
    return new TraceError(this.reader.path, 'damaged', `the replay differs in batch ${n}; kaal replay says more`)
  }
}

const word = (lo: number, hi: number): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)
