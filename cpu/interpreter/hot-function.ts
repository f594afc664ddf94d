/** The interpreter's main loop: budget, code TLB, dispatch, and the handlers of all common instructions. */
import type { Statement } from '../ir/semantics.js'
import type { Value } from '../ir/value.js'
import { FlagKind, conditionMask } from '../ir/flags.js'
import { CODE_TLB, Cell, HEAT, HEAT_COUNTERS, RECORD_SHIFT, RECORD_SIZE, Record } from '../layout.js'
import { STATE_BASE } from '../machine-memory.js'
import { CPU_STATE, registerAddress } from '../state.js'
import { FunctionBuilder, I32, I64, Label, mem, op } from '../wasm/assembler.js'
import type { Expressions } from '../emitter/expressions.js'
import { type Context, HandlerFunction } from './handler-function.js'
import type { Handler } from './handlers.js'
import { RareOutcome } from './rare-function.js'

/** Handler numbers with a meaning of their own; those of the table follow. */
export const SpecialHandler = {
  DECODE: 0,
  PAGE_END: 1,
  UNDEFINED: 2,
  RARE: 3,
  BREAKPOINT: 4,
  REGION: 5,
  FIRST: 6,
} as const

/** What is added to the number of a handler that branches by an immediate. */
export const BranchVariant = {
  /** To another page, or not known where to. */
  FAR: 0,
  /** Within the page. */
  NEAR: 1,
  /** The same, and counts how often its target is reached: back to the head of a loop, or into a function. */
  COUNTED: 2,
} as const
/** One of {@link BranchVariant}. */
export type BranchVariant = (typeof BranchVariant)[keyof typeof BranchVariant]
const BRANCH_VARIANTS = Object.values(BranchVariant)

const PC = registerAddress('pc')
/** Log2 of the bytes of a record. */
const RECORD_SIZE_SHIFT = Math.log2(RECORD_SIZE)
const NZCV = STATE_BASE + CPU_STATE.offsetOf('nzcv')

/** Comparisons that decide a condition for flags of a subtraction, by condition code; undefined where NZCV must be computed. */
const DIRECT: readonly (number | undefined)[] = [
  op.i64.eq, op.i64.ne, op.i64.ge_u, op.i64.lt_u, undefined, undefined, undefined, undefined,
  op.i64.gt_u, op.i64.le_u, op.i64.ge_s, op.i64.lt_s, op.i64.gt_s, op.i64.le_s,
] // prettier-ignore

/**
 * Builds `run(budget, pass)`: executes that many instructions, or fewer if something stops it or a region begins; returns how many are left.
 * With `pass`, the first region that it comes to is interpreted instead.
 */
export class HotFunction extends HandlerFunction {
  /** Handler numbers; a handler that branches has one for each {@link BranchVariant}. */
  readonly numbers = new Map<Handler, number>()
  private readonly budget = 0
  private readonly pass = 1
  protected readonly record: number
  private readonly delta: number
  private readonly pc: number
  private readonly regime: number
  private readonly flagA: number
  private readonly flagB: number
  private readonly flagKind: number
  private readonly codeEntry: number
  /** One handler for each shape, in the order of their numbers. */
  private readonly handlers: readonly Handler[]
  private readonly rareFunction: number
  private variant: BranchVariant = BranchVariant.FAR
  private readonly counter: number
  private readonly count: number
  /** The record of a region that is interpreted this time; its own handler stands in it meanwhile. */
  private readonly passed: number
  private readonly labels = {
    reload: new Label(),
    lookup: new Label(),
    count: new Label(),
    dispatch: new Label(),
    stop: new Label(),
    stopAtPc: new Label(),
    fault: new Label(),
    undefined: new Label(),
    taken: new Label(),
  }

  constructor(context: Context, handlers: readonly Handler[], rareFunction: number) {
    super(context, new FunctionBuilder([I32, I32], [I32]))
    const { f } = this
    this.record = f.local(I32)
    this.delta = f.local(I64)
    this.pc = f.local(I64)
    this.regime = f.local(I32)
    this.flagA = f.local(I64)
    this.flagB = f.local(I64)
    this.flagKind = f.local(I32)
    this.codeEntry = f.local(I32)
    this.counter = f.local(I32)
    this.count = f.local(I32)
    this.passed = f.local(I32)
    const distinct: Handler[] = []
    const byShape = new Map<string, number>()
    let next: number = SpecialHandler.FIRST
    for (const handler of handlers) {
      let number = byShape.get(handler.shape)
      if (number === undefined) {
        number = next
        next += handler.branches ? BRANCH_VARIANTS.length : 1
        byShape.set(handler.shape, number)
        distinct.push(handler)
      }
      this.numbers.set(handler, number)
    }
    this.handlers = distinct
    this.rareFunction = rareFunction
  }

  build(): FunctionBuilder {
    const { f, labels } = this
    f.i32(0).memory(mem.i64_load, Cell.FLAG_A).set(this.flagA)
    f.i32(0).memory(mem.i64_load, Cell.FLAG_B).set(this.flagB)
    f.i32(0).memory(mem.i32_load, Cell.FLAG_KIND).set(this.flagKind)
    f.loop(labels.reload)
    f.i32(0).memory(mem.i32_load, Cell.REGIME).set(this.regime)
    f.i32(0).memory(mem.i64_load, PC).set(this.pc)
    f.loop(labels.lookup)
    this.lookUpCode()
    f.loop(labels.count)
    this.countReached()
    f.loop(labels.dispatch)
    f.block(labels.taken).block(labels.stopAtPc).block(labels.stop).block(labels.undefined).block(labels.fault)
    this.dispatch()
    f.end()
    this.takeException(this.context.shared.abort)
    f.end()
    this.storePc()
    this.takeException(this.context.shared.undefined)
    f.end()
    this.pushPc()
    f.set(this.pc).end()
    // Out of budget, or stopped.
    f.i32(0).get(this.pc).memory(mem.i64_store, PC)
    this.leave()
    f.end()
    this.behindException()
    f.end().end().end().end()
    return f.op(op.unreachable)
  }

  /** From the PC to a record, by the code TLB; misses go to the processor, which may take an instruction abort. */
  private lookUpCode(): void {
    const { f, labels } = this
    f.get(this.regime)
      .get(this.pc)
      .i64(8, 0)
      .op(op.i64.shr_u, op.i32.wrap_i64)
      .i32(0xff0)
      .op(op.i32.and, op.i32.add)
      .tee(this.codeEntry)
    f.memory(mem.i64_load, CODE_TLB).get(this.pc).i64(~0xffc, -1).op(op.i64.and, op.i64.ne).expect(false).if()
    f.i32(0).get(this.pc).memory(mem.i64_store, PC)
    this.storeRemaining()
    this.spillFlags()
    f.call(this.context.shared.fetch).if()
    this.behindException()
    f.end()
    f.i32(0).memory(mem.i64_load, PC).set(this.pc).br(labels.lookup).end()
    f.get(this.codeEntry).memory(mem.i32_load, CODE_TLB + 8)
    f.get(this.pc)
      .op(op.i32.wrap_i64)
      .i32(0xffc)
      .op(op.i32.and)
      .i32(RECORD_SHIFT)
      .op(op.i32.shl, op.i32.add)
      .set(this.record)
    f.get(this.pc).get(this.record).i32(RECORD_SHIFT).op(op.i32.shr_u, op.i64.extend_i32_u, op.i64.sub).set(this.delta)
  }

  /** Behind an instruction that has set PC and flags in memory. */
  private behindException(): void {
    const { f, labels } = this
    f.i32(0).memory(mem.i64_load32_u, NZCV).set(this.flagA).i32(FlagKind.NZCV).set(this.flagKind)
    f.get(this.budget).i32(1).op(op.i32.sub).tee(this.budget).op(op.i32.eqz)
    f.i32(0).memory(mem.i32_load, Cell.STOP).op(op.i32.or).if()
    this.leave()
    f.end()
    f.br(labels.reload)
  }

  /** Returns; the PC stands in memory. */
  private leave(): void {
    const { f } = this
    f.get(this.passed).if()
    this.restorePassed()
    f.end()
    f.i32(0).get(this.flagA).memory(mem.i64_store, Cell.FLAG_A)
    f.i32(0).get(this.flagB).memory(mem.i64_store, Cell.FLAG_B)
    f.i32(0).get(this.flagKind).memory(mem.i32_store, Cell.FLAG_KIND)
    this.pushRemaining()
    f.return()
  }

  /** Marks the begin of the region that was interpreted again, unless it has been lost since. */
  private restorePassed(): void {
    const { f } = this
    f.get(this.passed).memory(mem.i32_load16_u, Record.HANDLER).tee(this.count)
    f.i32(0).get(this.count).get(this.passed).memory(mem.i32_load16_u, Record.BEHIND).op(op.i32.eq, op.select)
    f.if().get(this.passed).i32(SpecialHandler.REGION).memory(mem.i32_store16, Record.HANDLER).end()
  }

  /** Counts that the record has been reached, and tells when it has been often. */
  private countReached(): void {
    const { f } = this
    f.get(this.record)
      .i32(RECORD_SIZE_SHIFT - 2)
      .op(op.i32.shr_u)
      .i32((HEAT_COUNTERS - 1) << 2)
      .op(op.i32.and)
      .tee(this.counter)
    f.get(this.counter).memory(mem.i32_load, HEAT).i32(1).op(op.i32.add).tee(this.count)
    f.memory(mem.i32_store, HEAT)
    f.get(this.count).i32(0).memory(mem.i32_load, Cell.THRESHOLD).op(op.i32.eq).expect(false).if()
    this.storePc()
    f.get(this.record).call(this.context.shared.hot).end()
  }

  private dispatch(): void {
    const { f, labels } = this
    const special: (() => void)[] = []
    special[SpecialHandler.DECODE] = () =>
      this.cold(() => {
        // The word may come from a device, which sees the time.
        this.storeRemaining()
        f.get(this.record).call(this.context.shared.decode).br(labels.dispatch)
      })
    special[SpecialHandler.PAGE_END] = () => {
      this.pushPc()
      f.set(this.pc).br(labels.lookup)
    }
    special[SpecialHandler.UNDEFINED] = () => f.br(labels.undefined)
    special[SpecialHandler.RARE] = () => this.cold(() => this.callRare())
    special[SpecialHandler.BREAKPOINT] = () => this.cold(() => this.breakpoint())
    special[SpecialHandler.REGION] = () => {
      f.get(this.pass).op(op.i32.eqz).brIf(labels.stop).i32(0).set(this.pass)
      f.get(this.record).tee(this.passed)
      f.get(this.record).memory(mem.i32_load16_u, Record.BEHIND).memory(mem.i32_store16, Record.HANDLER)
      f.br(labels.dispatch)
    }
    const bodies = [...special]
    for (const handler of this.handlers) {
      for (const variant of handler.branches ? BRANCH_VARIANTS : [BranchVariant.FAR])
        bodies.push(() => this.common(handler, variant))
    }
    const entries = bodies.map(() => new Label())
    for (const entry of entries.toReversed()) f.block(entry)
    f.get(this.record).memory(mem.i32_load16_u, Record.HANDLER).brTable(entries, entries[SpecialHandler.UNDEFINED])
    for (const body of bodies) {
      f.end()
      body()
    }
  }

  private common(handler: Handler, variant: BranchVariant): void {
    this.variant = variant
    const open = this.body(handler)
    if (open && variant === BranchVariant.FAR) this.next()
  }

  /**
   * Emits code that calls out and never falls through, such that the host's compiler takes it for unlikely: a call in likely code would cost
   * every handler the registers that the call destroys. The condition, a budget that is not spent, always holds.
   */
  private cold(emit: () => void): void {
    this.f.get(this.budget).expect(false).if()
    emit()
    this.f.end().br(this.labels.stop)
  }

  /** Asks whether to stop in front of the instruction; if not, its own handler is there now, for this once. */
  private breakpoint(): void {
    const { f, labels } = this
    this.storePc()
    this.storeRemaining()
    f.get(this.record).call(this.context.shared.breakpoint).if()
    f.br(labels.stop).end()
    this.afterCall()
    f.br(labels.dispatch)
  }

  private callRare(): void {
    const { f, labels } = this
    const outcome = this.codeEntry
    f.get(this.record)
    this.pushPc()
    this.pushRemaining()
    f.call(this.rareFunction).tee(outcome).if()
    f.get(outcome).i32(RareOutcome.FAULT).op(op.i32.eq).brIf(labels.fault).br(labels.undefined).end()
    this.afterCall()
    this.next()
  }

  /** On to the following record. */
  private next(): void {
    this.f.get(this.record).i32(RECORD_SIZE).op(op.i32.add).set(this.record)
    this.spend(this.labels.dispatch, this.labels.stop)
  }

  /** Counts the instruction; goes on at `target` while there is budget. */
  private spend(target: Label, exhausted: Label): void {
    this.f.get(this.budget).i32(1).op(op.i32.sub).tee(this.budget).expect(true).brIf(target).br(exhausted)
  }

  /** Instructions left, the one that is executing included. */
  protected pushRemaining(): void {
    this.f.get(this.budget).i32(0).memory(mem.i32_load, Cell.KEPT).op(op.i32.add)
  }

  /** Puts what is left where the processor looks for it. */
  private storeRemaining(): void {
    this.f.i32(0)
    this.pushRemaining()
    this.f.memory(mem.i32_store, Cell.BUDGET)
  }

  protected pushPc(): void {
    this.f.get(this.delta).get(this.record).i32(RECORD_SHIFT).op(op.i32.shr_u, op.i64.extend_i32_u, op.i64.add)
  }

  protected pushRegime(): void {
    this.f.get(this.regime)
  }

  protected condition(cond: number): void {
    const { f } = this
    const direct = DIRECT[cond]
    const general = () => {
      f.i32(conditionMask(cond))
      this.nzcv()
      f.op(op.i32.shr_u).i32(1).op(op.i32.and)
    }
    if (direct === undefined) return general()
    // The result of a logical instruction compares with zero as a difference does, but for its carry.
    const usesCarry =
      direct === op.i64.ge_u || direct === op.i64.lt_u || direct === op.i64.gt_u || direct === op.i64.le_u
    f.get(this.flagKind)
      .i32(usesCarry ? FlagKind.SUB32 : FlagKind.LOGIC)
      .op(op.i32.le_u)
      .expect(true)
      .if(I32)
    f.get(this.flagA).get(this.flagB).op(direct).else()
    general()
    f.end()
  }

  protected nzcv(): void {
    this.f.get(this.flagA).get(this.flagB).get(this.flagKind).call(this.context.shared.nzcv)
  }

  protected setFlags(kind: FlagKind, a: Value, b: Value, e: Expressions): void {
    e.push(a)
    e.push(b)
    this.f.set(this.flagB).set(this.flagA).i32(kind).set(this.flagKind)
  }

  protected fault(): void {
    this.f.br(this.labels.fault)
  }

  protected undefinedInstruction(): void {
    this.f.br(this.labels.undefined)
  }

  protected terminate(statement: Statement, e: Expressions): void {
    const { f, labels } = this
    switch (statement.kind) {
      case 'jump':
        e.push(statement.target)
        f.set(this.pc)
        return this.spend(labels.lookup, labels.stopAtPc)
      case 'branch':
        if (this.variant !== BranchVariant.FAR) return this.branchNear(statement.offset, statement.condition, e)
        if (statement.condition) {
          e.push(statement.condition)
          f.if()
        }
        this.pushPc()
        e.push(statement.offset)
        f.op(op.i64.extend_i32_s, op.i64.add).set(this.pc)
        this.spend(labels.lookup, labels.stopAtPc)
        if (statement.condition) f.end()
        return undefined
      case 'system':
        return this.cold(() => this.callSystem(statement, e))
      default:
        throw new Error(`${statement.kind} does not end an instruction`)
    }
  }

  /** To a record of the same page; a condition selects between it and the next, without a host branch. */
  private branchNear(offset: Value, condition: Value | undefined, e: Expressions): void {
    const { f } = this
    f.get(this.record)
    e.push(offset)
    f.i32(RECORD_SHIFT).op(op.i32.shl)
    if (condition) {
      f.i32(RECORD_SIZE)
      e.push(condition)
      f.op(op.select)
    }
    f.op(op.i32.add).set(this.record)
    this.spend(this.variant === BranchVariant.COUNTED ? this.labels.count : this.labels.dispatch, this.labels.stop)
    // What follows in the function cannot be reached, whatever the condition.
  }

  private callSystem(statement: Extract<Statement, { kind: 'system' }>, e: Expressions): void {
    const { f, labels, context } = this
    const known = context.operations.indexOf(statement.operation)
    const index = known >= 0 ? known : context.operations.push(statement.operation) - 1
    this.storePc()
    this.storeRemaining()
    this.spillFlags()
    f.i32(index)
    e.push(statement.a)
    e.push(statement.b)
    f.call(context.shared.system).brIf(labels.taken)
    this.afterCall()
    this.next()
  }

  /** If the processor asks for it, lets the run end behind this instruction and keeps the budget that is left. */
  protected afterCall(): void {
    const { f } = this
    f.i32(0).memory(mem.i32_load, Cell.STOP).expect(false).if()
    f.i32(0)
    this.pushRemaining()
    f.i32(1).op(op.i32.sub).memory(mem.i32_store, Cell.KEPT).i32(1).set(this.budget).end()
  }

  private takeException(callee: number): void {
    this.storeRemaining()
    this.spillFlags()
    this.f.call(callee).br(this.labels.taken)
  }

  private storePc(): void {
    this.f.i32(0)
    this.pushPc()
    this.f.memory(mem.i64_store, PC)
  }

  private spillFlags(): void {
    this.f.i32(0)
    this.nzcv()
    this.f.memory(mem.i32_store, NZCV)
  }
}
