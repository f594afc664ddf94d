/** Computing IR values in WebAssembly: expressions to stack code, shared ones into locals. */
import { type Intrinsic, type Value, type Width, partsOf } from '../ir/value.js'
import type { Statement } from '../ir/semantics.js'
import { type FunctionBuilder, I32, I64, type MemoryOp, op } from '../wasm/assembler.js'

/** How a back end reaches what expressions are made of. Each method leaves one value on the stack. */
export interface ExpressionSources {
  register(name: string, sp: boolean): void
  operand(slot: number, width: Width): void
  pc(): void
  condition(cond: number): void
  nzcv(): void
  intrinsic(name: Intrinsic): number
  /** A word of machine state. */
  cell(address: number, access: MemoryOp): void
}

/** Locals for shared values, recycled from one instruction to the next. */
export class LocalPool {
  private readonly f: FunctionBuilder
  private readonly free: Record<Width, number[]> = { i32: [], i64: [] }
  private readonly used: Record<Width, number[]> = { i32: [], i64: [] }

  constructor(f: FunctionBuilder) {
    this.f = f
  }

  take(width: Width): number {
    const local = this.free[width].pop() ?? this.f.local(width === 'i32' ? I32 : I64)
    this.used[width].push(local)
    return local
  }

  /** Makes all locals free again. */
  reset(): void {
    for (const width of ['i32', 'i64'] as const) {
      this.free[width].push(...this.used[width])
      this.used[width] = []
    }
  }
}

/** Emits the values of one instruction. */
export class Expressions {
  private readonly f: FunctionBuilder
  private readonly sources: ExpressionSources
  private readonly pool: LocalPool
  private readonly uses: ReadonlyMap<Value, number>
  /** Values that stand in a local already. */
  private kept = new Map<Value, number>()

  constructor(f: FunctionBuilder, sources: ExpressionSources, pool: LocalPool, statements: readonly Statement[]) {
    this.f = f
    this.sources = sources
    this.pool = pool
    this.uses = countUses(statements)
  }

  /** Leaves the value on the stack. */
  push(value: Value): void {
    const local = this.kept.get(value)
    if (local !== undefined) {
      this.f.get(local)
      return
    }
    this.compute(value)
    if ((this.uses.get(value) ?? 0) > 1 && value.source.kind !== 'const') this.f.tee(this.keepIn(value))
  }

  /** Computes the value now, into a local unless it is a constant, so that later writes cannot change it. */
  settle(value: Value): void {
    if (value.source.kind === 'const' || this.kept.has(value)) return
    this.compute(value)
    this.f.set(this.keepIn(value))
  }

  /** The local that will hold a value computed elsewhere (a memory read). */
  keepIn(value: Value): number {
    const local = this.pool.take(value.width)
    this.kept.set(value, local)
    return local
  }

  /** Emits an arm of a conditional: what it computes for itself is not there for what follows. */
  arm(emit: () => void): void {
    const outer = this.kept
    this.kept = new Map(outer)
    emit()
    this.kept = outer
  }

  private compute(value: Value): void {
    const { f } = this
    const { source } = value
    switch (source.kind) {
      case 'const':
        if (value.width === 'i32') f.i32(source.lo)
        else f.i64(source.lo, source.hi)
        return
      case 'register':
        return this.sources.register(source.name, source.sp)
      case 'operand':
        return this.sources.operand(source.slot, value.width)
      case 'pc':
        return this.sources.pc()
      case 'cell':
        return this.sources.cell(source.address, source.access)
      case 'indirect':
        this.push(source.address)
        f.memory(source.access, 0)
        return
      case 'unary':
        this.push(source.argument)
        f.op(source.opcode)
        return
      case 'binary':
        this.push(source.left)
        this.push(source.right)
        f.op(source.opcode)
        return
      case 'select':
        this.push(source.yes)
        this.push(source.no)
        this.push(source.condition)
        f.op(op.select)
        return
      case 'condition':
        return this.sources.condition(source.cond)
      case 'nzcv':
        return this.sources.nzcv()
      case 'intrinsic':
        for (const argument of source.args) this.push(argument)
        f.call(this.sources.intrinsic(source.name))
        return
      case 'loaded':
        throw new Error('a memory read is used before its statement')
    }
  }
}

/** How often each value is needed: directly by a statement, or by another value that is. */
function countUses(statements: readonly Statement[]): Map<Value, number> {
  const uses = new Map<Value, number>()
  const use = (value: Value): void => {
    const known = uses.get(value) ?? 0
    uses.set(value, known + 1)
    if (known === 0) for (const part of partsOf(value)) use(part)
  }
  const visit = (list: readonly Statement[]): void => {
    for (const statement of list) {
      for (const value of valuesOf(statement)) use(value)
      if (statement.kind === 'if') {
        visit(statement.yes)
        visit(statement.no)
      }
    }
  }
  visit(statements)
  return uses
}

function valuesOf(statement: Statement): readonly Value[] {
  switch (statement.kind) {
    case 'register':
      return [statement.value]
    case 'flags':
      return [statement.flags.a, statement.flags.b]
    case 'load':
      return [statement.address]
    case 'store':
      return [statement.address, ...statement.values]
    case 'cell':
      return typeof statement.address === 'number' ? [statement.value] : [statement.address, statement.value]
    case 'if':
    case 'undefinedIf':
      return [statement.condition]
    case 'branch':
      return statement.condition ? [statement.offset, statement.condition] : [statement.offset]
    case 'jump':
      return [statement.target]
    default:
      return [statement.a, statement.b]
  }
}
