/**
 * Narrowing: from the batch in which a replay has left its trace to the first instruction whose effect differs.
 *
 * A trace holds a digest for each batch, and the whole state only in snapshots; so what the recorded machine did between them is known from
 * a second opinion, a machine that agrees with every digest of the trace: another engine of this kaal, or another kaal. With one, both
 * run in lockstep from the last snapshot at which all agree. Without one, it is said what the trace itself shows, and no more.
 */
import type { Machine } from '../../devices/machine.js'
import { PAGE_SIZE } from '../../cpu/machine-memory.js'
import type { TraceReader } from '../../trace/reader.js'
import { equalBytes } from '../../trace/platform.js'
import type { ReadSource, SymbolFile } from '../debugger/sources.js'
import { grouped } from '../debugger/numbers.js'
import type { MachineFactory } from '../execution.js'
import { type Divergence, Replayer } from '../replayer.js'
import { type Evidence, evidenceOf } from './evidence.js'
import { type Item, differingBytes, differingItems, differingState } from './items.js'
import { Lockstep } from './lockstep.js'
import { Guide, type Place } from './place.js'
import { type RecentEvent, recentEvents } from './recent.js'
import type { RowDifference } from './rows.js'
import { Side } from './side.js'
import { type Writer, lastWriters } from './writers.js'

/** A machine that may know better. */
export interface Opinion {
  /** For people: `the interpreter`. */
  readonly name: string
  readonly make: MachineFactory
}

/** How to narrow. */
export interface NarrowOptions {
  /** The machine whose replay has diverged. */
  readonly subject: Opinion
  /** Machines to ask, in this order; the first that agrees with the trace counts. */
  readonly opinions: readonly Opinion[]
  /** The diverged machine as it stands, at the end of its batch. */
  readonly diverged?: Machine
  readonly symbols?: readonly SymbolFile[]
  readonly readSource?: ReadSource
  readonly onProgress?: (what: string, icount: number) => void
}

/** What came out. */
export interface Narrowing {
  /**
   * - `instruction`: the first instruction whose effect differs is at `from`.
   * - `run`: an engine differs where it runs from before `from` to `to` in one go; by single instructions it does not.
   * - `row`: the trace was changed: `rows` say where.
   * - `unstable`: the same machine, run again, agrees with the trace.
   * - `interval`: between `from` and `to`; the trace holds no more.
   */
  readonly kind: 'instruction' | 'run' | 'row' | 'unstable' | 'interval'
  readonly from: number
  readonly to: number
  /** Whose values are the recorded ones. */
  readonly reference: string | undefined
  readonly place: Place | undefined
  readonly items: readonly Item[]
  readonly rows: readonly RowDifference[]
  /** For a run: what wrote the items last, on the reference. */
  readonly writers: readonly Writer[]
  /** The last events of the trace before `from`. */
  readonly events: readonly RecentEvent[]
  /** What else there is to say, a line each. */
  readonly notes: readonly string[]
}

/** Events shown before a divergence. */
const EVENTS = 5

/** Narrows a divergence. Takes about as long as replaying from the last snapshot before it, once for each opinion asked. */
export async function narrow(reader: TraceReader, divergence: Divergence, options: NarrowOptions): Promise<Narrowing> {
  return new Narrower(reader, divergence, options).run()
}

class Narrower {
  private readonly reader: TraceReader
  private readonly divergence: Divergence
  private readonly options: NarrowOptions
  /** The last snapshot at which everything is known to agree; undefined for the start. */
  private readonly snapshot: number | undefined
  private readonly start: number
  private readonly guide: Guide

  constructor(reader: TraceReader, divergence: Divergence, options: NarrowOptions) {
    this.reader = reader
    this.divergence = divergence
    this.options = options
    const positions = reader.snapshotPositions()
    let n = positions.length
    const last = divergence.atEnd ? divergence.batch + 1 : divergence.batch
    while (n > 0 && reader.snapshot(n).batch >= last) n--
    this.snapshot = n === 0 ? undefined : n
    this.start = n === 0 ? 0 : positions[n - 1]
    const subject = new Side(reader, options.subject.make)
    this.guide = new Guide(reader, subject.machine.boot.symbols, options.symbols, options.readSource)
  }

  async run(): Promise<Narrowing> {
    const { divergence, options, reader } = this
    const { recorded } = divergence
    if (divergence.row) {
      const position = divergence.replayed ? recorded.icount : reader.meta.instructions
      return this.result('row', position, position, { rows: [divergence.row] })
    }
    const evidence = await evidenceOf(this.replayer(options.subject), this.side(options.subject), reader, divergence)
    if (evidence.rows.length > 0) return this.result('row', recorded.icount, recorded.icount + recorded.count, evidence)
    const again = await this.agrees(options.subject)
    if (again) return this.unstable(again)
    for (const opinion of options.opinions) {
      const replayer = await this.agrees(opinion)
      if (replayer) return (await this.compare(opinion)) ?? this.interval(evidence, opinion, replayer)
    }
    return this.interval(evidence)
  }

  /** Compares the machine that agrees with the trace with the one that does not; undefined if now they are the same. */
  private async compare(opinion: Opinion): Promise<Narrowing | undefined> {
    const { options, divergence } = this
    const [reference, subject] = [opinion, options.subject].map((each) => this.side(each))
    const lockstep = new Lockstep(reference, subject)
    const end = divergence.atEnd
      ? this.reader.meta.instructions
      : divergence.recorded.icount + divergence.recorded.count
    const parting = await lockstep.part(end + 1, (icount) => options.onProgress?.('comparing', icount))
    if (parting.kind === 'same' || parting.kind === 'start') return undefined
    const items = differingItems(reference, subject)
    if (parting.kind === 'instruction') {
      lockstep.step(parting.position)
      const place = this.guide.placeOf(reference.machine)
      return this.result('instruction', parting.position, parting.position + 1, {
        reference: opinion.name,
        place,
        items,
      })
    }
    const { from, to } = parting
    const writers = lastWriters(reference, lockstep, to, items, this.guide)
    lockstep.goTo(from)
    const place = this.guide.placeOf(reference.machine)
    return this.result('run', from, to, { reference: opinion.name, place, items, writers })
  }

  /** The same machine, replayed once more, has done what the trace says. */
  private unstable(replayer: Replayer): Narrowing {
    const { recorded } = this.divergence
    return this.result('unstable', recorded.icount, recorded.icount + recorded.count, {
      reference: `${this.options.subject.name}, run again,`,
      items: this.differences(replayer),
      notes: ['the same replay, done again, agrees with the trace: this host, or its memory, cannot be relied on'],
    })
  }

  /** Nobody can say what the recorded machine did between two places. */
  private interval(evidence: Evidence, opinion?: Opinion, replayer?: Replayer): Narrowing {
    const { options, reader, start, divergence } = this
    const { recorded, atEnd } = divergence
    const notes = [...evidence.notes]
    const from = atEnd ? start : recorded.icount
    const end = atEnd ? reader.meta.instructions : recorded.icount + recorded.count
    if (opinion) {
      notes.push(
        `${options.subject.name} and ${opinion.name} do the same when they run in lockstep: it takes a longer run to make them differ`,
      )
    } else {
      const asked = options.opinions.map(({ name }) => name).join(', ')
      if (asked !== '') notes.push(`asked and found to disagree with the trace too: ${asked}`)
      notes.push(
        `between ${grouped(from)} and ${grouped(end)} the trace holds no registers or memory: kaal ${reader.meta.kaal}, which recorded it, could tell the instruction (--reference)`,
      )
    }
    if (!atEnd && start < recorded.icount)
      notes.push(
        `guest memory is known to agree up to ${grouped(start)} only: what was written there later may differ already`,
      )
    const items = replayer ? this.differences(replayer) : evidence.items
    return this.result('interval', from, evidence.to, { ...(opinion && { reference: opinion.name }), items, notes })
  }

  /** In what the diverged machine differs from one that has replayed to the same place. */
  private differences({ execution }: Replayer): Item[] {
    const { diverged } = this.options
    if (!diverged) return []
    const { machine } = execution
    const items = differingState(machine.saveState(), diverged.saveState())
    const [one, other] = [machine.memory.ram, diverged.memory.ram]
    for (let page = 0; page * PAGE_SIZE < one.length && items.length < 64; page++) {
      const [left, right] = [one, other].map((ram) => ram.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE))
      if (!equalBytes(left, right)) items.push(...differingBytes(page, left, right))
    }
    return items
  }

  /** Whether a machine agrees with the trace up to the end of the batch: then its replay, at that place. */
  private async agrees(opinion: Opinion): Promise<Replayer | undefined> {
    const { divergence, options } = this
    const replayer = this.replayer(opinion)
    const result = await replayer.run({
      ...(!divergence.atEnd && { toBatch: divergence.batch }),
      onProgress: (icount) => options.onProgress?.(`asking ${opinion.name}`, icount),
    })
    return result.kind === 'same' ? replayer : undefined
  }

  private side({ make }: Opinion): Side {
    const side = new Side(this.reader, make)
    if (this.snapshot !== undefined) side.load(this.snapshot)
    return side
  }

  private replayer({ make }: Opinion): Replayer {
    return new Replayer(this.reader, { make, from: this.snapshot ?? 0 })
  }

  private result(kind: Narrowing['kind'], from: number, to: number, rest: Partial<Narrowing>): Narrowing {
    const events = recentEvents(this.reader, from, EVENTS, (address) => this.guide.address(address))
    return {
      kind,
      from,
      to,
      reference: undefined,
      place: undefined,
      items: [],
      rows: [],
      writers: [],
      notes: [],
      events,
      ...rest,
    }
  }
}
