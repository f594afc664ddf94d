/** Emitting handlers: instructions whose registers and immediates are taken from the decoded record. */
import { InstructionEmitter, accessBits } from '../emitter/instruction-emitter.js'
import type { Expressions } from '../emitter/expressions.js'
import type { Access, SystemOperation } from '../ir/semantics.js'
import type { Intrinsic, Value, Width } from '../ir/value.js'
import { Cell } from '../layout.js'
import { registerAddress } from '../state.js'
import { type FunctionBuilder, mem, op } from '../wasm/assembler.js'
import type { Handler, RegisterSlot } from './handlers.js'

const LINK_REGISTER = registerAddress('x', 30)

/** Function indices of what handlers call. */
export interface SharedFunctions {
  readonly load: number
  readonly store: number
  readonly decode: number
  readonly fetch: number
  readonly system: number
  readonly abort: number
  readonly undefined: number
  readonly breakpoint: number
  readonly hot: number
  readonly nzcv: number
  readonly slowLoad: number
  readonly slowStore: number
  readonly crc32: number
  readonly crc32c: number
}

/** What all handlers of a module share. */
export interface Context {
  readonly shared: SharedFunctions
  /** System operations used so far; a handler calls one by its index. */
  readonly operations: SystemOperation[]
  readonly alignmentChecks: boolean
}

/** Emits handlers; the two functions differ in where flags live and in how an instruction ends early. */
export abstract class HandlerFunction extends InstructionEmitter {
  protected readonly context: Context
  protected readonly regimeBase = 0
  protected abstract readonly record: number
  private handler: Handler | undefined

  constructor(context: Context, f: FunctionBuilder) {
    super(f, context.alignmentChecks)
    this.context = context
  }

  protected abstract pushRemaining(): void
  protected abstract pushRegime(): void
  /** Ends the instruction with the data abort of the access that has just faulted. */
  protected abstract fault(): void
  /** After a call that may have asked for the run to end behind this instruction. */
  protected abstract afterCall(): void

  /** Emits a handler's body. Returns whether control can reach the end of it. */
  protected body(handler: Handler): boolean {
    this.handler = handler
    return this.instruction(handler.statements)
  }

  protected pushOperand(slot: number, width: Width): void {
    const offset = this.handler?.operands[slot].offset ?? 0
    this.f.get(this.record).memory(width === 'i64' ? mem.i64_load : mem.i32_load, offset)
  }

  protected intrinsic(name: Intrinsic): number {
    return this.context.shared[name]
  }

  protected addRegime(): void {
    this.pushRegime()
    this.f.op(op.i32.add)
  }

  protected pushRegister(name: string, sp: boolean): void {
    this.f
      .get(this.record)
      .memory(mem.i32_load16_u, this.slot(name, sp, false).offset)
      .memory(mem.i64_load, 0)
  }

  protected writeRegister(name: string, sp: boolean, value: () => void): void {
    if (name === 'LR') {
      this.f.i32(0)
      value()
      this.f.memory(mem.i64_store, LINK_REGISTER)
      return
    }
    this.f.get(this.record).memory(mem.i32_load16_u, this.slot(name, sp, true).offset)
    value()
    this.f.memory(mem.i64_store, 0)
  }

  protected slowAccess(access: Access, address: Value, values: readonly Value[] | undefined, e: Expressions): void {
    const { f, context } = this
    values?.forEach((value, i) => {
      f.i32(0)
      e.push(value)
      f.memory(mem.i64_store, Cell.VALUE + 8 * i)
    })
    e.push(address)
    f.i32(accessBits(access))
    this.pushPc()
    this.pushRemaining()
    f.call(values ? context.shared.slowStore : context.shared.slowLoad)
      .tee(this.host)
      .op(op.i32.eqz)
      .expect(false)
      .if()
    this.fault()
    f.end()
    this.afterCall()
    f.get(this.host)
  }

  private slot(name: string, sp: boolean, write: boolean): RegisterSlot {
    const slot = this.handler?.registers.find(
      (candidate) => candidate.name === name && candidate.sp === sp && (sp || candidate.write === write),
    )
    if (!slot) throw new Error(`${this.handler?.instruction.name}: no slot for ${name}`)
    return slot
  }
}
