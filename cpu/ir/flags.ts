/**
 * Flag states: NZCV as the operation that set it, computed only when something asks.
 *
 * Every condition can be had from the operands of an addition or a comparison, most of them by one comparison of the host's.
 */
import { Value } from './value.js'

/**
 * How a flag state is kept: an operation and its operands. 32-bit operands are kept sign-extended, which preserves every comparison.
 */
export const FlagKind = { SUB64: 0, SUB32: 1, LOGIC: 2, ADD64: 3, ADD32: 4, NZCV: 5 } as const
export type FlagKind = (typeof FlagKind)[keyof typeof FlagKind]

/** A flag state: the NZCV of `a - b`, `a + b`, of the result `a` (LOGIC, with b = 0), or the four bits in `a` (NZCV). All i64. */
export interface Flags {
  readonly kind: FlagKind
  readonly a: Value
  readonly b: Value
}

/** A bit for each NZCV value with which `cond` holds: `ConditionHolds` as a table. */
export function conditionMask(cond: number): number {
  let mask = 0
  for (let nzcv = 0; nzcv < 16; nzcv++) {
    const [n, z, c, v] = [nzcv & 8, nzcv & 4, nzcv & 2, nzcv & 1].map(Boolean)
    const holds = [z, c, n, v, c && !z, n === v, n === v && !z, true][cond >> 1]
    // NV holds always, as AL does.
    if (holds !== ((cond & 1) === 1 && cond !== 15)) mask |= 1 << nzcv
  }
  return mask
}

/** {@link conditionMask} of each condition. */
export const CONDITION_MASKS: readonly number[] = Array.from({ length: 16 }, (_, cond) => conditionMask(cond))

/** NZCV of a sum, `result` being that of `x`, `y` and a carry: an i32. */
export function nzcvOfSum(x: Value, y: Value, result: Value): Value {
  const top = x.width === 'i64' ? 63 : 31
  const carryOut = x.and(y).or(x.or(y).and(result.not())).lsr(top)
  const overflow = x.xor(result).and(y.xor(result)).lsr(top)
  return result.lsr(top).low().shl(3).or(result.isZero().shl(2)).or(carryOut.low().shl(1)).or(overflow.low())
}

/** NZCV of the flags of an addition or a comparison, as an i32. */
export function nzcvOf({ kind, a, b }: Flags): Value {
  const narrow = kind === FlagKind.SUB32 || kind === FlagKind.ADD32
  const [x, y] = narrow ? [a.low(), b.low()] : [a, b]
  if (kind === FlagKind.ADD64 || kind === FlagKind.ADD32) return nzcvOfSum(x, y, x.add(y))
  if (kind === FlagKind.SUB64 || kind === FlagKind.SUB32) return nzcvOfSum(x, y.not(), x.sub(y))
  throw new Error(`flags of kind ${kind} are not those of a sum`)
}

/** The least and the greatest signed number. */
const extremes = (kind: FlagKind): readonly [Value, Value] =>
  kind === FlagKind.SUB32 || kind === FlagKind.ADD32
    ? [Value.constant('i64', -0x8000_0000), Value.constant('i64', 0x7fff_ffff)]
    : [Value.constant('i64', 0, -0x8000_0000), Value.constant('i64', -1, 0x7fff_ffff)]

/** Operands whose comparison or sum (as `kind` says) sets NZCV to these four bits; undefined if there are none. */
export function operandsWithFlags(kind: FlagKind, nzcv: number): readonly [Value, Value] | undefined {
  const n = (value: number) => Value.constant('i64', value)
  const [least, greatest] = extremes(kind)
  const table: Readonly<Record<number, readonly [Value, Value]>> =
    kind === FlagKind.SUB64 || kind === FlagKind.SUB32
      ? { 0: [n(0), n(-1)], 2: [n(1), n(0)], 3: [least, n(1)], 6: [n(0), n(0)], 8: [n(0), n(1)], 9: [greatest, n(-1)], 10: [n(-1), n(0)] } // prettier-ignore
      : { 0: [n(0), n(1)], 2: [n(-1), n(2)], 3: [least, n(-1)], 4: [n(0), n(0)], 6: [n(-1), n(1)], 7: [least, least], 8: [n(-1), n(0)], 9: [greatest, n(1)], 10: [n(-1), n(-1)] } // prettier-ignore
  return table[nzcv]
}
