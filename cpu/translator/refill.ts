/** What translated code calls when the fast TLB does not know an address. */
import { FunctionBuilder, I32, I64, op } from '../wasm/assembler.js'

/** Builds `(va, access)`: passes the address on in halves, since 64-bit numbers cross into TypeScript as objects. */
export function accessFunction(callee: number): FunctionBuilder {
  return new FunctionBuilder([I64, I32], [I32])
    .get(0)
    .op(op.i32.wrap_i64)
    .get(0)
    .i64(32, 0)
    .op(op.i64.shr_u, op.i32.wrap_i64)
    .get(1)
    .call(callee)
}
