/**
 * Breakpoints on instructions, at virtual addresses.
 *
 * The record of an instruction that stands at a breakpoint's place in some page has a handler of its own, which asks here whether to stop. To
 * pass one, the instruction's own handler is put back for a run that ends right behind it.
 */
import { SpecialHandler } from './interpreter/hot-function.js'
import { Record } from './layout.js'
import type { MachineMemory } from './machine-memory.js'
import type { CodePages } from './mmu/code-pages.js'

/** The breakpoints of a processor. */
export class Breakpoints {
  /** They stay set, but stop nothing. */
  ignored = false
  private addresses: ReadonlySet<bigint> = new Set()
  /** Where in a page there are some, as indices of instructions. */
  private indices: ReadonlySet<number> = new Set()
  private hit = false
  /** The record whose breakpoint has been passed and must be set again; 0 for none. */
  private disarmed = 0
  private readonly view: DataView
  private readonly codePages: CodePages

  constructor(memory: MachineMemory, codePages: CodePages) {
    this.view = memory.view
    this.codePages = codePages
  }

  /** Whether instructions at this index of a page may have one. */
  at(index: number): boolean {
    return this.indices.has(index)
  }

  /** Replaces all breakpoints. */
  set(addresses: Iterable<bigint>): void {
    const before = this.indices
    this.addresses = new Set(addresses)
    this.indices = new Set([...this.addresses].map((address) => Number(address & 0xfffn) >>> 2))
    for (const index of new Set([...before, ...this.indices])) this.codePages.forget(index)
    this.disarmed = 0
  }

  /** Whether one has stopped the processor since this was asked last. */
  takeHit(): boolean {
    const { hit } = this
    this.hit = false
    return hit
  }

  /**
   * Control has come to a record with a breakpoint's handler.
   *
   * @param pass whether this one is not to stop.
   * @returns whether to stop; if not, the record's own handler stands in it until {@link rearm}.
   */
  arrive(record: number, pc: bigint, pass: boolean): boolean {
    this.hit = !this.ignored && !pass && this.addresses.has(pc)
    if (this.hit) return true
    this.view.setUint16(record + Record.HANDLER, this.view.getUint16(record + Record.BEHIND, true), true)
    this.disarmed = record
    return false
  }

  /** Sets the breakpoint that was passed again, unless its record has been given up since. */
  rearm(): void {
    const { disarmed, view } = this
    if (disarmed === 0) return
    const same = view.getUint16(disarmed + Record.HANDLER, true) === view.getUint16(disarmed + Record.BEHIND, true)
    if (same) view.setUint16(disarmed + Record.HANDLER, SpecialHandler.BREAKPOINT, true)
    this.disarmed = 0
  }
}
