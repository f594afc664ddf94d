/**
 * Two machines in lockstep: finds the first instruction that has another effect in one than in the other.
 *
 * Both run in strides, and are compared completely (registers, devices, TLB, RAM, and what they have told) after each. From the first stride
 * at whose end they differ, both go back by as many instructions as a batch may have, and forward again one at a time: so a difference
 * that has healed is found too, a flag that nobody looked at, unless it lies farther back. Nothing that came later depends on such a one.
 */
import { PAGE_SIZE } from '../../cpu/machine-memory.js'
import { equalBytes } from '../../trace/platform.js'
import { yieldToHost } from '../platform.js'
import type { Side, SideCheckpoint, SideEvent } from './side.js'

/** Instructions in a stride. */
const STRIDE = 2 ** 16
/** Strides that are gone through by single steps, before the one that ends in a difference: about four seconds. */
const STEPPED = 2 ** 4
/** Single steps after which RAM is compared too, and the host's event loop gets its turn. */
const CHUNK = 2 ** 12

/** What of two machines is compared. */
export interface Comparison {
  /** Whether two machines at the same position are in the same state and have told the same. */
  same(a: Side, b: Side): boolean
  /** The same, RAM aside: quick. */
  sameButMemory(a: Side, b: Side): boolean
}

/** Everything that a guest could ever see, and what was told. */
export const EVERYTHING: Comparison = {
  same: (a, b) => EVERYTHING.sameButMemory(a, b) && differingPages(a, b).next().done === true,
  sameButMemory: (a, b) => sameOutcome(a, b) && sameEvents(a, b) && equalBytes(a.state, b.state) && sameTlb(a, b),
}

/** Where two machines part. */
export type Parting =
  /** They never do. */
  | { readonly kind: 'same' }
  /** They differ where they begin. */
  | { readonly kind: 'start'; readonly position: number }
  /** At `position` they are the same, and one instruction later they are not. Both stand there, behind that instruction. */
  | { readonly kind: 'instruction'; readonly position: number }
  /**
   * They are the same when run to `from`, and not when run to `to`; both stand there. One instruction at a time they are the same
   * throughout: what differs is how longer runs are executed.
   */
  | { readonly kind: 'run'; readonly from: number; readonly to: number }

type Base = readonly [SideCheckpoint, SideCheckpoint]

/** A pair of machines. */
export class Lockstep {
  readonly a: Side
  readonly b: Side
  private readonly comparison: Comparison
  /** Where they are known to be the same: the last of the places that are remembered. */
  private base: Base
  private readonly bases: Base[]

  /** Both must stand at the same position. */
  constructor(a: Side, b: Side, comparison: Comparison = EVERYTHING) {
    this.a = a
    this.b = b
    this.comparison = comparison
    this.base = this.checkpoint()
    this.bases = [this.base]
  }

  /** Where both are known to be the same. */
  get start(): number {
    return this.base[0].position
  }

  /** Looks for the first difference up to position `to`. */
  async part(to: number, onProgress: (icount: number) => void = () => {}): Promise<Parting> {
    const { a, b, comparison } = this
    if (!comparison.same(a, b)) return { kind: 'start', position: a.position }
    while (a.position < to) {
      const before = a.position
      const end = Math.min(nextStride(a.position), to)
      this.advance(end)
      if (!comparison.same(a, b)) return this.within(before, end, onProgress)
      // Both have come to the same end.
      if (a.outcome !== 'there') break
      this.forget()
      this.base = this.checkpoint()
      this.bases.push(this.base)
      if (this.bases.length > STEPPED + 1) this.bases.shift()
      onProgress(a.position)
      await yieldToHost()
    }
    return { kind: 'same' }
  }

  /** Puts both back to where they were last known to be the same, and runs them to a position from there in one go. */
  goTo(position: number): void {
    this.restore()
    this.advance(position)
  }

  private async within(start: number, end: number, onProgress: (icount: number) => void): Promise<Parting> {
    const { a, b, comparison, base } = this
    this.base = this.bases[0]
    this.restore()
    while (a.position < end && a.outcome === 'there') {
      const chunkEnd = Math.min(a.position + CHUNK, end)
      if (!this.sameThrough(chunkEnd)) return { kind: 'instruction', position: this.firstIn(chunkEnd) }
      this.base = this.checkpoint()
      onProgress(a.position)
      await yieldToHost()
    }
    // They differ at the end of the stride, but only if it is run in one go.
    this.base = base
    const from = this.bisect(start, end)
    this.goTo(from + 1)
    // Run again, they may have done the same: engines choose anew what they do.
    return comparison.same(a, b) ? { kind: 'same' } : { kind: 'run', from, to: from + 1 }
  }

  /** Goes on by single steps; returns whether both were the same behind each, RAM being looked at in the end. */
  private sameThrough(end: number): boolean {
    const { a, b, comparison } = this
    while (a.position < end) {
      this.advance(a.position + 1)
      if (!comparison.sameButMemory(a, b)) return false
      if (a.outcome !== 'there') break
      this.forget()
    }
    return comparison.same(a, b)
  }

  /** The first position from the base on behind whose instruction they differ; both stand there. */
  private firstIn(end: number): number {
    const { a, b, comparison } = this
    this.restore()
    for (let position = a.position; position < end; position++) {
      this.forget()
      this.advance(position + 1)
      if (!comparison.same(a, b)) return position
    }
    throw new Error('two machines have differed once, and not again')
  }

  /** A position up to which both can be run in one go and be the same, but not one farther, between `low`, where they are, and `high`. */
  private bisect(low: number, high: number): number {
    let [same, different] = [low, high]
    while (different - same > 1) {
      const middle = Math.floor((same + different) / 2)
      this.goTo(middle)
      if (this.comparison.same(this.a, this.b)) same = middle
      else different = middle
    }
    return same
  }

  /** Goes to a position from the last place at which they were the same, an instruction at a time; what the last one told remains. */
  step(position: number): void {
    this.restore()
    for (let at = this.a.position + 1; at <= position; at++) {
      this.forget()
      this.advance(at)
    }
  }

  private checkpoint(): Base {
    return [this.a.checkpoint(), this.b.checkpoint()]
  }

  private forget(): void {
    this.a.forget()
    this.b.forget()
  }

  private advance(position: number): void {
    this.a.advance(position)
    this.b.advance(position)
  }

  private restore(): void {
    this.a.restore(this.base[0])
    this.b.restore(this.base[1])
  }
}

const nextStride = (position: number): number => (Math.floor(position / STRIDE) + 1) * STRIDE

/** Whether both have come equally far, and for the same reason. */
export function sameOutcome(a: Side, b: Side): boolean {
  const [one, other] = [a.outcome, b.outcome]
  const text = (outcome: Side['outcome']) => (typeof outcome === 'string' ? outcome : outcome.unsupported)
  return a.position === b.position && text(one) === text(other)
}

/** Whether both have told the same. */
export function sameEvents(a: Side, b: Side): boolean {
  return a.events.length === b.events.length && a.events.every((event, i) => sameEvent(event, b.events[i]))
}

/** Whether two events are the same in every value. */
export function sameEvent(a: SideEvent | undefined, b: SideEvent | undefined): boolean {
  if (!a || !b) return a === b
  return (
    a.kind === b.kind && a.icount === b.icount && Object.entries(a.values).every(([name, it]) => b.values[name] === it)
  )
}

function sameTlb(a: Side, b: Side): boolean {
  if (equalBytes(a.tlb, b.tlb)) return true
  const [one, other] = [a.machine.cpu.mmu.tlb, b.machine.cpu.mmu.tlb]
  // What has been invalidated may still stand there.
  const [saved, expected] = [one.save(), other.save()]
  return saved.length === expected.length && saved.every((word, i) => word === expected[i])
}

/** The pages of RAM that differ, among those written by either since its last checkpoint. */
export function* differingPages(a: Side, b: Side): Generator<number> {
  const { dirty } = a
  for (let page = 0; page < dirty.length; page++) {
    page = nextDirty(dirty, b.dirty, page)
    if (page < 0) return
    const [from, to] = [page * PAGE_SIZE, (page + 1) * PAGE_SIZE]
    if (!equalBytes(a.machine.memory.ram.subarray(from, to), b.machine.memory.ram.subarray(from, to))) yield page
  }
}

function nextDirty(a: Uint8Array, b: Uint8Array, from: number): number {
  const [one, other] = [a.indexOf(1, from), b.indexOf(1, from)]
  return one < 0 || other < 0 ? Math.max(one, other) : Math.min(one, other)
}
