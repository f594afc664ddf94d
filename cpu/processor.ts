/** A Cortex-A53: its state in machine memory, its MMU, and the engines that run it. */
import type { Board } from './board.js'
import { Breakpoints } from './breakpoints.js'
import {
  Daif,
  takeDataAbort,
  takeFetchFault,
  takeInterrupt,
  takeSynchronous,
  takeUndefined,
  ExceptionClass,
  selectStack,
} from './exceptions.js'
import { SpecialHandler } from './interpreter/hot-function.js'
import { type GeneratedInterpreter, type InterpreterImports, interpreterFor } from './interpreter/module.js'
import { fillRecord } from './interpreter/records.js'
import { decode } from './isa/table.js'
import { Cell, Record, regimeAddress } from './layout.js'
import { type MachineMemory, PAGE_SIZE, STATE_BASE } from './machine-memory.js'
import { CodePages } from './mmu/code-pages.js'
import { Mmu } from './mmu/mmu.js'
import { FastTable } from './mmu/fast-tlb.js'
import { type WatchedAccess, type Watchpoint, Watchpoints } from './mmu/watchpoints.js'
import { CPU_STATE, type CpuState, registerAddress, stateWord } from './state.js'
import { systemRegisters } from './sysregs/table.js'
import { generateHub, type HubImports } from './translator/hub.js'
import { type Engine, type InterpreterExports, Translator, type TranslatorStatistics } from './translator/translator.js'

/** Something the guest did that this emulator does not model: it stops the machine rather than go on wrongly. */
export class UnsupportedFeature extends Error {
  override readonly name = 'UnsupportedFeature'
}

/** What a processor tells whoever records it. */
export interface ProcessorEvents {
  /** A synchronous exception other than SVC, HVC and SMC has been taken. */
  fault(syndrome: number, target: 1 | 2): void
  /** The instruction or fetch that is executing ends in an exception before its time is counted; see `docs/time.md`. */
  timeless(): void
}

const EL = stateWord('el')
const DAIF = stateWord('daif')
const IRQ = stateWord('irq')
const FIQ = stateWord('fiq')
const IL = stateWord('il')
const HALTED = stateWord('halted')
const PC = registerAddress('pc') >>> 2
const SCTLR = [
  registerAddress('sctlr_el', 1) >>> 2,
  registerAddress('sctlr_el', 1) >>> 2,
  registerAddress('sctlr_el', 2) >>> 2,
] as const
const MAIR = [
  registerAddress('mair_el', 1) >>> 2,
  registerAddress('mair_el', 1) >>> 2,
  registerAddress('mair_el', 2) >>> 2,
] as const
const TCR_EL1 = registerAddress('tcr_el', 1) >>> 2
const CPACR = registerAddress('cpacr_el1') >>> 2
const CPTR = registerAddress('cptr_el2') >>> 2
const CPTR_TFP = 1 << 10
const STOP = Cell.STOP >>> 2
/** Why the processor executes nothing. */
const Halt = { NONE: 0, WFI: 1, OFF: 2 } as const

let hubModule: WebAssembly.Module | undefined

type Run = (budget: number) => number

/** One vCPU. */
export class Processor {
  /** Registers by name; slow paths only. */
  readonly state: CpuState
  readonly memory: MachineMemory
  readonly u32: Uint32Array
  readonly mmu: Mmu
  readonly board: Board
  readonly hasEl2: boolean
  /** The value of a system register on its way, as unsigned halves. */
  lo = 0
  hi = 0
  /** Set when a system register's access has ended in an exception. */
  excepted = false
  readonly events: ProcessorEvents
  private readonly codePages: CodePages
  private readonly translator: Translator
  private readonly runs = new Map<boolean, Run>()
  private readonly breakpoints: Breakpoints
  /** The budget at which a breakpoint is passed, because execution resumes from it; 0 for none. */
  private passing = 0

  /**
   * Places the processor's state in `memory`, before any device's.
   *
   * @param hasEl2 whether EL2 is implemented (`-M virtualization=on`): the processor then starts there.
   */
  constructor(memory: MachineMemory, board: Board, events: ProcessorEvents, hasEl2: boolean) {
    this.memory = memory
    this.u32 = memory.u32
    this.state = memory.place(CPU_STATE)
    this.board = board
    this.events = events
    this.hasEl2 = hasEl2
    this.codePages = new CodePages(memory, SpecialHandler.PAGE_END)
    this.mmu = new Mmu(memory, board, this.codePages)
    this.breakpoints = new Breakpoints(memory, this.codePages)
    this.translator = new Translator(memory, this.mmu, this.codePages, (index) => this.breakpoints.at(index))
    this.reset()
  }

  /** Cold reset: EL1 or EL2 with everything masked and the MMU off, registers zero. */
  reset(): void {
    const { state } = this
    this.memory.u8.fill(0, STATE_BASE, STATE_BASE + CPU_STATE.size)
    for (const row of systemRegisters) {
      if (row.storage === undefined) continue
      this.u32[row.storage >>> 2] = Number(row.reset & 0xffff_ffffn)
      this.u32[(row.storage >>> 2) + 1] = Number(row.reset >> 32n)
    }
    state.el = this.hasEl2 ? 2 : 1
    state.spsel = 1
    state.daif = Daif.ALL
    // PSTATE.Z is set after reset, as on QEMU.
    state.nzcv = 4
    this.mmu.tlb.load([])
    this.restored()
  }

  /** To be called when state and RAM have been replaced as a whole: everything cached from them is made anew. */
  restored(): void {
    this.codePages.clear()
    this.stateReplaced()
  }

  /** To be called when the state has been replaced, RAM being as it was or changed with `changedFromOutside`. */
  stateReplaced(): void {
    this.breakpoints.rearm()
    this.mmu.fast.flushAll()
    this.u32[Cell.REGIME >>> 2] = regimeAddress(this.u32[EL])
    this.u32[STOP] = 0
  }

  /**
   * Executes exactly `budget` instructions (1 to 2^31-1), or fewer if something asks to {@link stop}: an interrupt that can be taken, a
   * WFI, power-off. An instruction that ends in an exception counts as one, and so does a fetch that does.
   *
   * @param pass whether a breakpoint at the first instruction is passed.
   * @returns how many of the budget are left.
   */
  run(budget: number, pass = false): number {
    const { u32 } = this
    this.passing = pass ? budget : 0
    this.breakpoints.rearm()
    u32[STOP] = 0
    u32[Cell.BUDGET >>> 2] = budget
    u32[Cell.KEPT >>> 2] = 0
    const { alignmentChecks } = this.mmu
    u32[Cell.ALIGNMENT >>> 2] = alignmentChecks ? 1 : 0
    this.translator.finish()
    if (u32[IL] !== 0) {
      // A PC that cannot be fetched from comes before the illegal state.
      if (this.fetch() === 0) takeSynchronous(this, ExceptionClass.ILLEGAL_STATE, 0)
      return budget - 1
    }
    return this.runner(alignmentChecks)(budget)
  }

  /**
   * Chooses the engine that {@link run} uses; results are the same with each.
   *
   * @param threshold how often code must have been reached before it is translated (1 to 2^31-1); a sensible one if left out.
   */
  setEngine(engine: Engine, threshold?: number): void {
    this.translator.setEngine(engine, threshold)
  }

  /** Forgets all translated code; what is still hot is translated again. */
  flushTranslations(): void {
    this.translator.flush()
  }

  /** What has been translated. */
  get translations(): TranslatorStatistics {
    return this.translator.statistics
  }

  /**
   * Sets breakpoints at virtual addresses: {@link run} returns in front of an instruction that stands at one. Code without
   * breakpoints runs as fast as ever.
   */
  setBreakpoints(addresses: Iterable<bigint>): void {
    this.breakpoints.set(addresses)
  }

  /** Whether breakpoints stay set, but stop nothing. */
  get ignoreBreakpoints(): boolean {
    return this.breakpoints.ignored
  }

  set ignoreBreakpoints(ignored: boolean) {
    this.breakpoints.ignored = ignored
  }

  /** Whether the last {@link run} returned because of a breakpoint; asking forgets it. */
  takeBreakpointHit(): boolean {
    return this.breakpoints.takeHit()
  }

  /**
   * Watches ranges of virtual addresses: {@link run} returns behind an instruction that reads or writes there. Before that, while the
   * instruction executes, each such access is told to `onAccess`. An instruction that faults, or a store-exclusive that fails, tells
   * nothing; fetches and table walks are not watched. Nothing that the guest or a digest can see depends on it.
   *
   * @throws {RangeError} naming a range that is empty or does not fit the address space.
   */
  setWatchpoints(watchpoints: readonly Watchpoint[], onAccess: (access: WatchedAccess) => void = () => {}): void {
    this.mmu.watch(watchpoints.length > 0 ? new Watchpoints(watchpoints) : undefined, onAccess)
  }

  /** Instructions left of the current {@link run}'s budget, the one that is executing included. */
  get remaining(): number {
    return this.u32[Cell.BUDGET >>> 2]
  }

  /** Ends the current {@link run} behind the instruction that is executing. */
  stop(): void {
    this.u32[STOP] = 1
  }

  /** Whether an interrupt would be taken at this instruction boundary: 'fiq' before 'irq', or none. */
  get interruptible(): 'irq' | 'fiq' | undefined {
    const { u32 } = this
    // Physical interrupts belong to EL1, so EL2 never takes them.
    if (u32[EL] === 2) return undefined
    if (u32[FIQ] !== 0 && (u32[DAIF] & Daif.F) === 0) return 'fiq'
    if (u32[IRQ] !== 0 && (u32[DAIF] & Daif.I) === 0) return 'irq'
    return undefined
  }

  /** Takes an interrupt that is {@link interruptible}; uses no instruction. */
  interrupt(kind: 'irq' | 'fiq'): void {
    takeInterrupt(this, kind === 'fiq')
  }

  /** Sets the level of an interrupt input; wakes the processor from WFI. */
  setInterruptLine(kind: 'irq' | 'fiq', level: boolean): void {
    this.u32[kind === 'irq' ? IRQ : FIQ] = level ? 1 : 0
    if (level) this.checkInterrupts()
  }

  /** Ends the current run if an interrupt can now be taken. */
  checkInterrupts(): void {
    if (this.interruptible !== undefined) this.stop()
  }

  /** Whether the processor executes nothing: in WFI with no interrupt pending, or switched off. */
  get waiting(): boolean {
    const { u32 } = this
    if (u32[HALTED] === Halt.WFI && (u32[IRQ] | u32[FIQ]) !== 0) u32[HALTED] = 0
    return u32[HALTED] !== 0
  }

  // What instructions ask for

  /** WFI. */
  waitForInterrupt(): void {
    if ((this.u32[IRQ] | this.u32[FIQ]) !== 0) return
    this.u32[HALTED] = Halt.WFI
    this.stop()
  }

  /** Switches the processor off (PSCI CPU_OFF): no interrupt wakes it. */
  switchOff(): void {
    this.u32[HALTED] = Halt.OFF
    this.stop()
  }

  /** A write to SPSel. */
  selectStack(spsel: number): void {
    selectStack(this.u32, this.u32[EL], spsel)
  }

  /** Moves the PC to the next instruction. */
  advance(): void {
    const lo = this.u32[PC] + 4
    this.u32[PC] = lo
    if (lo > 0xffff_ffff) this.u32[PC + 1]++
  }

  /** An access that turns out UNDEFINED in its side effect. */
  undefinedAccess(): void {
    takeUndefined(this)
  }

  /** An exception has been taken; told to whoever records. */
  exceptionTaken(target: 1 | 2, syndrome: number): void {
    this.excepted = true
    const exceptionClass = syndrome >>> 26
    if (
      exceptionClass !== ExceptionClass.SVC &&
      exceptionClass !== ExceptionClass.HVC &&
      exceptionClass !== ExceptionClass.SMC
    )
      this.events.fault(syndrome, target)
  }

  /** A register that translation depends on has been written. */
  translationChanged(): void {
    this.mmu.fast.flushAll()
    // Alignment checking may have changed with SCTLR_ELx, and with it the interpreter.
    this.stop()
  }

  /** A TLBI may have taken away the page that is executing: the next instruction is looked up anew. */
  codeMappingChanged(): void {
    this.mmu.fast.flush(FastTable.CODE)
    this.stop()
  }

  /**
   * Stops the machine because of something that is not modelled.
   *
   * @throws {UnsupportedFeature} always.
   */
  unsupported(what: string): never {
    throw new UnsupportedFeature(
      `the guest asked for ${what}, which is not modelled (pc 0x${this.state.pc.toString(16)})`,
    )
  }

  /** Whether a bit of SCTLR_EL1 is set. */
  sctlr(bit: number): boolean {
    return (this.u32[SCTLR[1]] & bit) !== 0
  }

  /** Whether a bit of the SCTLR that governs exception level `el` is set. */
  sctlrOf(el: 0 | 1 | 2, bit: number): boolean {
    return (this.u32[SCTLR[el]] & bit) !== 0
  }

  /** An attribute byte of the MAIR that governs `el`. */
  memoryAttributes(el: 0 | 1 | 2, index: number): number {
    return (this.u32[MAIR[el] + (index >>> 2)] >>> (8 * (index & 3))) & 0xff
  }

  /** TCR_EL1.AS: ASIDs have 16 bits rather than 8. */
  get wideAsids(): boolean {
    return (this.u32[TCR_EL1 + 1] & 0x10) !== 0
  }

  /** Whether CPACR_EL1.FPEN lets the current level use FP and SIMD. */
  get fpEnabled(): boolean {
    const fpen = (this.u32[CPACR] >>> 20) & 3
    if (this.hasEl2 && (this.u32[CPTR] & CPTR_TFP) !== 0) return false
    return this.u32[EL] === 2 || fpen === 3 || (fpen === 1 && this.u32[EL] === 1)
  }

  /** The hub with the interpreter behind it. */
  private runner(alignmentChecks: boolean): Run {
    let run = this.runs.get(alignmentChecks)
    if (!run) {
      const { code, module } = interpreterFor(alignmentChecks)
      const hot = (record: number) => this.translator.request(record)
      const imports: InterpreterImports = {
        load: (lo, hi, bits) => this.mmu.load(lo, hi, bits),
        store: (lo, hi, bits) => this.mmu.store(lo, hi, bits),
        decode: (record) => this.decode(record, code),
        fetch: () => this.fetch(),
        system: (index, a, b) => (code.operations[index](this, a, b) ? 1 : 0),
        abort: () => takeDataAbort(this),
        undefined: () => {
          takeUndefined(this)
        },
        breakpoint: (record) => (this.atBreakpoint(record) ? 1 : 0),
        hot,
      }
      const interpreter = new WebAssembly.Instance(module, { env: { memory: this.memory.wasm, ...imports } }).exports
      this.translator.functions ??= interpreter as unknown as InterpreterExports
      const hub: HubImports = { interpret: interpreter['run'], nzcv: interpreter['nzcv'], hot }
      hubModule ??= new WebAssembly.Module(generateHub())
      const { table } = this.translator
      run = new WebAssembly.Instance(hubModule, { env: { memory: this.memory.wasm, table, ...hub } }).exports[
        'run'
      ] as Run
      this.runs.set(alignmentChecks, run)
    }
    return run
  }

  private atBreakpoint(record: number): boolean {
    this.stop()
    return this.breakpoints.arrive(record, this.state.pc, this.remaining === this.passing)
  }

  private fetch(): number {
    const { u32 } = this
    if ((u32[PC] & 3) === 0 && this.mmu.fetch(u32[PC], u32[PC + 1])) return 0
    takeFetchFault(this)
    return 1
  }

  /** Fills in the record of the instruction that stands there. */
  private decode(record: number, code: GeneratedInterpreter): void {
    const { page, index } = this.codePages.locate(record)
    const decoded = decode(this.mmu.fetchWord(page * PAGE_SIZE + index * 4))
    const { view } = this.memory
    const number = fillRecord(view, record, decoded, index, code)
    const special = this.breakpoints.at(index)
      ? SpecialHandler.BREAKPOINT
      : this.translator.beginsAt(record)
        ? SpecialHandler.REGION
        : undefined
    if (special !== undefined) view.setUint16(record + Record.BEHIND, number, true)
    view.setUint16(record + Record.HANDLER, special ?? number, true)
  }
}
