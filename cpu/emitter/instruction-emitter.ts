/**
 * Emitting instructions: from the statements of one to WebAssembly.
 *
 * What is common to interpreter and translator is here: the order of effects, expressions, memory accesses by the fast TLB. Where registers,
 * operands and flags are, and how an instruction ends early, is each back end's own.
 */
import type { FlagKind } from '../ir/flags.js'
import type { Access, Statement } from '../ir/semantics.js'
import type { Intrinsic, Value, Width } from '../ir/value.js'
import { WRITE_TLB } from '../layout.js'
import { type FunctionBuilder, I32, type MemoryOp, mem, op } from '../wasm/assembler.js'
import { Expressions, LocalPool } from './expressions.js'

/** How an access is described to the processor: element size, count, and two flags. */
export const AccessBits = { COUNT_SHIFT: 4, UNPRIVILEGED: 1 << 8, ALIGNED: 1 << 9, SIZE_MASK: 0xf } as const

/** The description of an access, in {@link AccessBits}. */
export const accessBits = ({ size, count, unprivileged, aligned }: Access): number =>
  size |
  (count << AccessBits.COUNT_SHIFT) |
  (unprivileged ? AccessBits.UNPRIVILEGED : 0) |
  (aligned ? AccessBits.ALIGNED : 0)

const STORES = { 1: mem.i64_store8, 2: mem.i64_store16, 4: mem.i64_store32, 8: mem.i64_store } as const

/** Emits the statements of instructions into a function. */
export abstract class InstructionEmitter {
  protected readonly f: FunctionBuilder
  /** For what an access that missed the fast TLB was given as its host address. */
  protected readonly host: number
  /** Whether every access is checked for alignment (SCTLR_ELx.A). */
  protected readonly alignmentChecks: boolean
  /** What is added to a fast TLB's offset in the regime to make it an address: the regime's, if that is known. */
  protected abstract readonly regimeBase: number
  private readonly pool: LocalPool
  private readonly entry: number

  constructor(f: FunctionBuilder, alignmentChecks: boolean) {
    this.f = f
    this.alignmentChecks = alignmentChecks
    this.pool = new LocalPool(f)
    this.entry = f.local(I32)
    this.host = f.local(I32)
  }

  protected abstract pushRegister(name: string, sp: boolean): void
  protected abstract writeRegister(name: string, sp: boolean, value: () => void): void
  protected abstract pushOperand(slot: number, width: Width): void
  protected abstract pushPc(): void
  /** Adds the address of the regime's fast TLBs to what is on the stack, unless {@link regimeBase} says it all. */
  protected abstract addRegime(): void
  protected abstract condition(cond: number): void
  protected abstract nzcv(): void
  /** Index of the function that does an intrinsic. */
  protected abstract intrinsic(name: Intrinsic): number
  /** Ends the instruction with an exception for an UNDEFINED instruction. */
  protected abstract undefinedInstruction(): void
  protected abstract setFlags(kind: FlagKind, a: Value, b: Value, e: Expressions): void
  protected abstract terminate(statement: Statement, e: Expressions): void
  /** Leaves the host address of an access that the fast TLB does not know on the stack, or ends the instruction. `values` are those of a store. */
  protected abstract slowAccess(
    access: Access,
    address: Value,
    values: readonly Value[] | undefined,
    e: Expressions,
  ): void

  /** Leaves a word of machine state on the stack. */
  protected pushCell(address: number, access: MemoryOp): void {
    this.f.i32(0).memory(access, address)
  }

  /** Emits one instruction. Returns whether control can reach its end. */
  protected instruction(statements: readonly Statement[]): boolean {
    this.pool.reset()
    const e = new Expressions(
      this.f,
      {
        register: (name, sp) => this.pushRegister(name, sp),
        operand: (slot, width) => this.pushOperand(slot, width),
        pc: () => this.pushPc(),
        condition: (cond) => this.condition(cond),
        nzcv: () => this.nzcv(),
        intrinsic: (name) => this.intrinsic(name),
        cell: (address, access) => this.pushCell(address, access),
      },
      this.pool,
      statements,
    )
    return this.statements(statements, e)
  }

  private statements(list: readonly Statement[], e: Expressions): boolean {
    const writes = list.filter((statement) => statement.kind === 'register' || statement.kind === 'flags')
    let open = true
    const settleAndWrite = () => {
      const values = writes.flatMap((write) =>
        write.kind === 'register' ? [write.value] : [write.flags.a, write.flags.b],
      )
      if (writes.length > 1) for (const value of values) e.settle(value)
      for (const write of writes) {
        if (write.kind === 'register') this.writeRegister(write.name, write.sp, () => e.push(write.value))
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
          e.arm(() => this.statements(statement.yes, e))
          this.f.else()
          e.arm(() => this.statements(statement.no, e))
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
   * otherwise from {@link slowAccess}. One comparison tests page, page crossing and alignment: what is added to the address carries an
   * access that crosses into the next page, and low bits that must be zero stay in.
   */
  private hostAddress(access: Access, address: Value, e: Expressions, values: readonly Value[] | undefined): void {
    const { f } = this
    const bytes = access.size * access.count
    e.settle(address)
    values?.forEach((value) => e.settle(value))
    if (access.unprivileged) return this.slowAccess(access, address, values, e)
    const alignment = access.aligned ? bytes : this.alignmentChecks ? access.size : 1
    const table = this.regimeBase + (values ? WRITE_TLB : 0)
    e.push(address)
    f.i64(8, 0).op(op.i64.shr_u, op.i32.wrap_i64).i32(0xff0).op(op.i32.and)
    this.addRegime()
    f.tee(this.entry).memory(mem.i64_load, table)
    e.push(address)
    if (bytes > alignment) f.i64(bytes - alignment, 0).op(op.i64.add)
    f.i64(-4096 | (alignment - 1), -1)
      .op(op.i64.and, op.i64.eq)
      .expect(true)
      .if(I32)
    e.push(address)
    f.op(op.i32.wrap_i64)
      .get(this.entry)
      .memory(mem.i32_load, table + 8)
      .op(op.i32.add)
    f.else()
    e.arm(() => this.slowAccess(access, address, values, e))
    f.end()
    return undefined
  }
}
