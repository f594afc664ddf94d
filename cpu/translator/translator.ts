/**
 * The translator: decides what is translated, and keeps what has been.
 *
 * Code that is reached often becomes a region (`region.ts`), a region a function (`region-function.ts`), some functions a module. A region's
 * number stands beside the record that it begins at. Stores to its instructions, and anything that forgets decoded pages, take the
 * number away. Nothing of this is visible to the guest, nor in a trace.
 */
import { SpecialHandler } from '../interpreter/hot-function.js'
import { Cell, HEAT, HEAT_COUNTERS, PAGE_INSTRUCTIONS, RECORD_SIZE, REGION_NUMBERS, Record } from '../layout.js'
import { type MachineMemory, PAGE_SIZE } from '../machine-memory.js'
import type { CodePages } from '../mmu/code-pages.js'
import { FastTable } from '../mmu/fast-tlb.js'
import type { Mmu } from '../mmu/mmu.js'
import { registerAddress, stateWord } from '../state.js'
import { type FunctionBuilder, I32, I64, ModuleBuilder } from '../wasm/assembler.js'
import { codeOf } from './code.js'
import { RegionDirectory, type RegionEntry } from './directory.js'
import { type CodeAt, type Region, findRegion } from './region.js'
import { accessFunction } from './refill.js'
import { type Regime, RegionFunction } from './region-function.js'

/** Which engine executes: one of them alone, or the interpreter for what is cold and the translator for the rest. */
export const ENGINES = ['hybrid', 'interpreter', 'translator'] as const
/** One of {@link ENGINES}. */
export type Engine = (typeof ENGINES)[number]

/** How often code must have been reached before the hybrid engine translates it. */
export const DEFAULT_THRESHOLD = 700
/** A region without a loop saves nothing unless it has some instructions. */
const LEAST_SIZE = 8
/** So many modules of one region each; after them, several regions share one. */
const SINGLE_MODULES = 100
const REGIONS_PER_MODULE = 16
/** Modules after which all translations are forgotten: the host aborts at some ten thousand. */
const MAX_MODULES = 3000
/** Numbers are of 16 bits. */
const MAX_REGIONS = 0xffff
/** What a likely target of an indirect branch has been reached: this part of the threshold. */
const TARGET_SHARE = 64
/** The heat, in thresholds, of code that is in a region which begins elsewhere. */
const COVERED = -16
/** A page whose translations are lost again and again must be hotter each time, up to so many doublings. */
const MAX_BACKOFF = 12

const PC = registerAddress('pc') >>> 2
const EL = stateWord('el')

/** Functions of the interpreter's module that regions call too. */
export interface InterpreterExports {
  readonly nzcv: unknown
  readonly crc32: unknown
  readonly crc32c: unknown
}

/** What a translator has done so far. */
export interface TranslatorStatistics {
  readonly regions: number
  readonly modules: number
  readonly translated: number
  readonly bytes: number
  readonly flushes: number
}

interface Pending {
  readonly entry: RegionEntry
  readonly body: FunctionBuilder
}

/** Translates for one processor. */
export class Translator {
  /** The functions of all regions, by number; 0 is none. */
  readonly table: WebAssembly.Table
  /** Set before anything can be hot. */
  functions: InterpreterExports | undefined
  private engine: Engine = 'hybrid'
  private threshold = DEFAULT_THRESHOLD
  private readonly memory: MachineMemory
  private readonly mmu: Mmu
  private readonly codePages: CodePages
  private readonly isBreakpoint: (index: number) => boolean
  private readonly directory = new RegionDirectory()
  private readonly free: number[] = []
  private highest = 0
  private pending: Pending[] = []
  private builder: ModuleBuilder | undefined
  private modules = 0
  private translated = 0
  private bytes = 0
  private flushes = 0
  /** By physical page number: the last region that chooses among the targets of its indirect branches, and how many there have been. */
  private readonly dispatchers = new Map<number, { readonly last: RegionEntry; readonly made: number }>()
  /** By physical page number: indices of instructions to which its indirect branches are likely to lead. */
  private readonly targets = new Map<number, Set<number>>()
  /** Records of such pages that must be reached more often before they are worth a region that knows more targets. */
  private readonly deferred = new Set<number>()
  /** By physical page number: how often translations of it have been lost. */
  private readonly losses = new Map<number, number>()

  constructor(memory: MachineMemory, mmu: Mmu, codePages: CodePages, isBreakpoint: (index: number) => boolean) {
    this.memory = memory
    this.mmu = mmu
    this.codePages = codePages
    this.isBreakpoint = isBreakpoint
    this.table = new WebAssembly.Table({ element: 'anyfunc', initial: 256 })
    codePages.observer = {
      written: (page, first, last) => this.lose(this.directory.madeFrom(page, first, last), page),
      forgotten: (page, index) => this.directory.madeFrom(page, index, index).forEach((entry) => this.remove(entry)),
      dropped: (page) => this.lose(this.directory.madeFrom(page, 0, PAGE_INSTRUCTIONS - 1), page),
      cleared: () => this.flush(),
    }
    this.setEngine('hybrid')
  }

  /**
   * Chooses the engine. No result depends on it.
   *
   * @param threshold how often code must have been reached before it is translated, from 1.
   */
  setEngine(engine: Engine, threshold = engine === 'translator' ? 1 : DEFAULT_THRESHOLD): void {
    this.flush()
    this.engine = engine
    this.threshold = threshold
    this.memory.u32[Cell.THRESHOLD >>> 2] = engine === 'interpreter' ? 0 : threshold
    this.memory.u32.fill(0, HEAT >>> 2, (HEAT >>> 2) + HEAT_COUNTERS)
  }

  get statistics(): TranslatorStatistics {
    const { directory, modules, translated, bytes, flushes } = this
    return { regions: directory.size, modules, translated, bytes, flushes }
  }

  /** The code at a record has been reached often; the PC is there. */
  request(record: number): void {
    if (this.pending.some(({ entry }) => entry.records.includes(record))) return this.finish()
    const { page, index } = this.codePages.locate(record)
    // A branch at the end of a page that was not taken: this record leads out of it, and no instruction stands there.
    if (index === PAGE_INSTRUCTIONS) return this.setHeat(record, 0)
    const regime = { el: this.memory.u32[EL], alignmentChecks: this.mmu.alignmentChecks }
    const old = this.directory.get(this.numberAt(page, index))
    if (old) {
      this.setHeat(record, 0)
      if (old.regime.el === regime.el && old.regime.alignmentChecks === regime.alignmentChecks) return
      this.remove(old)
    }
    const loss = this.losses.get(page) ?? 0
    this.setHeat(record, loss === 0 ? 0 : -(this.threshold << Math.min(loss, MAX_BACKOFF)))
    const [lo, hi] = [this.memory.u32[PC] & ~0xfff, this.memory.u32[PC + 1]]
    const recordsAt = (offset: number) => this.recordsAt(lo, hi, Math.floor(offset / PAGE_SIZE))
    const region = findRegion(
      index * 4,
      (offset) => this.codeAt(recordsAt(offset), offset),
      () => this.likelyTargets(recordsAt(0), index),
    )
    if (!region || !this.pays(region)) {
      // Perhaps later, when more of what surrounds it has been executed.
      this.setHeat(record, -64 * this.threshold)
      return
    }
    const dispatches = region.head.end.kind === 'dispatch'
    if (dispatches && this.defers(record, page)) return
    if (this.modules >= MAX_MODULES || this.directory.size >= MAX_REGIONS) this.flush()
    const entry = this.add(region, regime, recordsAt)
    if (dispatches) this.supersede(entry, page)
    if (this.pending.length >= (this.modules < SINGLE_MODULES ? 1 : REGIONS_PER_MODULE)) this.finish()
  }

  /**
   * Whether a region that chooses among targets must wait. Each takes long to compile: the first waits until most targets have been seen, the
   * others until it is worth while to know a few more.
   */
  private defers(record: number, page: number): boolean {
    if (this.deferred.delete(record)) return false
    this.deferred.add(record)
    const made = this.dispatchers.get(page)?.made ?? 0
    this.setHeat(record, -this.threshold * 2 ** Math.min(made === 0 ? 3 : made + 5, MAX_BACKOFF))
    return true
  }

  /** Notes a region that chooses among targets. The one before knows fewer: control must not stay there. */
  private supersede(entry: RegionEntry, page: number): void {
    const before = this.dispatchers.get(page)
    this.dispatchers.set(page, { last: entry, made: (before?.made ?? 0) + 1 })
    if (!before || this.directory.get(before.last.number) !== before.last) return
    this.remove(before.last)
  }

  /** Makes the functions of the regions that wait for one. */
  finish(): void {
    const { pending, builder, functions } = this
    if (pending.length === 0 || !builder) return
    this.pending = []
    this.builder = undefined
    pending.forEach(({ body }, i) => builder.add(body, `region${i}`))
    const bytes = builder.bytes()
    const { load, store } = this.imports
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
      env: {
        memory: this.memory.wasm,
        load,
        store,
        nzcv: functions?.nzcv,
        crc32: functions?.crc32,
        crc32c: functions?.crc32c,
      },
    })
    this.modules++
    this.translated += pending.length
    this.bytes += bytes.length
    pending.forEach(({ entry }, i) => this.install(entry, instance.exports[`region${i}`]))
  }

  /** Whether a region begins at a record. */
  beginsAt(record: number): boolean {
    const { page, index } = this.codePages.locate(record)
    return this.numberAt(page, index) !== 0
  }

  /** Forgets all translations. */
  flush(): void {
    for (const entry of this.directory.all) this.unlink(entry)
    this.directory.clear()
    this.pending = []
    this.builder = undefined
    this.free.length = 0
    this.highest = 0
    this.modules = 0
    this.losses.clear()
    this.dispatchers.clear()
    this.deferred.clear()
    this.targets.clear()
    this.flushes++
  }

  private pays(region: Region): boolean {
    return this.engine === 'translator' || region.loops || region.size >= LEAST_SIZE
  }

  // The guest's code

  /** Address of the records of a page, given the virtual address of the one that a region begins in, or 0 if it is not mapped for code. */
  private recordsAt(lo: number, hi: number, pages: number): number {
    const at = (lo >>> 0) + pages * PAGE_SIZE
    const carry = Math.floor(at / 2 ** 32)
    return this.mmu.fast.find(this.memory.u32[EL], FastTable.CODE, at | 0, hi + carry)
  }

  private codeAt(records: number, offset: number): CodeAt {
    if (records === 0) return undefined
    const index = (offset & (PAGE_SIZE - 1)) >>> 2
    const handler = this.memory.view.getUint16(records + index * RECORD_SIZE + Record.HANDLER, true)
    if (handler === SpecialHandler.DECODE && this.engine === 'hybrid') return undefined
    if (this.isBreakpoint(index)) return undefined
    const { page } = this.codePages.locate(records)
    // What a device answers may change by being asked.
    if (!this.mmu.isRam(page * PAGE_SIZE)) return undefined
    return codeOf(this.mmu.fetchWord(page * PAGE_SIZE + index * 4)) ?? 'interpreter'
  }

  /** Where in a page control has come in often, at the targets of indirect branches, functions, loops; first of all `head`. */
  private likelyTargets(records: number, head: number): number[] {
    const { page } = this.codePages.locate(records)
    const known = this.targets.get(page) ?? new Set()
    this.targets.set(page, known)
    const least = Math.max(1, this.threshold / TARGET_SHARE)
    const { i32, view } = this.memory
    for (let index = 0; index < PAGE_INSTRUCTIONS; index++) {
      const begins = view.getUint16(records + REGION_NUMBERS + 2 * index, true) !== 0
      if (begins || i32[counterOf(records + index * RECORD_SIZE)] >= least) known.add(index)
    }
    // The one that asks must be among them, however many there are.
    known.delete(head)
    const ordered = [head, ...known]
    known.add(head)
    return ordered.map((index) => 4 * index)
  }

  // Regions and their numbers

  private readonly imports = {
    load: (lo: number, hi: number, access: number) => this.mmu.refill(lo, hi, access, false),
    store: (lo: number, hi: number, access: number) => this.mmu.refill(lo, hi, access, true),
  }

  private add(region: Region, regime: Regime, recordsAt: (offset: number) => number): RegionEntry {
    this.builder ??= this.newModule()
    const body = new RegionFunction(region, regime, this.regionImports, recordsAt).build()
    const pages = new Map<number, number>()
    const instructions = region.blocks.flatMap((block) =>
      block.code.map((_, i) => {
        const offset = block.offset + 4 * i
        const pageOffset = Math.floor(offset / PAGE_SIZE)
        let page = pages.get(pageOffset)
        if (page === undefined) {
          page = this.codePages.locate(recordsAt(offset)).page
          pages.set(pageOffset, page)
        }
        return page * PAGE_INSTRUCTIONS + ((offset & (PAGE_SIZE - 1)) >>> 2)
      }),
    )
    // Whoever reaches these otherwise than by this region must do so often to deserve regions of their own.
    for (const { offset, code } of region.blocks)
      if (code.length > 0)
        this.setHeat(recordsAt(offset) + ((offset & (PAGE_SIZE - 1)) >>> 2) * RECORD_SIZE, COVERED * this.threshold)
    const number = this.free.pop() ?? ++this.highest
    const records = region.entries.map((offset) => recordsAt(0) + (offset / 4) * RECORD_SIZE)
    const entry: RegionEntry = { number, records, regime, instructions: Int32Array.from(instructions) }
    this.directory.add(entry)
    this.pending.push({ entry, body })
    return entry
  }

  private regionImports = {
    refillRead: 0,
    refillWrite: 0,
    nzcv: 0,
    intrinsic: (_name: 'crc32' | 'crc32c'): number => 0,
  }

  private newModule(): ModuleBuilder {
    const module = new ModuleBuilder(1)
    const load = module.importFunction('load', [I32, I32, I32], [I32])
    const store = module.importFunction('store', [I32, I32, I32], [I32])
    const nzcv = module.importFunction('nzcv', [I64, I64, I32], [I32])
    const intrinsics = {
      crc32: module.importFunction('crc32', [I32, I64, I32], [I32]),
      crc32c: module.importFunction('crc32c', [I32, I64, I32], [I32]),
    }
    this.regionImports = {
      refillRead: module.add(accessFunction(load)),
      refillWrite: module.add(accessFunction(store)),
      nzcv,
      intrinsic: (name) => intrinsics[name],
    }
    return module
  }

  private install(entry: RegionEntry, code: unknown): void {
    const { table, memory } = this
    if (entry.number >= table.length) table.grow(table.length)
    table.set(entry.number, code)
    for (const record of entry.records) {
      const handler = memory.view.getUint16(record + Record.HANDLER, true)
      // Another region begins there already.
      if (handler === SpecialHandler.REGION) continue
      this.setNumber(record, entry.number)
      if (handler === SpecialHandler.DECODE) continue
      memory.view.setUint16(record + Record.BEHIND, handler, true)
      memory.view.setUint16(record + Record.HANDLER, SpecialHandler.REGION, true)
    }
  }

  private lose(entries: readonly RegionEntry[], page: number): void {
    if (entries.length === 0) return
    this.losses.set(page, (this.losses.get(page) ?? 0) + 1)
    for (const entry of entries) this.remove(entry)
  }

  private remove(entry: RegionEntry): void {
    this.unlink(entry)
    this.directory.delete(entry)
    this.pending = this.pending.filter((each) => each.entry !== entry)
    this.free.push(entry.number)
  }

  /** Makes a region's code unreachable. */
  private unlink({ number, records }: RegionEntry): void {
    const { table, memory } = this
    if (number < table.length) table.set(number, null)
    for (const record of records) {
      const { page, index } = this.codePages.locate(record)
      if (this.numberAt(page, index) !== number) continue
      this.setNumber(record, 0)
      if (memory.view.getUint16(record + Record.HANDLER, true) === SpecialHandler.REGION)
        memory.view.setUint16(record + Record.HANDLER, memory.view.getUint16(record + Record.BEHIND, true), true)
      memory.view.setUint16(record + Record.BEHIND, 0, true)
    }
  }

  private numberAt(page: number, index: number): number {
    return this.memory.view.getUint16(this.codePages.find(page) + REGION_NUMBERS + 2 * index, true)
  }

  private setNumber(record: number, number: number): void {
    const { page, index } = this.codePages.locate(record)
    this.memory.view.setUint16(this.codePages.find(page) + REGION_NUMBERS + 2 * index, number, true)
  }

  private setHeat(record: number, heat: number): void {
    this.memory.i32[counterOf(record)] = heat
  }
}

/** Index of the word that counts how often a record is reached. */
const counterOf = (record: number): number => (HEAT >>> 2) + ((record / RECORD_SIZE) & (HEAT_COUNTERS - 1))
