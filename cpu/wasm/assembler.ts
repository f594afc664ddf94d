/**
 * A small WebAssembly assembler: instructions into a function body, functions into a module's bytes.
 *
 * It knows the binary format (WebAssembly Core Specification 2.0, chapter 5) and nothing of AArch64. Function bodies grow in
 * plain number arrays; structured control flow is by label objects, so that callers never count nesting depths.
 */

/** Value types (WebAssembly Core, 5.3.1). */
export const I32 = 0x7f
export const I64 = 0x7e
/** The type of a wasm value. */
export type ValueType = typeof I32 | typeof I64
const EMPTY = 0x40

/** Opcodes with no immediate operands (WebAssembly Core, 5.4). */
export const op = {
  unreachable: 0x00,
  return: 0x0f,
  drop: 0x1a,
  select: 0x1b,
  i32: {
    eqz: 0x45, eq: 0x46, ne: 0x47, lt_s: 0x48, lt_u: 0x49, gt_s: 0x4a, gt_u: 0x4b, le_s: 0x4c, le_u: 0x4d, ge_s: 0x4e, ge_u: 0x4f,
    clz: 0x67, ctz: 0x68, popcnt: 0x69, add: 0x6a, sub: 0x6b, mul: 0x6c, div_s: 0x6d, div_u: 0x6e, rem_s: 0x6f, rem_u: 0x70,
    and: 0x71, or: 0x72, xor: 0x73, shl: 0x74, shr_s: 0x75, shr_u: 0x76, rotl: 0x77, rotr: 0x78,
    wrap_i64: 0xa7, extend8_s: 0xc0, extend16_s: 0xc1,
  },
  i64: {
    eqz: 0x50, eq: 0x51, ne: 0x52, lt_s: 0x53, lt_u: 0x54, gt_s: 0x55, gt_u: 0x56, le_s: 0x57, le_u: 0x58, ge_s: 0x59, ge_u: 0x5a,
    clz: 0x79, ctz: 0x7a, popcnt: 0x7b, add: 0x7c, sub: 0x7d, mul: 0x7e, div_s: 0x7f, div_u: 0x80, rem_s: 0x81, rem_u: 0x82,
    and: 0x83, or: 0x84, xor: 0x85, shl: 0x86, shr_s: 0x87, shr_u: 0x88, rotl: 0x89, rotr: 0x8a,
    extend_i32_s: 0xac, extend_i32_u: 0xad, extend8_s: 0xc2, extend16_s: 0xc3, extend32_s: 0xc4,
  },
} as const // prettier-ignore

/** Loads and stores, by width: opcode and natural alignment exponent. */
export const mem = {
  i32_load: [0x28, 2], i64_load: [0x29, 3], i32_load8_s: [0x2c, 0], i32_load8_u: [0x2d, 0], i32_load16_s: [0x2e, 1], i32_load16_u: [0x2f, 1],
  i64_load8_s: [0x30, 0], i64_load8_u: [0x31, 0], i64_load16_s: [0x32, 1], i64_load16_u: [0x33, 1], i64_load32_s: [0x34, 2], i64_load32_u: [0x35, 2],
  i32_store: [0x36, 2], i64_store: [0x37, 3], i32_store8: [0x3a, 0], i32_store16: [0x3b, 1],
  i64_store8: [0x3c, 0], i64_store16: [0x3d, 1], i64_store32: [0x3e, 2],
} as const // prettier-ignore
/** A load or store instruction. */
export type MemoryOp = (typeof mem)[keyof typeof mem]

function pushU32(out: number[], value: number): void {
  let rest = value >>> 0
  while (rest > 0x7f) {
    out.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  out.push(rest)
}

function pushS32(out: number[], value: number): void {
  let rest = value | 0
  for (;;) {
    const byte = rest & 0x7f
    rest >>= 7
    if ((rest === 0 && !(byte & 0x40)) || (rest === -1 && byte & 0x40)) {
      out.push(byte)
      return
    }
    out.push(byte | 0x80)
  }
}

/** LEB128 of the 64-bit integer `hi:lo`, given as two signed or unsigned 32-bit halves. */
function pushS64(out: number[], lo: number, hi: number): void {
  let low = lo | 0
  let high = hi | 0
  for (;;) {
    const byte = low & 0x7f
    low = (low >>> 7) | (high << 25)
    high >>= 7
    if ((low === 0 && high === 0 && !(byte & 0x40)) || (low === -1 && high === -1 && byte & 0x40)) {
      out.push(byte)
      return
    }
    out.push(byte | 0x80)
  }
}

/** A branch target: the block or loop that was opened with it. */
export class Label {
  /** Nesting level of the construct while it is open; -1 otherwise. */
  level = -1
}

/** A function's signature. */
export interface Signature {
  readonly params: readonly ValueType[]
  readonly results: readonly ValueType[]
}

/** One function under construction. Every method appends code and returns the function, so that calls chain. */
export class FunctionBuilder {
  readonly signature: Signature
  readonly code: number[] = []
  readonly locals: ValueType[] = []
  /** Branch hints: where in the code an `if` or `br_if` stands, and whether its condition is expected to hold. */
  readonly hints: { readonly at: number; readonly likely: boolean }[] = []
  private level = 0

  constructor(params: readonly ValueType[], results: readonly ValueType[] = []) {
    this.signature = { params, results }
  }

  /** A new local variable (zero at entry); returns its index. */
  local(type: ValueType): number {
    this.locals.push(type)
    return this.signature.params.length + this.locals.length - 1
  }

  /** Appends opcodes that take no immediate operand. */
  op(...opcodes: number[]): this {
    for (const opcode of opcodes) this.code.push(opcode)
    return this
  }

  get(local: number): this {
    this.code.push(0x20)
    pushU32(this.code, local)
    return this
  }

  set(local: number): this {
    this.code.push(0x21)
    pushU32(this.code, local)
    return this
  }

  tee(local: number): this {
    this.code.push(0x22)
    pushU32(this.code, local)
    return this
  }

  i32(value: number): this {
    this.code.push(0x41)
    pushS32(this.code, value)
    return this
  }

  /** A 64-bit constant given as halves. */
  i64(lo: number, hi: number): this {
    this.code.push(0x42)
    pushS64(this.code, lo, hi)
    return this
  }

  /** A load or store; the address (and the value) are on the stack, `offset` is added to the address. */
  memory(access: MemoryOp, offset: number): this {
    this.code.push(access[0])
    pushU32(this.code, 0)
    pushU32(this.code, offset)
    return this
  }

  /**
   * Says of the `if` or `br_if` that follows whether its condition is expected to hold (the branch hinting proposal). Code that is not
   * expected to run is moved out of the way, and keeps its calls from costing the rest any registers.
   */
  expect(likely: boolean): this {
    this.hints.push({ at: this.code.length, likely })
    return this
  }

  block(label: Label): this {
    return this.open(0x02, label, EMPTY)
  }

  loop(label: Label): this {
    return this.open(0x03, label, EMPTY)
  }

  /** Opens an `if`; with `result`, both arms leave one value of that type. */
  if(result?: ValueType, label = new Label()): this {
    return this.open(0x04, label, result ?? EMPTY)
  }

  else(): this {
    this.code.push(0x05)
    return this
  }

  end(): this {
    this.level--
    this.code.push(0x0b)
    return this
  }

  br(label: Label): this {
    this.code.push(0x0c)
    pushU32(this.code, this.level - label.level)
    return this
  }

  brIf(label: Label): this {
    this.code.push(0x0d)
    pushU32(this.code, this.level - label.level)
    return this
  }

  brTable(labels: readonly Label[], otherwise: Label): this {
    this.code.push(0x0e)
    pushU32(this.code, labels.length)
    for (const label of labels) pushU32(this.code, this.level - label.level)
    pushU32(this.code, this.level - otherwise.level)
    return this
  }

  call(functionIndex: number): this {
    this.code.push(0x10)
    pushU32(this.code, functionIndex)
    return this
  }

  /** Calls the function at the index on the stack, of the module's table; `type` is from {@link ModuleBuilder.type}. */
  callIndirect(type: number): this {
    this.code.push(0x11)
    pushU32(this.code, type)
    this.code.push(0)
    return this
  }

  return(): this {
    return this.op(op.return)
  }

  private open(opcode: number, label: Label, type: number): this {
    this.level++
    label.level = this.level
    this.code.push(opcode, type)
    return this
  }
}

interface Import {
  readonly name: string
  readonly signature: number
}

/** Stand-ins for the signature of imports that are not functions. */
const MEMORY = -1
const TABLE = -2
const FUNCREF = 0x70

/** A module under construction: imports first, then functions, then {@link ModuleBuilder.bytes}. All imports come from `env`. */
export class ModuleBuilder {
  private readonly types: string[] = []
  private readonly signatures: Signature[] = []
  private readonly imports: Import[] = []
  private readonly functions: FunctionBuilder[] = []
  private readonly exports: { name: string; index: number }[] = []
  private readonly memoryPages: number
  private usesTable = false

  /** @param memoryPages the least size, in 64 KiB pages, of the memory that the module imports as `env.memory`. */
  constructor(memoryPages: number) {
    this.memoryPages = memoryPages
  }

  /** Imports `env.name`; returns the index to call it by. All imports must come before the first {@link add}. */
  importFunction(name: string, params: readonly ValueType[], results: readonly ValueType[] = []): number {
    if (this.functions.length > 0) throw new Error(`import of ${name} after the first function`)
    this.imports.push({ name, signature: this.type({ params, results }) })
    return this.imports.length - 1
  }

  /** Imports a table of functions as `env.table`, for {@link FunctionBuilder.callIndirect}. */
  importTable(): void {
    this.usesTable = true
  }

  /** Adds a function, exported if a name is given; returns the index to call it by. */
  add(body: FunctionBuilder, exportName?: string): number {
    this.type(body.signature)
    this.functions.push(body)
    const index = this.imports.length + this.functions.length - 1
    if (exportName !== undefined) this.exports.push({ name: exportName, index })
    return index
  }

  /** The module in the binary format (WebAssembly Core, 5.5). */
  bytes(): Uint8Array<ArrayBuffer> {
    const out = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]
    section(out, 1, this.signatures, (body, { params, results }) => {
      body.push(0x60)
      pushU32(body, params.length)
      body.push(...params)
      pushU32(body, results.length)
      body.push(...results)
    })
    const imports = [
      { name: 'memory', signature: MEMORY },
      ...(this.usesTable ? [{ name: 'table', signature: TABLE }] : []),
      ...this.imports,
    ]
    section(out, 2, imports, (body, { name, signature }) => {
      pushName(body, 'env')
      pushName(body, name)
      if (signature === MEMORY) {
        body.push(0x02, 0x00)
        pushU32(body, this.memoryPages)
      } else if (signature === TABLE) {
        body.push(0x01, FUNCREF, 0x00)
        pushU32(body, 0)
      } else {
        body.push(0x00)
        pushU32(body, signature)
      }
    })
    section(out, 3, this.functions, (body, { signature }) => pushU32(body, this.type(signature)))
    section(out, 7, this.exports, (body, { name, index }) => {
      pushName(body, name)
      body.push(0x00)
      pushU32(body, index)
    })
    this.hintSection(out)
    section(out, 10, this.functions, (body, { locals, code }) => {
      const head = localDeclarations(locals)
      pushU32(body, head.length + code.length + 1)
      append(body, head)
      append(body, code)
      body.push(0x0b)
    })
    return Uint8Array.from(out)
  }

  /** The custom section `metadata.code.branch_hint`; its offsets count from the start of a function's local declarations. */
  private hintSection(out: number[]): void {
    const hinted = this.functions
      .map((body, i) => ({ body, index: this.imports.length + i }))
      .filter(({ body }) => body.hints.length > 0)
    if (hinted.length === 0) return
    const content: number[] = []
    pushName(content, 'metadata.code.branch_hint')
    pushU32(content, hinted.length)
    for (const { body, index } of hinted) {
      const offset = localDeclarations(body.locals).length
      pushU32(content, index)
      pushU32(content, body.hints.length)
      for (const { at, likely } of body.hints) {
        pushU32(content, offset + at)
        content.push(1, likely ? 1 : 0)
      }
    }
    out.push(0)
    pushU32(out, content.length)
    append(out, content)
  }

  /** Index of a signature, for {@link FunctionBuilder.callIndirect}. */
  type(signature: Signature): number {
    const key = `${signature.params.join()}:${signature.results.join()}`
    const known = this.types.indexOf(key)
    if (known >= 0) return known
    this.types.push(key)
    this.signatures.push(signature)
    return this.types.length - 1
  }
}

/** Appends without spreading: a body may be longer than an argument list can be. */
function append(out: number[], bytes: readonly number[]): void {
  for (const byte of bytes) out.push(byte)
}

function pushName(out: number[], name: string): void {
  pushU32(out, name.length)
  for (let i = 0; i < name.length; i++) out.push(name.charCodeAt(i))
}

function section<T>(out: number[], id: number, items: readonly T[], write: (body: number[], item: T) => void): void {
  if (items.length === 0) return
  const body: number[] = []
  pushU32(body, items.length)
  for (const item of items) write(body, item)
  out.push(id)
  pushU32(out, body.length)
  append(out, body)
}

function localDeclarations(locals: readonly ValueType[]): number[] {
  const runs = localRuns(locals)
  const out: number[] = []
  pushU32(out, runs.length)
  for (const { type, count } of runs) {
    pushU32(out, count)
    out.push(type)
  }
  return out
}

function localRuns(locals: readonly ValueType[]): { type: ValueType; count: number }[] {
  const runs: { type: ValueType; count: number }[] = []
  for (const type of locals) {
    const last = runs.at(-1)
    if (last?.type === type) last.count++
    else runs.push({ type, count: 1 })
  }
  return runs
}
