/** Runs a packed trace's machine again: to check that it reaches the digest that is expected, and to write the whole trace anew. */
import { UnsupportedFeature } from '../../cpu/processor.js'
import type { PackedTrace } from '../../trace/pack/packed-trace.js'
import { toHex } from '../../trace/platform.js'
import type { TraceWriter } from '../../trace/writer.js'
import { grouped } from '../debugger/numbers.js'
import { imageFiles, readDescription } from '../description.js'
import { Execution } from '../execution.js'
import { hostMilliseconds, yieldToHost } from '../platform.js'
import { RecordedInputs } from '../replayer.js'
import type { NewTrace } from '../../trace/writer.js'

/** The outcome of a run of a packed trace. */
export type RestoreResult =
  | { readonly kind: 'same'; readonly instructions: number; readonly finalDigest: string | undefined }
  | { readonly kind: 'differs'; readonly instructions: number; readonly message: string }
  /** It has been ended from outside. */
  | { readonly kind: 'stopped'; readonly instructions: number }

/** How to run it. */
export interface RestoreRun {
  /** Stop at the end of the batch that holds this position; nothing but that the machine gets there is checked then. */
  readonly to?: number
  readonly onProgress?: (icount: number) => void
  /** Asked now and then whether to end early. */
  readonly stopped?: () => boolean
}

/** What a restorer may be asked for. */
export interface RestorerOptions {
  /** Where the trace goes, one made with {@link restoredTrace}; it is finished if the digest is right, otherwise aborted. */
  readonly writer?: TraceWriter
  /** Called for every byte that the guest sends through its UART. */
  readonly onTransmit?: (byte: number) => void
}

/** The host's event loop gets its turn this often, in milliseconds; the clock is looked at after so many batches or instructions. */
const TURN = 50
const BATCHES = 64
const INSTRUCTIONS = 2 ** 19

/** What a writer is made with that writes a packed trace's trace once more. */
export function restoredTrace(pack: PackedTrace): NewTrace {
  const { manifest } = pack
  const { files } = readDescription(pack)
  let step = 0
  return {
    kaal: manifest.kaal,
    uuid: manifest.uuid,
    machine: manifest.machine,
    format: manifest.format === 1 ? 1 : 2,
    images: imageFiles(files),
    commits: manifest.commits.map((distance) => (step += distance)),
  }
}

/** A run of a packed trace. */
export class Restorer {
  readonly execution: Execution
  private readonly pack: PackedTrace
  private readonly writer: TraceWriter | undefined
  private snapshots = 0

  /**
   * @throws {TraceError} if the pack holds what this kaal cannot honour, or lacks an image.
   * @throws {LoadError} if an image cannot be loaded.
   */
  constructor(pack: PackedTrace, options: RestorerOptions = {}) {
    const { writer } = options
    const { config, files, snapshots } = readDescription(pack)
    this.pack = pack
    this.writer = writer
    this.execution = new Execution(config, files, snapshots, {
      transmit: (icount, byte) => {
        writer?.uart(icount, 0, byte)
        options.onTransmit?.(byte)
      },
      interrupt: (icount, vcpu, intid, pcLo, pcHi, el) => writer?.interrupt(icount, vcpu, intid, pcLo, pcHi, el),
      exception: (icount, vcpu, kind, esr, farLo, farHi, elrLo, elrHi) =>
        writer?.exception(icount, vcpu, kind, esr, farLo, farHi, elrLo, elrHi),
    })
    this.execution.door = new RecordedInputs(pack, this.execution, (icount, source, payload) => {
      writer?.input(icount, source, payload)
      if (writer) for (const byte of payload) writer.uart(icount, 1, byte)
    })
  }

  /**
   * Runs to the end of the trace, or of the batch that holds `to`.
   *
   * @throws {TraceError} if the trace cannot be written.
   */
  async run(options: RestoreRun = {}): Promise<RestoreResult> {
    try {
      const result = await this.replay(options)
      if (result.kind === 'same') this.finish(result.finalDigest)
      return result
    } finally {
      this.writer?.abort()
    }
  }

  private async replay({ to = Infinity, onProgress, stopped }: RestoreRun): Promise<RestoreResult> {
    const { execution, pack } = this
    const { machine } = execution
    const { batches } = pack.manifest
    let turn = hostMilliseconds()
    let looked = 0
    for (let n = 1; n <= batches; n++) {
      if (machine.icount >= to && n > 1) return { kind: 'same', instructions: machine.icount, finalDigest: undefined }
      const wrong = this.batch(n)
      if (wrong !== undefined) return this.differs(wrong)
      if (n % BATCHES !== 0 && machine.icount - looked < INSTRUCTIONS) continue
      looked = machine.icount
      const now = hostMilliseconds()
      if (now - turn < TURN) continue
      onProgress?.(machine.icount)
      await yieldToHost()
      if (stopped?.() === true) return { kind: 'stopped', instructions: machine.icount }
      turn = hostMilliseconds()
    }
    return this.compareEnd()
  }

  /** Runs a batch and writes it. @returns what went wrong; undefined if nothing. */
  private batch(n: number): string | undefined {
    const { execution, writer } = this
    const { batches, ended: lastEnd, instructions } = this.pack.manifest
    // Only a recording that was stopped has a batch that ends for no reason of the machine's own: the last.
    const stopped = n === batches && lastEnd === 'stopped'
    let how
    try {
      how = execution.run(stopped ? instructions : Infinity)
    } catch (error) {
      if (!(error instanceof UnsupportedFeature)) throw error
      return error.message
    }
    const ended = execution.endFor(how) ?? (stopped && how !== 'paused' ? 'stopped' : undefined)
    if (ended === undefined) return 'the processor sleeps, and nothing wakes it'
    const batch = execution.endBatch(ended)
    if (execution.machine.icount > instructions) return `it goes on past ${grouped(instructions)}, the end of the trace`
    if (n === batches && ended !== lastEnd) return `its last batch ends otherwise (${ended}, not ${lastEnd})`
    if (n < batches && ended === 'power-off') return 'the guest has powered off'
    writer?.batch(batch.icount, batch.count, 0, batch.pcLo, batch.pcHi, ended, batch.digestLo, batch.digestHi)
    if (batch.pages && ++this.snapshots <= this.pack.manifest.snapshots)
      writer?.snapshot(execution.machine.icount, execution.machine.saveState(), batch.pages)
    return undefined
  }

  private compareEnd(): RestoreResult {
    const { chain, machine } = this.execution
    const { instructions, digest, finalDigest } = this.pack.manifest
    if (machine.icount !== instructions)
      return this.differs(`it ends before ${grouped(instructions)}, the end of the trace`)
    const got = new Uint8Array(8)
    new DataView(got.buffer).setUint32(0, chain.hi)
    new DataView(got.buffer).setUint32(4, chain.lo)
    if (toHex(got) !== toHex(digest))
      return this.differs(`digest ${toHex(got)} of its last batch, not ${toHex(digest)}`)
    if (finalDigest === null) return { kind: 'same', instructions, finalDigest: undefined }
    const final = this.execution.finalDigest()
    if (final !== toHex(finalDigest)) return this.differs(`final digest ${final}, not ${toHex(finalDigest)}`)
    return { kind: 'same', instructions, finalDigest: final }
  }

  private finish(finalDigest: string | undefined): void {
    const { writer } = this
    if (!writer) return
    if (finalDigest !== undefined) writer.finish({ finalDigest })
    else writer.commit()
  }

  private differs(what: string): RestoreResult {
    const { icount } = this.execution.machine
    const { packer, kaal } = this.pack.manifest
    const message = `the replay does not reach the expected digest: at ${grouped(icount)}: ${what} (recorded by kaal ${kaal}, packed by ${packer})`
    return { kind: 'differs', instructions: icount, message }
  }
}
