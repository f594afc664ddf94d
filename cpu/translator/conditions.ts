/** Conditions on flags whose kind is known: mostly one comparison of the operands that set them. */
import { CONDITION_MASKS, FlagKind } from '../ir/flags.js'
import { type FunctionBuilder, op } from '../wasm/assembler.js'

/** Condition codes in pairs: each even one, and with bit 0 set its opposite (Arm ARM `ConditionHolds`). */
const Cond = { EQ: 0, CS: 1, MI: 2, VS: 3, HI: 4, GE: 5, GT: 6 } as const

/**
 * Leaves on the stack whether condition `cond` (0 to 13) holds.
 *
 * @param kind that of the flags in the locals `a` and `b`; undefined if not known.
 * @param nzcv leaves PSTATE.NZCV on the stack.
 */
export function staticCondition(
  f: FunctionBuilder,
  cond: number,
  kind: FlagKind | undefined,
  a: number,
  b: number,
  nzcv: () => void,
): void {
  const holds = kind === undefined ? undefined : byKind[kind](cond >> 1)
  if (!holds) {
    f.i32(CONDITION_MASKS[cond])
    nzcv()
    f.op(op.i32.shr_u).i32(1).op(op.i32.and)
    return
  }
  holds(f, a, b)
  if (cond & 1) f.op(op.i32.eqz)
}

type Emit = (f: FunctionBuilder, a: number, b: number) => void
type ByCondition = (cond: number) => Emit | undefined

/** Pushes both operands, narrowed if they are of 32 bits. */
const both = (f: FunctionBuilder, a: number, b: number, narrow: boolean): void => {
  f.get(a)
  if (narrow) f.op(op.i32.wrap_i64)
  f.get(b)
  if (narrow) f.op(op.i32.wrap_i64)
}

/** After `a - b`. */
function subtraction(narrow: boolean): ByCondition {
  const ops = narrow ? op.i32 : op.i64
  const direct: Partial<Record<number, number>> = {
    [Cond.EQ]: ops.eq,
    [Cond.CS]: ops.ge_u,
    [Cond.HI]: ops.gt_u,
    [Cond.GE]: ops.ge_s,
    [Cond.GT]: ops.gt_s,
  }
  return (cond) => {
    const comparison = direct[cond]
    if (comparison !== undefined)
      return (f, a, b) => {
        both(f, a, b, narrow)
        f.op(comparison)
      }
    if (cond !== Cond.MI) return undefined
    return (f, a, b) => {
      both(f, a, b, narrow)
      f.op(ops.sub)
      negative(f, narrow)
    }
  }
}

/** After `a + b`. */
function addition(narrow: boolean): ByCondition {
  const ops = narrow ? op.i32 : op.i64
  return (cond) => {
    if (cond === Cond.EQ)
      return (f, a, b) => {
        both(f, a, b, narrow)
        f.op(ops.add, ops.eqz)
      }
    if (cond === Cond.MI)
      return (f, a, b) => {
        both(f, a, b, narrow)
        f.op(ops.add)
        negative(f, narrow)
      }
    if (cond !== Cond.CS) return undefined
    return (f, a, b) => {
      both(f, a, b, narrow)
      f.op(ops.add).get(a)
      if (narrow) f.op(op.i32.wrap_i64)
      f.op(ops.lt_u)
    }
  }
}

const negative = (f: FunctionBuilder, narrow: boolean): void => {
  if (narrow) f.i32(0).op(op.i32.lt_s)
  else f.i64(0, 0).op(op.i64.lt_s)
}

/** After a logical operation with result `a`: C and V are clear. */
const logic: ByCondition = (cond) => (f, a) => {
  switch (cond) {
    case Cond.EQ:
      return f.get(a).op(op.i64.eqz)
    case Cond.MI:
      return f.get(a).i64(0, 0).op(op.i64.lt_s)
    case Cond.GE:
      return f.get(a).i64(0, 0).op(op.i64.ge_s)
    case Cond.GT:
      return f.get(a).i64(0, 0).op(op.i64.gt_s)
    default:
      return f.i32(0)
  }
}

const byKind: Readonly<Record<FlagKind, ByCondition>> = {
  [FlagKind.SUB64]: subtraction(false),
  [FlagKind.SUB32]: subtraction(true),
  [FlagKind.LOGIC]: logic,
  [FlagKind.ADD64]: addition(false),
  [FlagKind.ADD32]: addition(true),
  [FlagKind.NZCV]: () => undefined,
}
