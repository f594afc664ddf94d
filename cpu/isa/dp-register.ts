/** Data processing, register (Arm ARM DDI 0487, C4.1.95): logical, add/subtract, carry, conditional, one, two and three sources. */
import type { Semantics } from '../ir/semantics.js'
import { Value } from '../ir/value.js'
import { X, XSP, condition, extended, hex, shift, text } from './assembly.js'
import { insn } from './instruction.js'
import type { RegisterOperand } from './pattern.js'
import { conditionMask } from '../ir/flags.js'
import { Add, AddWithCarry, Extend, LogicalFlags, Shift, Subtract } from './pseudocode.js'

const widthOf = (sf: number) => (sf ? 'i64' : 'i32')

/** The second operand of the shifted-register forms; split 0 is a shift by nothing. */
function shiftedRegister<Raw extends { imm6: number }>(
  c: Semantics<Raw>,
  Rm: RegisterOperand,
  f: { sf: number; shift: number; split: number },
): Value {
  const value = c.X(Rm, f.sf)
  return f.split === 0
    ? value
    : Shift(
        value,
        f.shift,
        c.operand(widthOf(f.sf), (raw) => raw.imm6),
      )
}

const byShift = { count: 2, of: (raw: { imm6: number; shift: number }) => (raw.imm6 === 0 ? 0 : 1) }

const LOGICAL_SHIFTED = insn(
  'sf:1 opc:2 01010 shift:2 N:1 Rm:5 imm6:6 Rn:5 Rd:5',
  'AND/BIC/ORR/ORN/EOR/EON/ANDS/BICS (shifted register)',
  {
    allocated: (raw) => raw.sf === 1 || raw.imm6 < 32,
    split: byShift,
    rare: ({ N, opc, split }) => N === 1 && opc !== 3 && split === 1,
    asm: logicalShifted,
    exec(c, f) {
      const operand1 = c.X(f.Rn, f.sf)
      const shifted = shiftedRegister(c, f.Rm, f)
      const operand2 = f.N ? shifted.not() : shifted
      const result = f.opc === 1 ? operand1.or(operand2) : f.opc === 2 ? operand1.xor(operand2) : operand1.and(operand2)
      if (f.opc === 3) c.setFlags(LogicalFlags(result))
      c.setX(f.Rd, result)
    },
  },
)

const ADD_SUB_SHIFTED = insn('sf:1 op:1 S:1 01011 shift:2 0 Rm:5 imm6:6 Rn:5 Rd:5', 'ADD/SUB (shifted register)', {
  allocated: (raw) => raw.shift !== 3 && (raw.sf === 1 || raw.imm6 < 32),
  split: byShift,
  asm: ({ sf, op, S, Rd, Rn, Rm, shift: type, imm6 }) =>
    addSubtract({ sf, op, S, Rd, Rn }, X(Rd, sf), X(Rn, sf), X(Rm, sf), shift(type, imm6)),
  exec(c, f) {
    if (f.shift === 3) return c.UNDEFINED()
    const operand1 = c.X(f.Rn, f.sf)
    const operand2 = shiftedRegister(c, f.Rm, f)
    const { result, flags } = f.op ? Subtract(operand1, operand2) : Add(operand1, operand2)
    if (f.S) c.setFlags(flags)
    return c.setX(f.Rd, result)
  },
})

const ADD_SUB_EXTENDED = insn(
  'sf:1 op:1 S:1 01011 00 1 Rm:5 option:3 imm3:3 Rn:5 Rd:5',
  'ADD/SUB (extended register)',
  {
    allocated: (raw) => raw.imm3 <= 4,
    // Compilers extend words; bytes and halfwords are extended by the load.
    rare: ({ S, option }) => S === 0 && (option & 3) < 2,
    asm: addSubtractExtended,
    exec(c, f) {
      const operand1 = c.XSP(f.Rn, f.sf)
      const wide = Extend(c.X(f.Rm), f.option).shl(c.operand('i64', (raw) => raw.imm3))
      const operand2 = f.sf ? wide : wide.low()
      const { result, flags } = f.op ? Subtract(operand1, operand2) : Add(operand1, operand2)
      if (f.S) {
        c.setFlags(flags)
        c.setX(f.Rd, result)
      } else c.setXSP(f.Rd, result)
    },
  },
)

const ADD_SUB_CARRY = insn('sf:1 op:1 S:1 11010000 Rm:5 000000 Rn:5 Rd:5', 'ADC/SBC', {
  asm({ sf, op, S, Rd, Rn, Rm }) {
    const mnemonic = (op ? (Rn === 31 ? 'ngc' : 'sbc') : 'adc') + (S ? 's' : '')
    return text(mnemonic, X(Rd, sf), op && Rn === 31 ? undefined : X(Rn, sf), X(Rm, sf))
  },
  exec(c, f) {
    const carry = c.NZCV.lsr(1).and(1)
    const operand2 = c.X(f.Rm, f.sf)
    const { result, flags } = AddWithCarry(c.X(f.Rn, f.sf), f.op ? operand2.not() : operand2, carry)
    if (f.S) c.setFlags(flags)
    c.setX(f.Rd, result)
  },
})

/** The condition is an operand here: a handler for each of them would crowd the interpreter for an instruction that is not that common. */
const CONDITIONAL_COMPARE = insn('sf:1 op:1 1 11010010 Rm:5 immcond:4 imm:1 0 Rn:5 0 nzcv:4', 'CCMN/CCMP', {
  split: { count: 2, of: (raw) => raw.imm },
  asm: ({ sf, op, imm, Rn, Rm, nzcv, immcond }) =>
    text(op ? 'ccmp' : 'ccmn', X(Rn, sf), imm ? hex(Rm) : X(Rm, sf), hex(nzcv), condition(immcond)),
  exec(c, f) {
    const operand1 = c.X(f.Rn, f.sf)
    const operand2 = f.split ? c.operand(widthOf(f.sf), (raw) => raw.Rm) : c.X(f.Rm, f.sf)
    const { flags } = f.op ? Subtract(operand1, operand2) : Add(operand1, operand2)
    const otherwise = c.operand('i32', (raw) => raw.nzcv)
    c.setFlagsIf(c.ConditionHoldsIn(c.operand('i32', (raw) => conditionMask(raw.immcond))), flags, otherwise)
  },
})

const CONDITIONAL_SELECT = insn('sf:1 0 0 11010100 Rm:5 cond:4 0 o2:1 Rn:5 Rd:5', 'CSEL/CSINC', {
  asm: (raw) => conditionalSelect({ ...raw, op: 0 }),
  exec(c, f) {
    const source = c.X(f.Rm, f.sf)
    const otherwise = f.o2 ? source.add(1) : source
    c.setX(f.Rd, c.X(f.Rn, f.sf).when(c.ConditionHolds(f.cond), otherwise))
  },
})

/** Less common than the selects above: here too the condition is an operand. */
const CONDITIONAL_INVERT = insn('sf:1 1 0 11010100 Rm:5 immcond:4 0 o2:1 Rn:5 Rd:5', 'CSINV/CSNEG', {
  asm: (raw) => conditionalSelect({ ...raw, op: 1, cond: raw.immcond }),
  exec(c, f) {
    const inverted = c.X(f.Rm, f.sf).not()
    const otherwise = f.o2 ? inverted.add(1) : inverted
    const holds = c.ConditionHoldsIn(c.operand('i32', (raw) => conditionMask(raw.immcond)))
    c.setX(f.Rd, c.X(f.Rn, f.sf).when(holds, otherwise))
  },
})

/** Swaps neighbouring groups of `bits` bits throughout `value`, given the mask of the lower group of each pair. */
function swapGroups(value: Value, bits: number, mask: Value): Value {
  return value.lsr(bits).and(mask).or(value.and(mask).shl(bits))
}

function repeated(width: 'i32' | 'i64', word: number): Value {
  return Value.constant(width, word, word)
}

/** Reverses the bytes in each container of `bytes` bytes. */
function reverseBytes(value: Value, bytes: number): Value {
  let result = swapGroups(value, 8, repeated(value.width, 0x00ff00ff))
  if (bytes >= 4) result = swapGroups(result, 16, repeated(value.width, 0x0000ffff))
  return bytes === 8 ? result.ror(32) : result
}

/** Reverses all bits. */
function reverseBits(value: Value): Value {
  let result = value
  for (const [bits, mask] of [[1, 0x55555555], [2, 0x33333333], [4, 0x0f0f0f0f]] as const) result = swapGroups(result, bits, repeated(value.width, mask)) // prettier-ignore
  return reverseBytes(result, value.width === 'i64' ? 8 : 4)
}

const ONE_SOURCE = insn('sf:1 1 0 11010110 00000 000 opcode:3 Rn:5 Rd:5', 'RBIT/REV16/REV/REV32/CLZ/CLS', {
  allocated: (raw) => raw.opcode < 6 && (raw.opcode !== 3 || raw.sf === 1),
  rare: true,
  asm: ({ sf, opcode, Rn, Rd }) =>
    text(['rbit', 'rev16', sf ? 'rev32' : 'rev', 'rev', 'clz', 'cls'][opcode], X(Rd, sf), X(Rn, sf)),
  exec(c, f) {
    const value = c.X(f.Rn, f.sf)
    switch (f.opcode) {
      case 0:
        return c.setX(f.Rd, reverseBits(value))
      case 1:
        return c.setX(f.Rd, reverseBytes(value, 2))
      case 2:
        return c.setX(f.Rd, reverseBytes(value, 4))
      case 3:
        return f.sf ? c.setX(f.Rd, reverseBytes(value, 8)) : c.UNDEFINED()
      case 4:
        return c.setX(f.Rd, value.clz())
      case 5:
        return c.setX(
          f.Rd,
          value
            .xor(value.asr(f.sf ? 63 : 31))
            .shl(1)
            .or(1)
            .clz(),
        )
      default:
        return c.UNDEFINED()
    }
  },
})

/** Division by zero is zero; the most negative number by -1 is itself. Neither may reach WebAssembly's division, which traps. */
function divide(n: Value, m: Value, signed: boolean): Value {
  const one = Value.constant(n.width, 1)
  const zero = Value.constant(n.width, 0)
  if (!signed) return n.divU(one.when(m.isZero(), m)).when(m.isZero().isZero(), zero)
  const minusOne = m.compare('eq', -1)
  const quotient = n.divS(one.when(m.isZero().or(minusOne), m))
  return zero.sub(n).when(minusOne, quotient).when(m.isZero().isZero(), zero)
}

const TWO_SOURCE = insn('sf:1 0 0 11010110 Rm:5 00 opcode:4 Rn:5 Rd:5', 'UDIV/SDIV/LSLV/LSRV/ASRV/RORV', {
  allocated: (raw) => raw.opcode === 2 || raw.opcode === 3 || raw.opcode >= 8 && raw.opcode < 12, // prettier-ignore
  asm: ({ sf, opcode, Rm, Rn, Rd }) =>
    text(
      opcode < 8 ? ['udiv', 'sdiv'][opcode - 2] : ['lsl', 'lsr', 'asr', 'ror'][opcode - 8],
      X(Rd, sf),
      X(Rn, sf),
      X(Rm, sf),
    ),
  exec(c, f) {
    const n = c.X(f.Rn, f.sf)
    const m = c.X(f.Rm, f.sf)
    if (f.opcode >= 8 && f.opcode < 12) return c.setX(f.Rd, Shift(n, f.opcode & 3, m))
    if (f.opcode === 2 || f.opcode === 3) return c.setX(f.Rd, divide(n, m, f.opcode === 3))
    return c.UNDEFINED()
  },
})

const CRC = insn('sf:1 0 0 11010110 Rm:5 010 C:1 sz:2 Rn:5 Rd:5', 'CRC32/CRC32C', {
  allocated: (raw) => (raw.sf === 1) === (raw.sz === 3),
  rare: true,
  asm: ({ C, sz, Rm, Rn, Rd }) =>
    text(`crc32${C ? 'c' : ''}${'bhwx'[sz]}`, X(Rd, 0), X(Rn, 0), X(Rm, sz === 3 ? 1 : 0)),
  exec(c, f) {
    if ((f.sf === 1) !== (f.sz === 3)) return c.UNDEFINED()
    return c.setX(
      f.Rd,
      c.intrinsic(f.C ? 'crc32c' : 'crc32', c.X(f.Rn, 0), c.X(f.Rm), Value.constant('i32', 1 << f.sz)),
    )
  },
})

const MULTIPLY_ADD = insn('sf:1 00 11011 000 Rm:5 negate:1 Ra:5 Rn:5 Rd:5', 'MADD/MSUB', {
  asm({ sf, negate, Rd, Rn, Rm, Ra }) {
    const alias = Ra === 31
    const mnemonic = negate ? (alias ? 'mneg' : 'msub') : alias ? 'mul' : 'madd'
    return text(mnemonic, X(Rd, sf), X(Rn, sf), X(Rm, sf), alias ? undefined : X(Ra, sf))
  },
  exec(c, f) {
    const product = c.X(f.Rn, f.sf).mul(c.X(f.Rm, f.sf))
    const addend = c.X(f.Ra, f.sf)
    c.setX(f.Rd, f.negate ? addend.sub(product) : addend.add(product))
  },
})

const MULTIPLY_LONG = insn('1 00 11011 U:1 01 Rm:5 negate:1 Ra:5 Rn:5 Rd:5', 'SMADDL/SMSUBL/UMADDL/UMSUBL', {
  asm({ U, negate, Rd, Rn, Rm, Ra }) {
    const alias = Ra === 31
    const mnemonic = negate ? (alias ? 'mnegl' : 'msubl') : alias ? 'mull' : 'maddl'
    return text((U ? 'u' : 's') + mnemonic, X(Rd), X(Rn, 0), X(Rm, 0), alias ? undefined : X(Ra))
  },
  exec(c, f) {
    const wide = (value: Value) => (f.U ? value.zeroExtend() : value.signExtend())
    const product = wide(c.X(f.Rn, 0)).mul(wide(c.X(f.Rm, 0)))
    const addend = c.X(f.Ra)
    c.setX(f.Rd, f.negate ? addend.sub(product) : addend.add(product))
  },
})

/** The high half of a 128-bit product by four 32-bit products. */
function highProduct(n: Value, m: Value, signed: boolean): Value {
  const low = (value: Value) => value.low().zeroExtend()
  const high = (value: Value) => value.lsr(32)
  const middle = high(n)
    .mul(low(m))
    .add(high(low(n).mul(low(m))))
  const other = low(n).mul(high(m)).add(low(middle))
  const unsigned = high(n).mul(high(m)).add(high(middle)).add(high(other))
  if (!signed) return unsigned
  return unsigned.sub(n.asr(63).and(m)).sub(m.asr(63).and(n))
}

const MULTIPLY_HIGH = insn('1 00 11011 U:1 10 Rm:5 0 xxxxx Rn:5 Rd:5', 'SMULH/UMULH', {
  asm: ({ U, Rd, Rn, Rm }) => text(U ? 'umulh' : 'smulh', X(Rd), X(Rn), X(Rm)),
  exec(c, f) {
    c.setX(f.Rd, highProduct(c.X(f.Rn), c.X(f.Rm), f.U === 0))
  },
})

type LogicalFields = Record<'sf' | 'opc' | 'N' | 'shift' | 'imm6' | 'Rm' | 'Rn' | 'Rd', number>

function logicalShifted({ sf, opc, N, shift: type, imm6, Rm, Rn, Rd }: LogicalFields): string {
  const operands = [X(Rm, sf), shift(type, imm6)]
  if (opc === 1 && Rn === 31 && N) return text('mvn', X(Rd, sf), ...operands)
  if (opc === 1 && Rn === 31 && operands[1] === undefined) return text('mov', X(Rd, sf), ...operands)
  if (opc === 3 && Rd === 31 && !N) return text('tst', X(Rn, sf), ...operands)
  const mnemonic = N ? ['bic', 'orn', 'eon', 'bics'][opc] : ['and', 'orr', 'eor', 'ands'][opc]
  return text(mnemonic, X(Rd, sf), X(Rn, sf), ...operands)
}

type AddSubtractFields = Record<'sf' | 'op' | 'S' | 'Rd' | 'Rn', number>

/** CMP and CMN are without a destination, NEG and NEGS without a first operand. */
function addSubtract(raw: AddSubtractFields, d: string, n: string, ...operand2: (string | undefined)[]): string {
  const { op, S, Rd } = raw
  if (S && Rd === 31) return text(op ? 'cmp' : 'cmn', n, ...operand2)
  if (op && n === X(31, raw.sf)) return text(S ? 'negs' : 'neg', d, ...operand2)
  return text((op ? 'sub' : 'add') + (S ? 's' : ''), d, n, ...operand2)
}

function addSubtractExtended(raw: AddSubtractFields & Record<'Rm' | 'option' | 'imm3', number>): string {
  const { sf, S, Rd, Rn, Rm, option, imm3 } = raw
  const stackPointer = Rn === 31 || (Rd === 31 && !S)
  return addSubtract(raw, S ? X(Rd, sf) : XSP(Rd, sf), XSP(Rn, sf), extended(Rm, option, imm3, sf, stackPointer))
}

type SelectFields = Record<'sf' | 'op' | 'o2' | 'Rm' | 'Rn' | 'Rd' | 'cond', number>

/** CSET, CINC and their like name the condition under which something is done, which is the inverse of the encoded one. */
function conditionalSelect({ sf, op, o2, Rm, Rn, Rd, cond }: SelectFields): string {
  const kind = (op << 1) | o2
  const d = X(Rd, sf)
  if (kind !== 0 && Rn === Rm && cond < 14) {
    const inverse = condition(cond ^ 1)
    if (Rn === 31 && kind !== 3) return text(kind === 1 ? 'cset' : 'csetm', d, inverse)
    return text(['', 'cinc', 'cinv', 'cneg'][kind], d, X(Rn, sf), inverse)
  }
  return text(['csel', 'csinc', 'csinv', 'csneg'][kind], d, X(Rn, sf), X(Rm, sf), condition(cond))
}

/** The rows of this class. */
export const dpRegister = [
  LOGICAL_SHIFTED,
  ADD_SUB_SHIFTED,
  ADD_SUB_EXTENDED,
  ADD_SUB_CARRY,
  CONDITIONAL_COMPARE,
  CONDITIONAL_SELECT,
  CONDITIONAL_INVERT,
  ONE_SOURCE,
  TWO_SOURCE,
  CRC,
  MULTIPLY_ADD,
  MULTIPLY_LONG,
  MULTIPLY_HIGH,
]
