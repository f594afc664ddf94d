/** Emitting handlers: from the statements of an instruction to WebAssembly, with operands taken from the decoded record. */
import type { Access, FlagKind, Statement, SystemOperation } from '../ir/semantics.js'
import type { Value } from '../ir/value.js'
import { Cell, WRITE_TLB } from '../layout.js'
import { registerAddress } from '../state.js'
import { type FunctionBuilder, I32, mem, op } from '../wasm/assembler.js'
import { Expressions, LocalPool } from './expressions.js'
import type { Handler, RegisterSlot } from './handlers.js'

/** How an access is described to the processor: element size, count, and two flags. */
export const AccessBits = { COUNT_SHIFT: 4, UNPRIVILEGED: 1 << 8, ALIGNED: 1 << 9, SIZE_MASK: 0xf } as const
const accessBits = ({ size, count, unprivileged, aligned }: Access): number =>
  size |
  (count << AccessBits.COUNT_SHIFT) |
  (unprivileged ? AccessBits.UNPRIVILEGED : 0) |
  (aligned ? AccessBits.ALIGNED : 0)

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

const STORES = { 1: mem.i64_store8, 2: mem.i64_store16, 4: mem.i64_store32, 8: mem.i64_store } as const

/** Emits statements; the two functions differ in where flags live and in how an instruction ends early. */
export abstract class HandlerFunction {
  protected readonly f: FunctionBuilder
  protected readonly context: Context
  protected readonly pool: LocalPool
  protected abstract readonly record: number
  private readonly entry: number
  private readonly host: number

  constructor(context: Context, f: FunctionBuilder) {
    this.context = context
    this.f = f
    this.pool = new LocalPool(f)
    this.entry = f.local(I32)
    this.host = f.local(I32)
  }

  protected abstract pushPc(): void
  protected abstract pushRemaining(): void
  protected abstract pushRegime(): void
  protected abstract condition(cond: number): void
  protected abstract nzcv(): void
  /** Ends the instruction with the data abort of the access that has just faulted. */
  protected abstract fault(): void
  /** Ends the instruction with an exception for an UNDEFINED instruction. */
  protected abstract undefinedInstruction(): void
  protected abstract setFlags(kind: FlagKind, a: Value, b: Value, e: Expressions): void
  protected abstract terminate(statement: Statement, e: Expressions): void

  /** Emits a handler's body. Returns whether control can reach the end of it. */
  protected body(handler: Handler): boolean {
    this.pool.reset()
    const e = new Expressions(
      this.f,
      {
        register: (name, sp) => this.pushRegister(handler, name, sp),
        operand: (slot, width) => {
          this.f.get(this.record).memory(width === 'i64' ? mem.i64_load : mem.i32_load, handler.operands[slot].offset)
        },
        pc: () => this.pushPc(),
        condition: (cond) => this.condition(cond),
        nzcv: () => this.nzcv(),
        intrinsic: (name) => this.context.shared[name],
      },
      this.pool,
      handler.statements,
    )
    return this.statements(handler, handler.statements, e)
  }

  private statements(handler: Handler, list: readonly Statement[], e: Expressions): boolean {
    const writes = list.filter((statement) => statement.kind === 'register' || statement.kind === 'flags')
    let open = true
    const settleAndWrite = () => {
      const values = writes.flatMap((write) =>
        write.kind === 'register' ? [write.value] : [write.flags.a, write.flags.b],
      )
      if (writes.length > 1) for (const value of values) e.settle(value)
      for (const write of writes) {
        if (write.kind === 'register') this.writeRegister(handler, write.name, write.sp, () => e.push(write.value))
        else this.setFlags(write.flags.kind, write.flags.a, write.flags.b, e)
      }
    }
    for (const statement of list) {
      switch (statement.kind) {
        case 'register':
        case 'flags':
          break
        case 'load':
          this.load(statement, e)
          break
        case 'store':
          this.store(statement, e)
          break
        case 'cell':
          if (typeof statement.address === 'number') this.f.i32(0)
          else e.push(statement.address)
          e.push(statement.value)
          this.f.memory(statement.access, typeof statement.address === 'number' ? statement.address : 0)
          break
        case 'undefinedIf':
          e.push(statement.condition)
          this.f.expect(false).if()
          this.undefinedInstruction()
          this.f.end()
          break
        case 'if':
          e.push(statement.condition)
          this.f.if()
          e.arm(() => this.statements(handler, statement.yes, e))
          this.f.else()
          e.arm(() => this.statements(handler, statement.no, e))
          this.f.end()
          break
        default: {
          const needed =
            statement.kind === 'jump'
              ? [statement.target]
              : statement.kind === 'branch' && statement.condition
                ? [statement.condition]
                : []
          if (writes.length > 0) for (const value of needed) e.settle(value)
          settleAndWrite()
          writes.length = 0
          this.terminate(statement, e)
          open = statement.kind === 'branch' && statement.condition !== undefined
        }
      }
    }
    settleAndWrite()
    return open
  }

  private slot(handler: Handler, name: string, sp: boolean, write: boolean): RegisterSlot {
    const slot = handler.registers.find(
      (candidate) => candidate.name === name && candidate.sp === sp && (sp || candidate.write === write),
    )
    if (!slot) throw new Error(`${handler.instruction.name}: no slot for ${name}`)
    return slot
  }

  private pushRegister(handler: Handler, name: string, sp: boolean): void {
    this.f
      .get(this.record)
      .memory(mem.i32_load16_u, this.slot(handler, name, sp, false).offset)
      .memory(mem.i64_load, 0)
  }

  private writeRegister(handler: Handler, name: string, sp: boolean, value: () => void): void {
    if (name === 'LR') {
      this.f.i32(0)
      value()
      this.f.memory(mem.i64_store, LINK_REGISTER)
      return
    }
    this.f.get(this.record).memory(mem.i32_load16_u, this.slot(handler, name, sp, true).offset)
    value()
    this.f.memory(mem.i64_store, 0)
  }

  private load(statement: Extract<Statement, { kind: 'load' }>, e: Expressions): void {
    const { f } = this
    const { access, address, how, results } = statement
    this.hostAddress(access, address, e, undefined)
    f.set(this.host)
    results.forEach((result, i) => {
      f.get(this.host)
        .memory(how, i * access.size)
        .set(e.keepIn(result))
    })
  }

  private store(statement: Extract<Statement, { kind: 'store' }>, e: Expressions): void {
    const { f } = this
    const { access, address, values } = statement
    if (values.length > 1) for (const value of values) e.settle(value)
    this.hostAddress(access, address, e, values)
    if (values.length === 1) {
      e.push(values[0])
      f.memory(STORES[access.size], 0)
      return
    }
    f.set(this.host)
    values.forEach((value, i) => {
      f.get(this.host)
      e.push(value)
      f.memory(STORES[access.size], i * access.size)
    })
  }

  /**
   * Leaves the host address of an access on the stack: from the fast TLB if the page is there and holds all of the access,
   * otherwise from the processor. The low bits of the last byte's address fall away, so one comparison tests both.
   */
  private hostAddress(access: Access, address: Value, e: Expressions, values: readonly Value[] | undefined): void {
    const { f, context } = this
    const bytes = access.size * access.count
    const slow = () => {
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
    e.settle(address)
    values?.forEach((value) => e.settle(value))
    if (access.unprivileged || (context.alignmentChecks && bytes > 1)) return slow()
    const lowBits = access.aligned ? bytes - 1 : 0
    this.pushRegime()
    e.push(address)
    f.i64(8, 0).op(op.i64.shr_u, op.i32.wrap_i64).i32(0xff0).op(op.i32.and, op.i32.add).tee(this.entry)
    f.memory(mem.i64_load, values ? WRITE_TLB : 0)
    e.push(address)
    if (bytes > 1 && !access.aligned) f.i64(bytes - 1, 0).op(op.i64.add)
    f.i64(-4096 | lowBits, -1)
      .op(op.i64.and, op.i64.eq)
      .expect(true)
      .if(I32)
    e.push(address)
    f.op(op.i32.wrap_i64)
      .get(this.entry)
      .memory(mem.i32_load, (values ? WRITE_TLB : 0) + 8)
      .op(op.i32.add)
    f.else()
    slow()
    f.end()
  }

  /** After a call that may have asked for the run to end behind this instruction. */
  protected abstract afterCall(): void
}
