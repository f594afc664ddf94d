/**
 * The interpreter: a WebAssembly module generated from the instruction table.
 *
 * One function runs decoded records, 32 bytes an instruction, and dispatches on a record's handler number. Within a page the
 * record pointer *is* the program counter; leaving the page goes through the code TLB. Registers stay in machine memory, flags in
 * locals as an operation and its operands. Rare instructions live in a second function, so that the hot one stays small enough
 * for the host's optimising compiler and its branch predictor.
 */
import { FlagKind } from '../ir/flags.js'
import type { SystemOperation } from '../ir/semantics.js'
import { Cell } from '../layout.js'
import { registerAddress } from '../state.js'
import { FunctionBuilder, I32, I64, ModuleBuilder, mem, op } from '../wasm/assembler.js'
import { addCrc32 } from '../wasm/crc32.js'
import type { Context, SharedFunctions } from './handler-function.js'
import { type Handler, HandlerTable } from './handlers.js'
import { HotFunction, SpecialHandler } from './hot-function.js'
import { RareFunction } from './rare-function.js'

/** What the module calls. Addresses come as unsigned-in-bits i32 halves; see `processor.ts` for the meaning of each. */
export interface InterpreterImports {
  /** Host address of readable bytes for an access, or 0 if it faults. */
  load(lo: number, hi: number, access: number): number
  /** Host address to write to (the elements stand in the VALUE cells too), or 0 if the access faults. */
  store(lo: number, hi: number, access: number): number
  /** Fills in the record at this address. */
  decode(record: number): void
  /** Fills the code TLB for the PC: 0, or takes an exception: 1. */
  fetch(): number
  /** Does a system operation: 1 if the PC has been set. */
  system(index: number, a: number, b: number): number
  /** Takes the data abort of the access that has just faulted. */
  abort(): void
  /** Takes the exception of an UNDEFINED instruction. */
  undefined(): void
  /** Whether to stop in front of the instruction at the PC: 1; or 0 with its own handler in the record and the run ending behind it. */
  breakpoint(record: number): number
  /** Code has been reached often enough to be worth translating; the PC is at it. */
  hot(record: number): void
}

const PC = registerAddress('pc')

/** A generated interpreter, to be instantiated with {@link InterpreterImports} and the machine's memory. */
export interface GeneratedInterpreter {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** System operations by the index that `system` is called with. */
  readonly operations: readonly SystemOperation[]
  /** Handler number of a handler; for a branch, that of its far variant, to which a `BranchVariant` may be added. */
  numberOf(handler: Handler): number
  /** For a rare handler, its number in the second function; undefined for the others. */
  rareNumberOf(handler: Handler): number | undefined
}

/** The handlers of all instructions; the same for every machine. */
export const handlerTable = new HandlerTable()
const made = new Map<boolean, { readonly code: GeneratedInterpreter; readonly module: WebAssembly.Module }>()

/** The interpreter with or without alignment checks, made on first use and the same for every machine. */
export function interpreterFor(alignmentChecks: boolean): {
  readonly code: GeneratedInterpreter
  readonly module: WebAssembly.Module
} {
  let found = made.get(alignmentChecks)
  if (!found) {
    const code = generateInterpreter(handlerTable, alignmentChecks)
    found = { code, module: new WebAssembly.Module(code.bytes) }
    made.set(alignmentChecks, found)
  }
  return found
}

/**
 * Generates the interpreter.
 *
 * @param alignmentChecks whether every access is checked for alignment (SCTLR_ELx.A): such accesses all go to `load` and `store`.
 */
function generateInterpreter(table: HandlerTable, alignmentChecks: boolean): GeneratedInterpreter {
  const module = new ModuleBuilder(1)
  const imports = {
    load: module.importFunction('load', [I32, I32, I32], [I32]),
    store: module.importFunction('store', [I32, I32, I32], [I32]),
    decode: module.importFunction('decode', [I32]),
    fetch: module.importFunction('fetch', [], [I32]),
    system: module.importFunction('system', [I32, I32, I32], [I32]),
    abort: module.importFunction('abort', []),
    undefined: module.importFunction('undefined', []),
    breakpoint: module.importFunction('breakpoint', [I32], [I32]),
    hot: module.importFunction('hot', [I32]),
  }
  const shared: SharedFunctions = {
    ...imports,
    nzcv: module.add(nzcvFunction(), 'nzcv'),
    slowLoad: module.add(slowAccessFunction(imports.load)),
    slowStore: module.add(slowAccessFunction(imports.store)),
    crc32: addCrc32(module, 0xedb88320, 'crc32'),
    crc32c: addCrc32(module, 0x82f63b78, 'crc32c'),
  }
  const operations: SystemOperation[] = []
  const context: Context = { shared, operations, alignmentChecks }

  const hot = table.handlers.filter((handler) => !handler.rare)
  const rare = table.handlers.filter((handler) => handler.rare)
  const rareFunction = module.add(new RareFunction(context, rare).build())
  const hotFunction = new HotFunction(context, hot, rareFunction)
  module.add(hotFunction.build(), 'run')
  const rareNumbers = new Map(rare.map((handler, number) => [handler, number]))
  return {
    bytes: module.bytes(),
    operations,
    numberOf: (handler) => hotFunction.numbers.get(handler) ?? SpecialHandler.RARE,
    rareNumberOf: (handler) => rareNumbers.get(handler),
  }
}

/** `nzcv(a, b, kind)`: the four flag bits of a flag state. */
function nzcvFunction(): FunctionBuilder {
  const f = new FunctionBuilder([I64, I64, I32], [I32])
  const [a, b, kind] = [0, 1, 2]
  const result = f.local(I64)
  const { i32, i64 } = op
  f.get(kind).i32(FlagKind.NZCV).op(i32.eq).if().get(a).op(i32.wrap_i64).return().end()
  f.get(kind).i32(FlagKind.LOGIC).op(i32.eq).if()
  f.get(a).i64(0, 0).op(i64.lt_s).i32(3).op(i32.shl).get(a).op(i64.eqz).i32(2).op(i32.shl, i32.or).return().end()
  // 32-bit operands move to the top half, where carries and overflows come out as the 64-bit ones do.
  f.get(kind).i32(FlagKind.SUB32).op(i32.eq).get(kind).i32(FlagKind.ADD32).op(i32.eq, i32.or).if()
  f.get(a).i64(32, 0).op(i64.shl).set(a).get(b).i64(32, 0).op(i64.shl).set(b).end()
  const signAndZero = () =>
    f.get(result).i64(0, 0).op(i64.lt_s).i32(3).op(i32.shl).get(result).op(i64.eqz).i32(2).op(i32.shl, i32.or)
  const overflow = (other: () => FunctionBuilder) => {
    other()
    f.get(a).get(result).op(i64.xor, i64.and).i64(0, 0).op(i64.lt_s, i32.or)
  }
  f.get(kind).i32(FlagKind.ADD64).op(i32.lt_u).if(I32)
  f.get(a).get(b).op(i64.sub).set(result)
  signAndZero().get(a).get(b).op(i64.ge_u).i32(1).op(i32.shl, i32.or)
  overflow(() => f.get(a).get(b).op(i64.xor))
  f.else()
  f.get(a).get(b).op(i64.add).set(result)
  signAndZero().get(result).get(a).op(i64.lt_u).i32(1).op(i32.shl, i32.or)
  overflow(() => f.get(b).get(result).op(i64.xor))
  f.end()
  return f
}

/** `slow(va, access, pc, budget)`: notes where the guest is, and calls out with the address in halves. */
function slowAccessFunction(callee: number): FunctionBuilder {
  const f = new FunctionBuilder([I64, I32, I64, I32], [I32])
  f.i32(0).get(2).memory(mem.i64_store, PC)
  f.i32(0).get(3).memory(mem.i32_store, Cell.BUDGET)
  f.get(0).op(op.i32.wrap_i64).get(0).i64(32, 0).op(op.i64.shr_u, op.i32.wrap_i64).get(1).call(callee)
  return f
}
