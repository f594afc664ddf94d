/** CRC-32 as a WebAssembly function: what the CRC32 and CRC32C instructions compute (Arm ARM DDI 0487, C6.2.74). */
import { FunctionBuilder, I32, I64, Label, type ModuleBuilder, op } from './assembler.js'

/**
 * Adds `crc(acc, value, bytes)` for a polynomial in reflected form. It works on the low `bytes` bytes of `value`, least significant
 * bit first, without a table: one conditional xor a bit.
 *
 * @returns the function's index.
 */
export function addCrc32(module: ModuleBuilder, reflectedPolynomial: number, exportName: string): number {
  const f = new FunctionBuilder([I32, I64, I32], [I32])
  const [acc, value, bytes] = [0, 1, 2]
  const bits = f.local(I32)
  const state = f.local(I64)
  const loop = new Label()
  // The accumulator enters at the low end; the bits above it are message bits that have not met it yet.
  f.get(bytes).i32(3).op(op.i32.shl).set(bits)
  f.get(value).i64(-1, -1).i32(64).get(bits).op(op.i32.sub, op.i64.extend_i32_u, op.i64.shr_u, op.i64.and)
  f.get(acc).op(op.i64.extend_i32_u, op.i64.xor).set(state)
  f.loop(loop)
  f.get(state).i64(1, 0).op(op.i64.shr_u)
  f.i64(0, 0)
    .get(state)
    .i64(1, 0)
    .op(op.i64.and, op.i64.sub)
    .i64(reflectedPolynomial, 0)
    .op(op.i64.and, op.i64.xor)
    .set(state)
  f.get(bits).i32(1).op(op.i32.sub).tee(bits).brIf(loop)
  f.end()
  f.get(state).op(op.i32.wrap_i64)
  return module.add(f, exportName)
}
