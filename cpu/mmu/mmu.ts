/**
 * The memory management unit: accesses and fetches that miss the fast TLBs.
 *
 * Everything here works on addresses in halves and on exact doubles; nothing allocates. A failed access leaves its fault in
 * {@link Mmu.fault}, from which `exceptions.ts` makes the syndrome.
 */
import type { AccessSize, Board } from '../board.js'
import { AccessBits } from '../emitter/instruction-emitter.js'
import { Cell } from '../layout.js'
import { type MachineMemory, PAGE_SIZE, RAM_BASE, RAM_PHYSICAL } from '../machine-memory.js'
import { registerAddress, stateWord } from '../state.js'
import type { CodePages } from './code-pages.js'
import { FastTable, FastTlb } from './fast-tlb.js'
import { TranslationTlb } from './translation-tlb.js'
import {
  ADDRESS_SIZE_LEVEL_0,
  Attribute,
  FaultStatus,
  PHYSICAL_BITS,
  type Regime,
  TableWalker,
  type Translation,
} from './walk.js'
import { type WatchedAccess, type Watchpoints, pageAfter, virtualPage } from './watchpoints.js'

/** What an access wants. */
export const AccessKind = { READ: 0, WRITE: 1, EXECUTE: 2 } as const
/** One of {@link AccessKind}. */
export type AccessKind = (typeof AccessKind)[keyof typeof AccessKind]

const word = (field: Parameters<typeof registerAddress>[0], index = 0) => registerAddress(field, index) >>> 2
const SCTLR = [word('sctlr_el', 1), word('sctlr_el', 1), word('sctlr_el', 2)] as const
const TCR = [word('tcr_el', 1), word('tcr_el', 2)] as const
const TTBR0 = [word('ttbr0_el', 1), word('ttbr0_el', 2)] as const
const TTBR1 = word('ttbr1_el1')
const EL = stateWord('el')
const PC = word('pc')
const SCTLR_M = 1
const SCTLR_A = 2
const SCTLR_WXN = 1 << 19
const TCR_A1 = 1 << 22
/** TCR_EL1.AS and TBI0, TBI1, in the high half. */
const TCR_AS = 1 << 4
const TCR_TBI0 = 1 << 5
const TCR_TBI1 = 1 << 6
/** TCR_EL2.TBI, in the low half. */
const TCR_EL2_TBI = 1 << 20
const TWO_32 = 2 ** 32
/** High half of the first address beyond the physical ones. A constant: the power, taken at every miss with the MMU off, cost 50 ns. */
const PHYSICAL_END_HI = 2 ** (PHYSICAL_BITS - 32)

/** The last fault: where it was and what it was. */
export interface MemoryFault {
  /** DFSC or IFSC, level included. */
  status: number
  lo: number
  hi: number
  write: boolean
}

/** Translation, permissions, and the slow path of every access. */
export class Mmu {
  readonly fault: MemoryFault = { status: 0, lo: 0, hi: 0, write: false }
  readonly fast: FastTlb
  readonly tlb: TranslationTlb
  /** 1 for each page of RAM written since it was last cleared. */
  readonly dirty: Uint8Array
  /**
   * Where the numbers of virtual pages (VA[63:12]) written are to be collected, if anywhere. A page is entered at its first write after
   * {@link watchWrites}, under each of its virtual addresses.
   */
  writtenPages: Set<number> | undefined
  /** The translation that {@link translate} found last. */
  private readonly found: Translation = { fault: 0, page: 0, attributes: 0, size: 0, level: 0 }
  /** The last page outside RAM that was translated, by kind of access: the fast TLBs hold none, and drivers poll the same one. */
  private readonly lastDevice = [AccessKind.READ, AccessKind.WRITE, AccessKind.EXECUTE].map(() => ({
    page: 0,
    hi: 0,
    el: 0,
    generation: -1,
    physical: 0,
    attributes: 0,
  }))
  private readonly regime = { tcrLo: 0, tcrHi: 0, ttbr0Lo: 0, ttbr0Hi: 0, ttbr1Lo: 0, ttbr1Hi: 0, split: true }
  private readonly memory: MachineMemory
  private readonly u32: Uint32Array
  private readonly board: Board
  private readonly codePages: CodePages
  private readonly walker: TableWalker
  private readonly ramEnd: number
  private watchpoints: Watchpoints | undefined
  private onWatched: (access: WatchedAccess) => void = () => {}

  constructor(memory: MachineMemory, board: Board, codePages: CodePages) {
    this.memory = memory
    this.u32 = memory.u32
    this.board = board
    this.codePages = codePages
    this.walker = new TableWalker(memory)
    this.fast = new FastTlb(memory)
    this.tlb = new TranslationTlb(memory, (lo, _hi, code) => this.fast.dropPage(lo, code))
    this.dirty = new Uint8Array(memory.ramSize / PAGE_SIZE)
    this.ramEnd = RAM_PHYSICAL + memory.ramSize
  }

  /** Whether accesses at the current exception level are checked for alignment (SCTLR_ELx.A). */
  get alignmentChecks(): boolean {
    return (this.u32[SCTLR[this.u32[EL]]] & SCTLR_A) !== 0
  }

  /** Makes the next write to each page of RAM noticed in {@link dirty} again. */
  watchWrites(): void {
    this.dirty.fill(0)
    this.fast.flush(FastTable.WRITE)
  }

  /** Has accesses to watched ranges told to `onWatched`, while their instruction executes; undefined for none. */
  watch(watchpoints: Watchpoints | undefined, onWatched: (access: WatchedAccess) => void): void {
    this.watchpoints = watchpoints
    this.onWatched = onWatched
    this.fast.flush(FastTable.READ)
    this.fast.flush(FastTable.WRITE)
  }

  /** Guest memory has been changed from outside: code decoded from there is decoded again, and the page counts as written. */
  changedFromOutside(physical: number, bytes: number): void {
    for (let page = Math.floor(physical / PAGE_SIZE); page * PAGE_SIZE < physical + bytes; page++) {
      const from = Math.max(physical, page * PAGE_SIZE)
      const to = Math.min(physical + bytes, (page + 1) * PAGE_SIZE)
      this.codePages.written(page, from - page * PAGE_SIZE, to - from)
      if (this.isRam(page * PAGE_SIZE)) this.dirty[page - RAM_PHYSICAL / PAGE_SIZE] = 1
    }
  }

  /**
   * The slow path of a read.
   *
   * @param bits element size, count and flags, see `AccessBits`.
   * @returns an address in machine memory where the elements stand, or 0 with {@link fault} set.
   */
  load(lo: number, hi: number, bits: number): number {
    const size = bits & AccessBits.SIZE_MASK
    const count = (bits >>> AccessBits.COUNT_SHIFT) & 3
    const el = this.elOf(bits)
    if (this.misaligned(lo, size, count, bits)) return this.fail(FaultStatus.ALIGNMENT, lo, hi, false)
    const offset = lo & 0xfff
    if (offset + size * count <= PAGE_SIZE) {
      const status = this.translate(lo, hi, el, AccessKind.READ)
      if (status !== 0) return this.fail(status, lo, hi, false)
      const physical = this.found.page + offset
      if (this.isRam(physical)) {
        const host = RAM_BASE + (physical - RAM_PHYSICAL)
        const watched = this.noteWatched(lo, hi, bits, el, false)
        if (!watched && (bits & AccessBits.UNPRIVILEGED) === 0)
          this.fast.fill(el, FastTable.READ, lo, hi, host - (lo >>> 0))
        return host
      }
    }
    for (let i = 0; i < count; i++) {
      const at = (lo >>> 0) + i * size
      if (!this.loadElement(at | 0, hi + (at >= TWO_32 ? 1 : 0), size as AccessSize, el, Cell.SCRATCH + i * size))
        return 0
    }
    this.noteWatched(lo, hi, bits, el, false)
    return Cell.SCRATCH
  }

  /**
   * The slow path of a write; the elements stand in the VALUE cells.
   *
   * @returns an address in machine memory to write them to (which may be one that nobody reads), or 0 with {@link fault} set.
   */
  store(lo: number, hi: number, bits: number): number {
    const size = bits & AccessBits.SIZE_MASK
    const count = (bits >>> AccessBits.COUNT_SHIFT) & 3
    const el = this.elOf(bits)
    if (this.misaligned(lo, size, count, bits)) return this.fail(FaultStatus.ALIGNMENT, lo, hi, true)
    const offset = lo & 0xfff
    if (offset + size * count <= PAGE_SIZE) {
      const status = this.translate(lo, hi, el, AccessKind.WRITE)
      if (status !== 0) return this.fail(status, lo, hi, true)
      const physical = this.found.page + offset
      if (this.isRam(physical)) {
        const host = RAM_BASE + (physical - RAM_PHYSICAL)
        const protectedPage = this.noteWrite(physical, size * count)
        const watched = this.noteWatched(lo, hi, bits, el, true)
        if (!protectedPage && !watched && (bits & AccessBits.UNPRIVILEGED) === 0)
          this.fast.fill(el, FastTable.WRITE, lo, hi, host - (lo >>> 0))
        return host
      }
    }
    for (let i = 0; i < count; i++) {
      const at = (lo >>> 0) + i * size
      if (!this.storeElement(at | 0, hi + (at >= TWO_32 ? 1 : 0), size as AccessSize, el, Cell.VALUE + 8 * i)) return 0
    }
    this.noteWatched(lo, hi, bits, el, true)
    return Cell.SCRATCH
  }

  /**
   * Enters the page of an access to RAM that translated code is about to make in the fast TLB.
   *
   * @param write whether it is a write, which counts as made.
   * @returns the host address, or 0 if the access must be made by {@link load} or {@link store}: it may fault, reach a device, cross into another
   * page, or change code. Nothing has happened then that these would not do again.
   */
  refill(lo: number, hi: number, bits: number, write: boolean): number {
    const size = bits & AccessBits.SIZE_MASK
    const count = (bits >>> AccessBits.COUNT_SHIFT) & 3
    const offset = lo & 0xfff
    if (offset + size * count > PAGE_SIZE || this.misaligned(lo, size, count, bits)) return 0
    // Who watches is told by the slow path alone.
    if (this.watchpoints !== undefined || (write && this.writtenPages !== undefined)) return 0
    const el = this.u32[EL]
    if (this.translate(lo, hi, el, write ? AccessKind.WRITE : AccessKind.READ) !== 0) return 0
    const { page } = this.found
    if (!this.isRam(page) || (write && this.codePages.has(page / PAGE_SIZE))) return 0
    const host = RAM_BASE + (page - RAM_PHYSICAL) + offset
    if (write) this.dirty[(page - RAM_PHYSICAL) / PAGE_SIZE] = 1
    this.fast.fill(el, write ? FastTable.WRITE : FastTable.READ, lo, hi, host - (lo >>> 0))
    return host
  }

  /**
   * Translates the address of an instruction and fills the code TLB.
   *
   * @returns whether there is something to execute; if not, {@link fault} is set.
   */
  fetch(lo: number, hi: number): boolean {
    const el = this.u32[EL]
    const status = this.translate(lo, hi, el, AccessKind.EXECUTE)
    if (status !== 0) return this.fail(status, lo, hi, false) !== 0
    const physical = this.found.page + (lo & 0xfff)
    if (!this.isRam(physical) && !this.board.read(physical, 4))
      return this.fail(FaultStatus.EXTERNAL, lo, hi, false) !== 0
    const page = this.found.page / PAGE_SIZE
    this.fast.fill(el, FastTable.CODE, lo, hi, this.recordsOf(page))
    return true
  }

  /** The instruction word at a physical address. */
  fetchWord(physical: number): number {
    if (this.isRam(physical)) return this.u32[(RAM_BASE + physical - RAM_PHYSICAL) >>> 2]
    return this.board.read(physical, 4) ? this.board.lo : 0
  }

  /**
   * Translates an address for an access at exception level `el`.
   *
   * @returns 0 with the result in {@link translation}, or the fault status.
   */
  translate(lo: number, hi: number, el: number, kind: AccessKind): number {
    const { found } = this
    const device = this.lastDevice[kind]
    if (
      device.page === (lo & ~0xfff) &&
      device.hi === hi &&
      device.el === el &&
      device.generation === this.fast.generation
    ) {
      found.page = device.physical
      found.attributes = device.attributes
      return 0
    }
    const status = this.translateAnew(lo, hi, el, kind)
    if (status === 0 && !this.isRam(found.page)) {
      device.page = lo & ~0xfff
      device.hi = hi
      device.el = el
      device.generation = this.fast.generation
      device.physical = found.page
      device.attributes = found.attributes
    }
    return status
  }

  private translateAnew(lo: number, hi: number, el: number, kind: AccessKind): number {
    const { found, u32 } = this
    const el2 = el === 2
    const sctlr = u32[SCTLR[el]]
    const tcr = TCR[el2 ? 1 : 0]
    const canonicalHi = this.withoutTag(hi, u32[tcr], u32[tcr + 1], el2)
    if ((sctlr & SCTLR_M) === 0) {
      const high = canonicalHi === hi ? hi >>> 0 : hi & 0xff_ffff
      if (high >= PHYSICAL_END_HI) return ADDRESS_SIZE_LEVEL_0
      found.page = high * TWO_32 + ((lo & ~0xfff) >>> 0)
      found.attributes = 0
      return 0
    }
    const asid = el2 ? 0 : this.asid
    const code = kind === AccessKind.EXECUTE
    if (!this.tlb.find(lo, canonicalHi, code, el2, asid, found)) {
      const walked = this.walker.walk(this.readRegime(el2), lo, canonicalHi)
      if (walked.fault !== 0) return walked.fault
      const global = el2 || (walked.attributes & Attribute.NOT_GLOBAL) === 0
      this.tlb.insert(lo, canonicalHi, code, el2, asid, global, walked)
      found.page = walked.page
      found.attributes = walked.attributes
      found.level = walked.level
    }
    return permitted(found.attributes, el, kind, (sctlr & SCTLR_WXN) !== 0) ? 0 : FaultStatus.PERMISSION + found.level
  }

  /**
   * Where an address leads, for a debugger: nothing is checked for permission, entered in a TLB or otherwise changed.
   *
   * @returns the physical address, or -1 if there is no translation.
   */
  peek(lo: number, hi: number, el: number): number {
    const { u32 } = this
    const el2 = el === 2
    const tcr = TCR[el2 ? 1 : 0]
    const canonicalHi = this.withoutTag(hi, u32[tcr], u32[tcr + 1], el2)
    const within = lo & 0xfff
    if ((u32[SCTLR[el]] & SCTLR_M) === 0) return (canonicalHi & 0xff_ffff) * TWO_32 + (lo >>> 0)
    const cached: Translation = { fault: 0, page: 0, attributes: 0, size: 0, level: 0 }
    if (this.tlb.find(lo, canonicalHi, false, el2, el2 ? 0 : this.asid, cached)) return cached.page + within
    const walked = this.walker.walk(this.readRegime(el2), lo, canonicalHi)
    return walked.fault === 0 ? walked.page + within : -1
  }

  /** What the last successful {@link translate} found. */
  get translation(): Translation {
    return this.found
  }

  /** Address of the records of a page of code, which is protected from now on so that stores to it are noticed. */
  private recordsOf(page: number): number {
    const known = this.codePages.find(page)
    if (known !== 0) return known
    if (this.codePages.full) {
      this.codePages.clear()
      this.fast.flush(FastTable.CODE)
    }
    if (this.isRam(page * PAGE_SIZE)) {
      const host = RAM_BASE + page * PAGE_SIZE - RAM_PHYSICAL
      this.fast.dropValue(FastTable.WRITE, (tagLo, addend) => (tagLo + addend) >>> 0 === host)
    }
    return this.codePages.add(page)
  }

  /** An access has been done: tells it if it is watched. Returns whether its page must stay out of the fast TLB. */
  private noteWatched(lo: number, hi: number, bits: number, el: number, write: boolean): boolean {
    const { watchpoints, writtenPages } = this
    if (watchpoints === undefined && (!write || writtenPages === undefined)) return false
    const tcr = TCR[el === 2 ? 1 : 0]
    const canonicalHi = this.withoutTag(hi, this.u32[tcr], this.u32[tcr + 1], el === 2)
    const bytes = (bits & AccessBits.SIZE_MASK) * ((bits >>> AccessBits.COUNT_SHIFT) & 3)
    if (write && writtenPages !== undefined) {
      const page = virtualPage(lo, canonicalHi)
      writtenPages.add(page)
      if ((lo & 0xfff) + bytes > PAGE_SIZE) writtenPages.add(pageAfter(page))
    }
    if (watchpoints === undefined) return false
    if (watchpoints.touched(lo, canonicalHi, bytes, write) && (write || !this.storesExclusively(el))) {
      const address = (BigInt(canonicalHi >>> 0) << 32n) | BigInt(lo >>> 0)
      this.u32[Cell.STOP >>> 2] = 1
      this.onWatched({ address, bytes, write })
    }
    return watchpoints.inPage(lo, canonicalHi, write)
  }

  /** Whether the instruction is a STXR or STXP: what it reads is the monitor's business, not an access of the guest's. */
  private storesExclusively(el: number): boolean {
    const physical = this.peek(this.u32[PC], this.u32[PC + 1], el)
    return physical >= 0 && (this.fetchWord(physical) & 0x3fc0_0000) === 0x0800_0000
  }

  private noteWrite(physical: number, bytes: number): boolean {
    const page = Math.floor(physical / PAGE_SIZE)
    this.dirty[page - RAM_PHYSICAL / PAGE_SIZE] = 1
    if (!this.codePages.has(page)) return false
    if (this.codePages.written(page, physical % PAGE_SIZE, bytes)) {
      const records = this.codePages.find(page)
      this.codePages.drop(page)
      this.fast.dropValue(FastTable.CODE, (_tag, value) => value === records)
      // The code that is running may be on this page: it must be looked up, and so protected, before it goes on.
      this.u32[Cell.STOP >>> 2] = 1
    }
    return true
  }

  private loadElement(lo: number, hi: number, size: AccessSize, el: number, into: number): boolean {
    const crossing = (lo & 0xfff) + size > PAGE_SIZE
    if (crossing) {
      const first = PAGE_SIZE - (lo & 0xfff)
      const next = this.nextPage(lo, hi)
      const status = this.translate(lo, hi, el, AccessKind.READ)
      if (status !== 0) return this.fail(status, lo, hi, false) !== 0
      const nextStatus = this.translate(next, this.carriedHi, el, AccessKind.READ)
      if (nextStatus !== 0) return this.fail(nextStatus, next, this.carriedHi, false) !== 0
      for (let i = 0; i < size; i++) {
        const at = i < first ? lo + i : next + i - first
        if (!this.loadElement(at, i < first ? hi : this.nextHi(lo, hi), 1, el, into + i)) return false
      }
      return true
    }
    const status = this.translate(lo, hi, el, AccessKind.READ)
    if (status !== 0) return this.fail(status, lo, hi, false) !== 0
    const physical = this.found.page + (lo & 0xfff)
    const { memory } = this
    if (this.isRam(physical)) {
      memory.u8.copyWithin(into, RAM_BASE + physical - RAM_PHYSICAL, RAM_BASE + physical - RAM_PHYSICAL + size)
      return true
    }
    if (!this.board.read(physical, size)) return this.fail(FaultStatus.EXTERNAL, lo, hi, false) !== 0
    if (size === 1) memory.u8[into] = this.board.lo
    else if (size === 2) memory.view.setUint16(into, this.board.lo, true)
    else {
      memory.view.setUint32(into, this.board.lo, true)
      if (size === 8) memory.view.setUint32(into + 4, this.board.hi, true)
    }
    return true
  }

  private storeElement(lo: number, hi: number, size: AccessSize, el: number, from: number): boolean {
    if ((lo & 0xfff) + size > PAGE_SIZE) {
      const first = PAGE_SIZE - (lo & 0xfff)
      const next = this.nextPage(lo, hi)
      const status = this.translate(lo, hi, el, AccessKind.WRITE)
      if (status !== 0) return this.fail(status, lo, hi, true) !== 0
      const nextStatus = this.translate(next, this.carriedHi, el, AccessKind.WRITE)
      if (nextStatus !== 0) return this.fail(nextStatus, next, this.carriedHi, true) !== 0
      for (let i = 0; i < size; i++) {
        const at = i < first ? lo + i : next + i - first
        if (!this.storeElement(at, i < first ? hi : this.nextHi(lo, hi), 1, el, from + i)) return false
      }
      return true
    }
    const status = this.translate(lo, hi, el, AccessKind.WRITE)
    if (status !== 0) return this.fail(status, lo, hi, true) !== 0
    const physical = this.found.page + (lo & 0xfff)
    const { memory } = this
    if (this.isRam(physical)) {
      this.noteWrite(physical, size)
      memory.u8.copyWithin(RAM_BASE + physical - RAM_PHYSICAL, from, from + size)
      return true
    }
    const low =
      size === 1 ? memory.u8[from] : size === 2 ? memory.view.getUint16(from, true) : memory.view.getUint32(from, true)
    const high = size === 8 ? memory.view.getUint32(from + 4, true) : 0
    return this.board.write(physical, size, low, high) || this.fail(FaultStatus.EXTERNAL, lo, hi, true) !== 0
  }

  /** High half that goes with the last {@link nextPage}. */
  private carriedHi = 0

  /** Low half of the start of the following page; the high half goes to {@link carriedHi}. */
  private nextPage(lo: number, hi: number): number {
    this.carriedHi = this.nextHi(lo, hi)
    return ((lo & ~0xfff) + PAGE_SIZE) | 0
  }

  private nextHi(lo: number, hi: number): number {
    return lo >>> 12 === 0xfffff ? (hi + 1) | 0 : hi
  }

  private misaligned(lo: number, size: number, count: number, bits: number): boolean {
    if ((bits & AccessBits.ALIGNED) !== 0) return (lo & (size * count - 1)) !== 0
    return (lo & (size - 1)) !== 0 && this.alignmentChecks
  }

  private elOf(bits: number): number {
    const el = this.u32[EL]
    return (bits & AccessBits.UNPRIVILEGED) !== 0 && el === 1 ? 0 : el
  }

  /** Whether a physical address is in RAM. */
  isRam(physical: number): boolean {
    return physical >= RAM_PHYSICAL && physical < this.ramEnd
  }

  private fail(status: number, lo: number, hi: number, write: boolean): 0 {
    const { fault } = this
    fault.status = status
    fault.lo = lo >>> 0
    fault.hi = hi >>> 0
    fault.write = write
    return 0
  }

  /** The high half with the tag byte replaced by copies of bit 55, if TCR_ELx says that it is a tag. */
  withoutTag(hi: number, tcrLo: number, tcrHi: number, el2: boolean): number {
    const upper = (hi & 0x80_0000) !== 0
    const tagged = el2 ? (tcrLo & TCR_EL2_TBI) !== 0 : (tcrHi & (upper ? TCR_TBI1 : TCR_TBI0)) !== 0
    if (!tagged) return hi
    return upper && !el2 ? hi | 0xff00_0000 : hi & 0x00ff_ffff
  }

  private get asid(): number {
    const { u32 } = this
    const ttbr = (u32[TCR[0]] & TCR_A1) !== 0 ? TTBR1 : TTBR0[0]
    const asid = u32[ttbr + 1] >>> 16
    return (u32[TCR[0] + 1] & TCR_AS) !== 0 ? asid : asid & 0xff
  }

  private readRegime(el2: boolean): Regime {
    const { regime, u32 } = this
    const tcr = TCR[el2 ? 1 : 0]
    const ttbr0 = TTBR0[el2 ? 1 : 0]
    regime.tcrLo = u32[tcr]
    regime.tcrHi = u32[tcr + 1]
    regime.ttbr0Lo = u32[ttbr0]
    regime.ttbr0Hi = u32[ttbr0 + 1]
    regime.ttbr1Lo = u32[TTBR1]
    regime.ttbr1Hi = u32[TTBR1 + 1]
    regime.split = !el2
    return regime
  }
}

/** Stage 1 permissions (Arm ARM DDI 0487, D8.4): by exception level, AP, XN bits and SCTLR_ELx.WXN. */
export function permitted(attributes: number, el: number, kind: AccessKind, wxn: boolean): boolean {
  const user = (attributes & Attribute.USER) !== 0
  const writable = (attributes & Attribute.READ_ONLY) === 0
  if (el === 0) {
    if (!user) return false
    if (kind === AccessKind.READ) return true
    if (kind === AccessKind.WRITE) return writable
    return (attributes & Attribute.UXN) === 0 && !(wxn && writable)
  }
  if (kind === AccessKind.READ) return true
  if (kind === AccessKind.WRITE) return writable
  if (wxn && writable) return false
  if (el === 2) return (attributes & Attribute.UXN) === 0
  return (attributes & Attribute.PXN) === 0 && !(user && writable)
}
