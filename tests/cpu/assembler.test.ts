/** The WebAssembly assembler: LEB128 numbers against a model in BigInt, and modules that an engine accepts and runs. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FunctionBuilder, I32, I64, Label, ModuleBuilder, op } from '../../cpu/wasm/assembler.js'

/** Signed LEB128 (WebAssembly Core, 5.2.2): groups of seven bits until the rest is all sign. */
function signed(value: bigint): number[] {
  const byte = Number(value & 0x7fn)
  const rest = value >> 7n
  const done = rest === (byte & 0x40 ? -1n : 0n)
  return done ? [byte] : [byte | 0x80, ...signed(rest)]
}

function unsigned(value: bigint): number[] {
  return value < 0x80n ? [Number(value)] : [Number(value & 0x7fn) | 0x80, ...unsigned(value >> 7n)]
}

const edges = Array.from({ length: 64 }, (_, bit) => [1n << BigInt(bit), (1n << BigInt(bit)) - 1n, -(1n << BigInt(bit)), -(1n << BigInt(bit)) - 1n]).flat() // prettier-ignore
const i64s = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.constantFrom(...edges.map((n) => BigInt.asIntN(64, n)))) // prettier-ignore

describe('LEB128', () => {
  test('32-bit constants', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.integer(),
          i64s.map((n) => Number(BigInt.asIntN(32, n))),
        ),
        (n) => {
          expect(new FunctionBuilder([]).i32(n).code).toEqual([0x41, ...signed(BigInt(n))])
        },
      ),
      { numRuns: 1000 },
    )
  })

  test('64-bit constants, from signed or unsigned halves', () => {
    fc.assert(
      fc.property(i64s, (n) => {
        const expected = [0x42, ...signed(n)]
        const [lo, hi] = [BigInt.asIntN(32, n), BigInt.asIntN(32, n >> 32n)]
        expect(new FunctionBuilder([]).i64(Number(lo), Number(hi)).code).toEqual(expected)
        expect(
          new FunctionBuilder([]).i64(Number(BigInt.asUintN(32, lo)), Number(BigInt.asUintN(32, hi))).code,
        ).toEqual(expected)
      }),
      { numRuns: 1000 },
    )
  })

  test('indices and offsets', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), (n) => {
        expect(new FunctionBuilder([]).get(n).code).toEqual([0x20, ...unsigned(BigInt(n))])
        expect(new FunctionBuilder([]).memory([0x28, 2], n).code).toEqual([0x28, 0, ...unsigned(BigInt(n))])
      }),
    )
  })
})

/** The exported `f` of a module with these functions. */
function run(...functions: FunctionBuilder[]): (...args: (number | bigint)[]) => number | bigint {
  const module = new ModuleBuilder(1)
  functions.forEach((f, i) => module.add(f, i === functions.length - 1 ? 'f' : undefined))
  const memory = new WebAssembly.Memory({ initial: 1 })
  return new WebAssembly.Instance(new WebAssembly.Module(module.bytes()), { env: { memory } }).exports['f'] as never
}

describe('modules', () => {
  test('constants come back as they went in', () => {
    fc.assert(
      fc.property(i64s, (n) => {
        const f = new FunctionBuilder([], [I64]).i64(Number(BigInt.asIntN(32, n)), Number(BigInt.asIntN(32, n >> 32n)))
        expect(run(f)()).toBe(n)
      }),
    )
  })

  test('branches leave the construct that they name', () => {
    // n => [10, 20, 30][n] ?? 40, by nested blocks and a jump table
    const f = new FunctionBuilder([I32], [I32])
    const cases = [new Label(), new Label(), new Label()]
    const otherwise = new Label()
    f.block(otherwise)
    for (const label of [...cases].toReversed()) f.block(label)
    f.get(0).brTable(cases, otherwise)
    f.end().i32(10).return()
    f.end().i32(20).return()
    f.end().i32(30).return()
    f.end().i32(40)
    expect([0, 1, 2, 3, -1].map((n) => run(f)(n))).toEqual([10, 20, 30, 40, 40])
  })

  test('locals of several types, a loop and a call', () => {
    const square = new FunctionBuilder([I64], [I64]).get(0).get(0).op(op.i64.mul)
    const f = new FunctionBuilder([I32], [I64])
    const sum = f.local(I64)
    const count = f.local(I32)
    const loop = new Label()
    f.loop(loop)
    f.get(sum).get(count).op(op.i64.extend_i32_u).call(0).op(op.i64.add).set(sum)
    f.get(count).i32(1).op(op.i32.add).tee(count).get(0).op(op.i32.lt_u).brIf(loop)
    f.end()
    f.get(sum)
    expect(run(square, f)(10)).toBe(285n)
  })

  test('an import after a function is refused', () => {
    const module = new ModuleBuilder(1)
    module.add(new FunctionBuilder([]))
    expect(() => module.importFunction('late', [])).toThrow('import of late after the first function')
  })
})
