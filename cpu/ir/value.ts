/**
 * Values of the intermediate representation: typed expressions over registers, operands and constants.
 *
 * A value is built by methods named after what they do (`a.add(b).shl(3)`), folds constants as it is built, and says nothing about
 * how it will be computed; back ends walk the expression. Sharing is by identity: a value used twice is computed once.
 */
import { type MemoryOp, op } from '../wasm/assembler.js'

/** The widths of a value. */
export type Width = 'i32' | 'i64'

/** Binary operators; each exists in both widths. Comparisons yield an i32 truth value. */
export type BinaryOp =
  | 'add' | 'sub' | 'mul' | 'div_s' | 'div_u' | 'and' | 'or' | 'xor' | 'shl' | 'shr_s' | 'shr_u' | 'rotr'
  | 'eq' | 'ne' | 'lt_s' | 'lt_u' | 'gt_s' | 'gt_u' | 'le_s' | 'le_u' | 'ge_s' | 'ge_u' // prettier-ignore

const COMPARISONS = new Set<BinaryOp>(['eq', 'ne', 'lt_s', 'lt_u', 'gt_s', 'gt_u', 'le_s', 'le_u', 'ge_s', 'ge_u'])

/** What a value is computed from. */
export type Source =
  | { readonly kind: 'const'; readonly lo: number; readonly hi: number }
  /** A general-purpose register; `name` is what the back end knows it by. */
  | { readonly kind: 'register'; readonly name: string; readonly sp: boolean }
  /** An operand of the instruction that is not known yet. */
  | { readonly kind: 'operand'; readonly slot: number }
  /** The address of the instruction. */
  | { readonly kind: 'pc' }
  /** A word of machine state at a fixed place in machine memory. */
  | { readonly kind: 'cell'; readonly address: number; readonly access: MemoryOp }
  /** The same, at an address that is an operand. */
  | { readonly kind: 'indirect'; readonly address: Value; readonly access: MemoryOp }
  | { readonly kind: 'unary'; readonly opcode: number; readonly argument: Value }
  | { readonly kind: 'binary'; readonly opcode: number; readonly left: Value; readonly right: Value }
  | { readonly kind: 'select'; readonly condition: Value; readonly yes: Value; readonly no: Value }
  /** What a memory read returned. */
  | { readonly kind: 'loaded' }
  /** Whether a condition holds (Arm ARM `ConditionHolds`). */
  | { readonly kind: 'condition'; readonly cond: number }
  /** PSTATE.NZCV as four bits, N in bit 3. */
  | { readonly kind: 'nzcv' }
  /** A call of one of the back end's helper functions. */
  | { readonly kind: 'intrinsic'; readonly name: Intrinsic; readonly args: readonly Value[] }

/** Functions that generated code may call: `crc32(acc, value, bytes)` and `crc32c`, on the polynomial's reflected form. */
export type Intrinsic = 'crc32' | 'crc32c'

/** An expression of known width. */
export class Value {
  readonly width: Width
  readonly source: Source

  constructor(width: Width, source: Source) {
    this.width = width
    this.source = source
  }

  /** A constant from halves; `hi` matters for 64 bits only. */
  static constant(width: Width, lo: number, hi = lo < 0 ? -1 : 0): Value {
    return new Value(width, { kind: 'const', lo: lo | 0, hi: width === 'i32' ? 0 : hi | 0 })
  }

  /** The constant's low half if the value is a constant that fits 32 bits when sign-extended; undefined otherwise. */
  get small(): number | undefined {
    const { source } = this
    if (source.kind !== 'const') return undefined
    return this.width === 'i32' || source.hi === source.lo >> 31 ? source.lo : undefined
  }

  add(other: Value | number): Value {
    return this.binary('add', other)
  }
  sub(other: Value | number): Value {
    return this.binary('sub', other)
  }
  mul(other: Value | number): Value {
    return this.binary('mul', other)
  }
  /** Signed quotient; the caller keeps zero divisors and overflow away (they trap). */
  divS(other: Value | number): Value {
    return this.binary('div_s', other)
  }
  /** Unsigned quotient; the caller keeps zero divisors away (they trap). */
  divU(other: Value | number): Value {
    return this.binary('div_u', other)
  }
  and(other: Value | number): Value {
    return this.binary('and', other)
  }
  or(other: Value | number): Value {
    return this.binary('or', other)
  }
  xor(other: Value | number): Value {
    return this.binary('xor', other)
  }
  not(): Value {
    return this.binary('xor', -1)
  }
  /** Shifts and rotations take their amount modulo the width, as WebAssembly's do. */
  shl(amount: Value | number): Value {
    return this.binary('shl', amount)
  }
  lsr(amount: Value | number): Value {
    return this.binary('shr_u', amount)
  }
  asr(amount: Value | number): Value {
    return this.binary('shr_s', amount)
  }
  ror(amount: Value | number): Value {
    return this.binary('rotr', amount)
  }
  /** A comparison; the result is an i32, 0 or 1. */
  compare(how: BinaryOp & ('eq' | 'ne' | `${'lt' | 'gt' | 'le' | 'ge'}_${'s' | 'u'}`), other: Value | number): Value {
    return this.binary(how, other)
  }
  isZero(): Value {
    return this.unary('i32', this.width === 'i32' ? op.i32.eqz : op.i64.eqz)
  }
  clz(): Value {
    return this.unary(this.width, op[this.width].clz)
  }
  /** Bits <7:0> sign-extended to the width. */
  signExtend8(): Value {
    return this.unary(this.width, op[this.width].extend8_s)
  }
  signExtend16(): Value {
    return this.unary(this.width, op[this.width].extend16_s)
  }
  signExtend32(): Value {
    return this.unary('i64', op.i64.extend32_s)
  }
  /** The low 32 bits, as an i32. */
  low(): Value {
    if (this.width === 'i32') return this
    const { source } = this
    if (source.kind === 'const') return Value.constant('i32', source.lo)
    if (source.kind === 'unary' && (source.opcode === op.i64.extend_i32_u || source.opcode === op.i64.extend_i32_s))
      return source.argument
    return this.unary('i32', op.i32.wrap_i64)
  }
  /** Zero-extended to 64 bits. */
  zeroExtend(): Value {
    if (this.width === 'i64') return this
    if (this.source.kind === 'const') return Value.constant('i64', this.source.lo, 0)
    return this.unary('i64', op.i64.extend_i32_u)
  }
  /** Sign-extended to 64 bits. */
  signExtend(): Value {
    if (this.width === 'i64') return this
    if (this.source.kind === 'const') return Value.constant('i64', this.source.lo)
    return this.unary('i64', op.i64.extend_i32_s)
  }
  /** `this` if the i32 `condition` is not zero, else `otherwise`; both are computed. */
  when(condition: Value, otherwise: Value): Value {
    const known = condition.small
    if (known !== undefined) return known !== 0 ? this : otherwise
    return new Value(this.width, { kind: 'select', condition, yes: this, no: otherwise })
  }

  private unary(width: Width, opcode: number): Value {
    return new Value(width, { kind: 'unary', opcode, argument: this })
  }

  private binary(name: BinaryOp, other: Value | number): Value {
    const right = typeof other === 'number' ? Value.constant(this.width, other) : other
    if (right.width !== this.width) throw new Error(`${name} of ${this.width} and ${right.width}`)
    const folded = fold(name, this, right)
    if (folded) return folded
    const width = COMPARISONS.has(name) ? 'i32' : this.width
    return new Value(width, { kind: 'binary', opcode: op[this.width][name], left: this, right })
  }
}

/** Neutral and absorbing constants, and 32-bit arithmetic of small constants; undefined where nothing is known. */
function fold(name: BinaryOp, left: Value, right: Value): Value | undefined {
  const a = left.small
  const b = right.small
  if (
    b === 0 &&
    (name === 'add' ||
      name === 'sub' ||
      name === 'or' ||
      name === 'xor' ||
      name === 'shl' ||
      name === 'shr_s' ||
      name === 'shr_u' ||
      name === 'rotr')
  )
    return left
  if (a === 0 && (name === 'add' || name === 'or' || name === 'xor')) return right
  if (b === -1 && name === 'and') return left
  if ((a === 0 || b === 0) && name === 'and') return Value.constant(left.width, 0)
  if (left.width === 'i32' && a !== undefined && b !== undefined) {
    switch (name) {
      case 'add':
        return Value.constant('i32', (a + b) | 0)
      case 'sub':
        return Value.constant('i32', (a - b) | 0)
      case 'and':
        return Value.constant('i32', a & b)
      case 'or':
        return Value.constant('i32', a | b)
      case 'xor':
        return Value.constant('i32', a ^ b)
      case 'shl':
        return Value.constant('i32', a << (b & 31))
      default:
        return undefined
    }
  }
  return undefined
}

/** The values that a value is computed from. */
export function partsOf({ source }: Value): readonly Value[] {
  switch (source.kind) {
    case 'unary':
      return [source.argument]
    case 'binary':
      return [source.left, source.right]
    case 'select':
      return [source.yes, source.no, source.condition]
    case 'indirect':
      return [source.address]
    case 'intrinsic':
      return source.args
    default:
      return []
  }
}
