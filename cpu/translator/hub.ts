/**
 * The hub: the loop that takes execution from one region of translated code to the next, and to the interpreter in between.
 *
 * It finds a region by the code TLB and the number that stands at the instruction in its decoded page, so that indirect branches, calls into
 * other pages and returns need no table of their own, and a region is found whatever the address space it is seen from.
 */
import { FlagKind } from '../ir/flags.js'
import { CODE_TLB, Cell, HEAT, HEAT_COUNTERS, RECORD_SHIFT, RECORD_SIZE, REGION_NUMBERS } from '../layout.js'
import { STATE_BASE } from '../machine-memory.js'
import { CPU_STATE, registerAddress } from '../state.js'
import { FunctionBuilder, I32, I64, Label, ModuleBuilder, mem, op } from '../wasm/assembler.js'

const PC = registerAddress('pc')
const NZCV = STATE_BASE + CPU_STATE.offsetOf('nzcv')

/** A region: `region(budget, page)` with the virtual address of the page that it begins in; returns what is left of the budget. */
export const REGION_SIGNATURE = { params: [I32, I64], results: [I32] } as const

/** What the hub calls, beside the functions of `env.table`. */
export interface HubImports {
  /** The interpreter: `interpret(budget, pass)`. */
  readonly interpret: unknown
  /** The interpreter's `nzcv(a, b, kind)`. */
  readonly nzcv: unknown
  /** Code has been reached often enough to be worth translating; the PC is at it. */
  hot(record: number): void
}

/** The bytes of a module that exports `run(budget)`. */
export function generateHub(): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(1)
  module.importTable()
  const interpret = module.importFunction('interpret', [I32, I32], [I32])
  const nzcv = module.importFunction('nzcv', [I64, I64, I32], [I32])
  const hot = module.importFunction('hot', [I32])
  const f = new FunctionBuilder([I32], [I32])
  const budget = 0
  const before = f.local(I32)
  const pc = f.local(I64)
  const entry = f.local(I32)
  const records = f.local(I32)
  const number = f.local(I32)
  const counter = f.local(I32)
  const pass = f.local(I32)
  const [next, interpreted, done] = [new Label(), new Label(), new Label()]

  f.i32(0).i32(0).memory(mem.i64_load32_u, NZCV).memory(mem.i64_store, Cell.FLAG_A)
  f.i32(0).i32(FlagKind.NZCV).memory(mem.i32_store, Cell.FLAG_KIND)
  f.block(done).loop(next).i32(0).set(pass).block(interpreted)

  // Where the PC leads. A miss is the interpreter's to resolve: it may be an abort.
  f.i32(0).memory(mem.i64_load, PC).tee(pc).i64(8, 0).op(op.i64.shr_u, op.i32.wrap_i64).i32(0xff0).op(op.i32.and)
  f.i32(0).memory(mem.i32_load, Cell.REGIME).op(op.i32.add).tee(entry).memory(mem.i64_load, CODE_TLB)
  f.get(pc).i64(~0xffc, -1).op(op.i64.and, op.i64.ne).brIf(interpreted)
  f.get(entry)
    .memory(mem.i32_load, CODE_TLB + 8)
    .tee(records)
  f.get(pc).op(op.i32.wrap_i64).i32(0xffc).op(op.i32.and).tee(entry).i32(1).op(op.i32.shr_u, op.i32.add)
  f.memory(mem.i32_load16_u, REGION_NUMBERS).tee(number).if()
  f.get(budget).tee(before).get(pc).i64(~0xfff, -1).op(op.i64.and).get(number)
  f.callIndirect(module.type(REGION_SIGNATURE)).set(budget)
  f.i32(0).memory(mem.i32_load, Cell.STEP).if()
  // One instruction for the interpreter; the rest of the budget waits.
  f.i32(0).i32(0).memory(mem.i32_store, Cell.STEP)
  f.i32(0).get(budget).i32(1).op(op.i32.sub).memory(mem.i32_store, Cell.KEPT)
  f.i32(1).i32(1).call(interpret).set(budget)
  f.i32(0).i32(0).memory(mem.i32_store, Cell.KEPT)
  f.get(budget).op(op.i32.eqz).i32(0).memory(mem.i32_load, Cell.STOP).op(op.i32.or).brIf(done)
  f.br(next).end()
  f.get(budget).op(op.i32.eqz).brIf(done)
  // A region that did nothing has too little budget, or is for another regime: the interpreter passes over its begin.
  f.get(budget).get(before).op(op.i32.ne).brIf(next).i32(1).set(pass)
  f.else()
  f.get(records).get(entry).i32(RECORD_SHIFT).op(op.i32.shl, op.i32.add).tee(number)
  f.i32(Math.log2(RECORD_SIZE) - 2)
    .op(op.i32.shr_u)
    .i32((HEAT_COUNTERS - 1) << 2)
    .op(op.i32.and)
    .tee(counter)
  f.get(counter).memory(mem.i32_load, HEAT).i32(1).op(op.i32.add).tee(before).memory(mem.i32_store, HEAT)
  f.get(before).i32(0).memory(mem.i32_load, Cell.THRESHOLD).op(op.i32.eq).expect(false).if()
  f.get(number).call(hot).end()
  f.end()

  f.end()
  f.get(budget).get(pass).call(interpret).tee(budget).op(op.i32.eqz)
  f.i32(0).memory(mem.i32_load, Cell.STOP).op(op.i32.or).brIf(done)
  f.br(next).end().end()

  f.i32(0)
  f.i32(0).memory(mem.i64_load, Cell.FLAG_A).i32(0).memory(mem.i64_load, Cell.FLAG_B)
  f.i32(0).memory(mem.i32_load, Cell.FLAG_KIND).call(nzcv).memory(mem.i32_store, NZCV)
  f.get(budget)
  module.add(f, 'run')
  return module.bytes()
}
