/** The Arm ARM's shared pseudocode functions, with its names, over the vocabulary of the intermediate representation. */
import { FlagKind, type Flags, nzcvOfSum } from '../ir/flags.js'
import { Value } from '../ir/value.js'

/** A sum and the flags it sets. */
export interface SumWithFlags {
  readonly result: Value
  readonly flags: Flags
}

/** `x + y`, and its flags (`AddWithCarry(x, y, '0')`, Arm ARM shared/functions/integer). */
export function Add(x: Value, y: Value): SumWithFlags {
  const kind = x.width === 'i64' ? FlagKind.ADD64 : FlagKind.ADD32
  return { result: x.add(y), flags: { kind, a: x.signExtend(), b: y.signExtend() } }
}

/** `x - y`, and its flags (`AddWithCarry(x, NOT(y), '1')`). */
export function Subtract(x: Value, y: Value): SumWithFlags {
  const kind = x.width === 'i64' ? FlagKind.SUB64 : FlagKind.SUB32
  return { result: x.sub(y), flags: { kind, a: x.signExtend(), b: y.signExtend() } }
}

/** `x + y + carry`, and its flags: the general case of `AddWithCarry`. `carry` is an i32, 0 or 1. */
export function AddWithCarry(x: Value, y: Value, carry: Value): SumWithFlags {
  const result = x.add(y).add(x.width === 'i64' ? carry.zeroExtend() : carry)
  const nzcv = nzcvOfSum(x, y, result)
  return { result, flags: { kind: FlagKind.NZCV, a: nzcv.zeroExtend(), b: Value.constant('i64', 0) } }
}

/** The flags of a logical result: N and Z from the result, C and V clear. */
export function LogicalFlags(result: Value): Flags {
  return { kind: FlagKind.LOGIC, a: result.signExtend(), b: Value.constant('i64', 0) }
}

/** `ShiftReg`: shift types LSL, LSR, ASR, ROR by an amount of the value's width. */
export function Shift(value: Value, type: number, amount: Value): Value {
  switch (type) {
    case 0:
      return value.shl(amount)
    case 1:
      return value.lsr(amount)
    case 2:
      return value.asr(amount)
    default:
      return value.ror(amount)
  }
}

/** `ExtendReg` without its shift: options UXTB, UXTH, UXTW, UXTX, SXTB, SXTH, SXTW, SXTX of a 64-bit register value. */
export function Extend(value: Value, option: number): Value {
  switch (option) {
    case 0:
      return value.and(0xff)
    case 1:
      return value.and(0xffff)
    case 2:
      return value.low().zeroExtend()
    case 4:
      return value.signExtend8()
    case 5:
      return value.signExtend16()
    case 6:
      return value.signExtend32()
    default:
      return value
  }
}

/** Bits <width-1:0> of `value`, sign-extended: `SignExtend`. */
export function SignExtend(value: number, width: number): number {
  return (value << (32 - width)) >> (32 - width)
}

/** A 64-bit number as [low, high]. */
export type Pair = readonly [number, number]

const ones = (count: number): Pair => [
  count >= 32 ? -1 : (1 << count) - 1,
  count <= 32 ? 0 : count >= 64 ? -1 : (1 << (count - 32)) - 1,
]

/** `DecodeBitMasks`: the immediate of the logical instructions, or undefined if the encoding is reserved. */
export function DecodeBitMasks(immN: number, imms: number, immr: number, sf: number): Pair | undefined {
  const length = 31 - Math.clz32((immN << 6) | (~imms & 0x3f))
  if (length < 1 || (!sf && immN)) return undefined
  const size = 1 << length
  const S = imms & (size - 1)
  const R = immr & (size - 1)
  if (S === size - 1) return undefined
  let [lo, hi] = ones(S + 1)
  for (let filled = size; filled < 64; filled *= 2) {
    if (filled < 32) lo |= lo << filled
    else hi = lo
  }
  if (size === 64) [lo, hi] = rotateRight64(lo, hi, R)
  else {
    lo = rotateElements(lo, size, R)
    hi = lo
  }
  return sf ? [lo, hi] : [lo, 0]
}

/** Rotates each element of `size` (2 to 32) bits of a replicated word. */
function rotateElements(word: number, size: number, by: number): number {
  // The word is periodic, so rotating all 32 bits rotates every element alike.
  const amount = by % size
  return amount === 0 ? word : (word >>> amount) | (word << (32 - amount))
}

/** The pair rotated right by 0 to 63 bits. */
export function rotateRight64(lo: number, hi: number, by: number): [number, number] {
  const [a, b] = by & 32 ? [hi, lo] : [lo, hi]
  const amount = by & 31
  if (amount === 0) return [a, b]
  return [(a >>> amount) | (b << (32 - amount)), (b >>> amount) | (a << (32 - amount))]
}

/** `Ones(count)` as a pair. */
export const Ones = ones
