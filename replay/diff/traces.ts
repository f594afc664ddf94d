/** What two traces differ in: machine options, images, inputs, and the first batch and instruction that are not the same. */
import { CPU_STATE } from '../../cpu/state.js'
import { equalBytes, toHex } from '../../trace/platform.js'
import type { TraceReader } from '../../trace/reader.js'
import type { BatchRow, ImageRole, InputRow } from '../../trace/rows.js'
import type { ReadSource, SymbolFile } from '../debugger/sources.js'
import { type Item, type ItemKind, differingItems } from '../divergence/items.js'
import { type Comparison, EVERYTHING, Lockstep, sameEvents, sameOutcome } from '../divergence/lockstep.js'
import { Guide, type Place } from '../divergence/place.js'
import { type RecentEvent, recentEvents } from '../divergence/recent.js'
import { Side } from '../divergence/side.js'
import type { MachineFactory } from '../execution.js'

/** An option or a field that has one value in the first trace and another in the second. */
export interface OptionDifference {
  /** As it is typed. */
  readonly option: string
  readonly a: string
  readonly b: string
}

/** An image that one trace has and the other does not have so. */
export interface ImageDifference {
  readonly role: ImageRole
  /** File name and sha256; undefined if there is none. */
  readonly a: string | undefined
  readonly b: string | undefined
}

/** The first row of a table in which two traces differ, numbered from 1; undefined in a trace that has no more. */
export interface RowPair<T> {
  readonly n: number
  readonly a: T | undefined
  readonly b: T | undefined
}

/** A thing that differs, with its value in each trace. */
export interface DifferingItem extends Pick<Item, 'kind' | 'name'> {
  readonly a: string
  readonly b: string
}

/** Where two machines part. */
export interface PartingPlace {
  readonly position: number
  /** The instruction in the first trace; undefined if they differ before the first one. */
  readonly place: Place | undefined
  readonly items: readonly DifferingItem[]
  readonly events: readonly RecentEvent[]
}

/** All of it. */
export interface TraceDifference {
  /** Why, of what the traces list: in the order in which it comes first. */
  readonly causes: readonly ('machine option' | 'image' | 'input' | 'end of the recording')[]
  readonly options: readonly OptionDifference[]
  readonly images: readonly ImageDifference[]
  readonly input: RowPair<InputRow> | undefined
  readonly batch: RowPair<BatchRow> | undefined
  readonly parting: PartingPlace | undefined
  readonly notes: readonly string[]
}

/** How to compare. */
export interface TraceDiffOptions {
  /** Builds the machines. */
  readonly make: MachineFactory
  readonly symbols?: readonly SymbolFile[]
  readonly readSource?: ReadSource
  readonly onProgress?: (icount: number) => void
}

/** Names of configuration fields on the command line; the others are not options. */
const OPTIONS: Readonly<Record<string, string>> = {
  memoryBytes: '--memory',
  cpus: '--smp',
  cpu: '--cpu',
  gicVersion: '--gic-version',
  virtualization: '--virtualization',
  icountShift: '--icount-shift',
  rtcBase: '--rtc-base',
  seed: '--seed',
  append: '--append',
}
/** When snapshots are taken: batches end there, but the guest sees nothing of it. */
const UNSEEN = new Set(['snapshotInterval', 'snapshotPageInstructions'])
/** What is not compared of machines that are built differently. */
const UNCOMPARED: ReadonlySet<ItemKind> = new Set(['device', 'memory', 'TLB', 'processor', 'system register'])
const EVENTS = 5

/** The machine options in which two traces differ. */
export function differingOptions(a: TraceReader, b: TraceReader): OptionDifference[] {
  const [one, other] = [a.meta.machine, b.meta.machine]
  return [...new Set([...Object.keys(one), ...Object.keys(other)])].flatMap((field) => {
    const [left, right] = [one, other].map((machine) => JSON.stringify(machine[field]) ?? 'none')
    return left === right ? [] : [{ option: OPTIONS[field] ?? field, a: left, b: right }]
  })
}

/** The images in which two traces differ. */
export function differingImages(a: TraceReader, b: TraceReader): ImageDifference[] {
  const [one, other] = [a, b].map((reader) => new Map([...reader.images()].map((image) => [image.role, image])))
  return [...new Set([...one.keys(), ...other.keys()])].flatMap((role) => {
    const [left, right] = [one.get(role), other.get(role)]
    if (left && right && equalBytes(left.sha256, right.sha256)) return []
    const text = (image: typeof left) =>
      image && `${image.name}, ${image.bytes.length} bytes, sha256 ${toHex(image.sha256)}`
    return [{ role, a: text(left), b: text(right) }]
  })
}

/**
 * Compares two traces of one kernel.
 *
 * @returns undefined if they are the same: options, images, inputs, and every batch.
 */
export async function diffTraces(
  a: TraceReader,
  b: TraceReader,
  options: TraceDiffOptions,
): Promise<TraceDifference | undefined> {
  const differing = differingOptions(a, b)
  const images = differingImages(a, b)
  const input = firstInput(a, b)
  const sameMachine = images.length === 0 && differing.every(({ option }) => UNSEEN.has(option))
  const sameBatches = sameMachine && differing.length === 0
  const batch = firstBatch(a, b)
  const memory = sameBatches && !batch && a.meta.finalDigest !== b.meta.finalDigest
  if (differing.length === 0 && images.length === 0 && !input && !batch && !memory) return undefined

  const notes: string[] = []
  const end = Math.min(a.meta.instructions, b.meta.instructions)
  const snapshot = sameBatches ? lastSnapshot(a, batch?.n ?? a.batchCount + 1) : undefined
  const parting = await part(a, b, options, sameMachine, snapshot, batch, end)
  if (!parting) notes.push(unparted(a, b, sameMachine && (batch !== undefined || memory)))
  const causes: TraceDifference['causes'][number][] = []
  const at = parting?.position ?? Infinity
  if (differing.some(({ option }) => !UNSEEN.has(option))) causes.push('machine option')
  if (images.length > 0) causes.push('image')
  // An input is given at the boundary behind an instruction.
  if (input && Math.min(input.a?.icount ?? Infinity, input.b?.icount ?? Infinity) <= at + 1) causes.push('input')
  if (!parting && a.meta.instructions !== b.meta.instructions) causes.push('end of the recording')
  return { causes, options: differing, images, input, batch, parting, notes }
}

/** What to say where two machines do the same. */
function unparted(a: TraceReader, b: TraceReader, digestsDiffer: boolean): string {
  if (a.meta.instructions !== b.meta.instructions)
    return 'the shorter one does what the longer one does, as far as it goes'
  return digestsDiffer
    ? 'the digests differ, but replayed by this kaal both do the same: kaal replay finds out which of the two it cannot repeat'
    : 'both do the same all the way'
}

async function part(
  a: TraceReader,
  b: TraceReader,
  options: TraceDiffOptions,
  sameMachine: boolean,
  snapshot: number | undefined,
  batch: RowPair<BatchRow> | undefined,
  end: number,
): Promise<PartingPlace | undefined> {
  const { make, symbols, readSource, onProgress } = options
  const [one, other] = [new Side(a, make), new Side(b, make)]
  if (snapshot !== undefined) for (const side of [one, other]) side.load(snapshot)
  const lockstep = new Lockstep(one, other, sameMachine ? EVERYTHING : CPU_ONLY)
  // They can differ later than in the first batch that does: by nothing but where the recordings ended.
  const limit = batch && sameMachine ? Math.min(end, Math.max(endOf(batch.a), endOf(batch.b)) + 1) : end
  const parting = await lockstep.part(limit, onProgress)
  if (parting.kind === 'same') return undefined
  const items = differingItems(one, other)
    .filter(({ kind }) => sameMachine || parting.kind === 'start' || !UNCOMPARED.has(kind))
    .map(({ kind, name, recorded, replayed }) => ({ kind, name, a: recorded, b: replayed }))
  const guide = new Guide(a, one.machine.boot.symbols, symbols, readSource)
  const position = parting.kind === 'run' ? parting.from : parting.position
  if (parting.kind === 'instruction') lockstep.step(position)
  else if (parting.kind === 'run') lockstep.goTo(position)
  const place = parting.kind === 'start' ? undefined : guide.placeOf(one.machine)
  return { position, place, items, events: recentEvents(a, position, EVENTS, (address) => guide.address(address)) }
}

const endOf = (batch: BatchRow | undefined): number => (batch ? batch.icount + batch.count : 0)

/** Where machines are built differently, what counts is what the guest has seen of it: registers, and what was told. */
const CPU_ONLY: Comparison = {
  same: (a, b) => CPU_ONLY.sameButMemory(a, b),
  sameButMemory: (a, b) =>
    sameOutcome(a, b) &&
    sameEvents(a, b) &&
    // The timers' registers stand among them, and change by themselves.
    equalBytes(a.state.subarray(0, GENERAL), b.state.subarray(0, GENERAL)),
}

/** The general registers, SP, PC and PSTATE stand first in the state of the processor. */
const GENERAL = CPU_STATE.offsetOf('halted')

function lastSnapshot(reader: TraceReader, before: number): number | undefined {
  let n = reader.count('snapshots')
  while (n > 0 && reader.snapshot(n).batch >= before) n--
  return n === 0 ? undefined : n
}

function firstBatch(a: TraceReader, b: TraceReader): RowPair<BatchRow> | undefined {
  const [one, other] = [a.batchCursor(), b.batchCursor()]
  for (let n = 1; ; n++) {
    const [left, right] = [one.next(), other.next()]
    const pair = () => ({ n, a: left ? a.batch(n) : undefined, b: right ? b.batch(n) : undefined })
    if (!left && !right) {
      // A cursor stops in front of a damaged row too: then this says which.
      a.batch(n)
      b.batch(n)
      return undefined
    }
    if (!left || !right) return pair()
    if (one.digestLo !== other.digestLo || one.digestHi !== other.digestHi) return pair()
    if (one.icount !== other.icount || one.count !== other.count || one.ended !== other.ended) return pair()
  }
}

function firstInput(a: TraceReader, b: TraceReader): RowPair<InputRow> | undefined {
  const [one, other] = [a.inputs(), b.inputs()]
  for (let n = 1; ; n++) {
    const [left, right] = [one.next().value as InputRow | undefined, other.next().value as InputRow | undefined]
    if (!left && !right) return undefined
    const same =
      left?.icount === right?.icount &&
      left?.source === right?.source &&
      equalBytes(left?.payload ?? new Uint8Array(0), right?.payload ?? new Uint8Array(0))
    if (!same) return { n, a: left, b: right }
  }
}
