/** Data processing, immediate (Arm ARM DDI 0487, C4.1.86): PC-relative, add/subtract, logical, move wide, bitfield, extract. */
import { X, XSP, decimal, hex, shift, text, unsigned } from './assembly.js'
import { insn } from './instruction.js'
import {
  Add,
  DecodeBitMasks,
  LogicalFlags,
  Ones,
  type Pair,
  SignExtend,
  Subtract,
  rotateRight64,
} from './pseudocode.js'

/** Fields of rows whose text has a function of its own, below. */
type AddSubtractFields = Record<'sf' | 'op' | 'S' | 'sh' | 'imm12' | 'Rn' | 'Rd', number>
type LogicalFields = Record<'sf' | 'opc' | 'immN' | 'immr' | 'imms' | 'Rn' | 'Rd', number>
type MoveWideFields = Record<'sf' | 'opc' | 'immhw' | 'imm16' | 'Rd', number>
type BitfieldFields = Record<'sf' | 'opc' | 'immr' | 'imms' | 'Rn' | 'Rd', number>

const PC_RELATIVE = insn('op:1 immlo:2 10000 immhi:19 Rd:5', 'ADR/ADRP', {
  asm({ op, immhi, immlo, Rd }, at) {
    const offset = SignExtend((immhi << 2) | immlo, 21)
    return op ? text('adrp', X(Rd), at.pageLabel(offset * 4096)) : text('adr', X(Rd), at.label(offset))
  },
  exec(c, f) {
    const offset = (raw: { immhi: number; immlo: number }) => SignExtend((raw.immhi << 2) | raw.immlo, 21)
    if (f.op === 0) return c.setX(f.Rd, c.PC.add(c.operand('i64', offset)))
    const pages = c.operand('i64', offset)
    return c.setX(f.Rd, c.PC.and(-4096).add(pages.shl(12)))
  },
})

const ADD_SUB_IMMEDIATE = insn('sf:1 op:1 S:1 100010 sh:1 imm12:12 Rn:5 Rd:5', 'ADD/SUB (immediate)', {
  asm: addSubtractImmediate,
  exec(c, f) {
    const operand1 = c.XSP(f.Rn, f.sf)
    const imm = c.operand(f.sf ? 'i64' : 'i32', (raw) => raw.imm12 << (raw.sh ? 12 : 0))
    const { result, flags } = f.op ? Subtract(operand1, imm) : Add(operand1, imm)
    if (f.S) {
      c.setFlags(flags)
      c.setX(f.Rd, result)
    } else c.setXSP(f.Rd, result)
  },
})

const LOGICAL_IMMEDIATE = insn('sf:1 opc:2 100100 immN:1 immr:6 imms:6 Rn:5 Rd:5', 'AND/ORR/EOR/ANDS (immediate)', {
  allocated: (raw) => DecodeBitMasks(raw.immN, raw.imms, raw.immr, raw.sf) !== undefined,
  asm: logicalImmediate,
  exec(c, f) {
    const read = (raw: { immN: number; imms: number; immr: number; sf: number }): Pair =>
      DecodeBitMasks(raw.immN, raw.imms, raw.immr, raw.sf) ?? [0, 0]
    const imm = f.sf ? c.operand64(read) : c.operand('i32', (raw) => read(raw)[0])
    const operand1 = c.X(f.Rn, f.sf)
    const result = f.opc === 1 ? operand1.or(imm) : f.opc === 2 ? operand1.xor(imm) : operand1.and(imm)
    if (f.opc === 3) {
      c.setFlags(LogicalFlags(result))
      c.setX(f.Rd, result)
    } else c.setXSP(f.Rd, result)
  },
})

const MOVE_WIDE = insn('sf:1 opc:2 100101 immhw:2 imm16:16 Rd:5', 'MOVN/MOVZ/MOVK', {
  allocated: (raw) => raw.opc !== 1 && (raw.sf === 1 || raw.immhw < 2),
  asm: moveWide,
  exec(c, f) {
    if (f.opc === 1) return c.UNDEFINED()
    const at = (value: number, hw: number): Pair => {
      const half = value << (16 * (hw & 1))
      return hw < 2 ? [half, 0] : [0, half]
    }
    if (f.opc === 3) {
      const keep = c.operand64((raw) => at(0xffff, raw.immhw))
      const imm = c.operand64((raw) => at(raw.imm16, raw.immhw))
      const moved = c.X(f.Rd).and(keep.not()).or(imm)
      return c.setX(f.Rd, f.sf ? moved : moved.low())
    }
    const value = c.operand64((raw) => {
      const [lo, hi] = at(raw.imm16, raw.immhw)
      return raw.opc === 0 ? [~lo, raw.sf ? ~hi : 0] : [lo, hi]
    })
    return c.setX(f.Rd, value)
  },
})

/** The bitfield moves come as an extraction to bit 0 (split 0) or an insertion above bit 0 (split 1). */
const BITFIELD = insn('sf:1 opc:2 100110 immN:1 immr:6 imms:6 Rn:5 Rd:5', 'SBFM/BFM/UBFM', {
  allocated: (raw) => raw.opc !== 3 && raw.immN === raw.sf && (raw.sf === 1 || (raw.immr < 32 && raw.imms < 32)),
  split: { count: 2, of: (raw) => (raw.imms >= raw.immr ? 0 : 1) },
  asm: bitfieldMove,
  exec(c, f) {
    if (f.opc === 3) return c.UNDEFINED()
    const width = f.sf ? 64 : 32
    const type = f.sf ? 'i64' : 'i32'
    const source = c.X(f.Rn, f.sf)
    if (f.opc === 1) {
      const masked = (raw: { immr: number; imms: number }): Pair => {
        if (raw.imms >= raw.immr) return Ones(raw.imms - raw.immr + 1)
        const [lo, hi] = Ones(raw.imms + 1)
        return rotateRight64(lo, hi, raw.immr + 64 - width)
      }
      const mask = f.sf ? c.operand64(masked) : c.operand('i32', (raw) => shifted32(masked(raw)))
      const moved = source.ror(c.operand(type, (raw) => raw.immr))
      return c.setX(f.Rd, c.X(f.Rd, f.sf).and(mask.not()).or(moved.and(mask)))
    }
    const left = c.operand(type, (raw) => width - 1 - raw.imms)
    const top = source.shl(left)
    const right = c.operand(type, (raw) =>
      raw.imms >= raw.immr ? width - 1 - raw.imms + raw.immr : raw.immr - raw.imms - 1,
    )
    return c.setX(f.Rd, f.opc === 0 ? top.asr(right) : top.lsr(right))
  },
})

/** A 32-bit insertion's mask: the rotated pair has it in its low word, or, rotated by 32 more, in its high one. */
function shifted32([lo, hi]: Pair): number {
  return lo | hi
}

const EXTRACT = insn('sf:1 00 100111 immN:1 0 Rm:5 imms:6 Rn:5 Rd:5', 'EXTR', {
  allocated: (raw) => raw.immN === raw.sf && (raw.sf === 1 || raw.imms < 32),
  split: { count: 2, of: (raw) => (raw.imms === 0 ? 0 : 1) },
  asm: ({ sf, Rd, Rn, Rm, imms }) =>
    Rn === Rm
      ? text('ror', X(Rd, sf), X(Rn, sf), decimal(imms))
      : text('extr', X(Rd, sf), X(Rn, sf), X(Rm, sf), decimal(imms)),
  exec(c, f) {
    if (f.split === 0) return c.setX(f.Rd, c.X(f.Rm, f.sf))
    const type = f.sf ? 'i64' : 'i32'
    const low = c.X(f.Rm, f.sf).lsr(c.operand(type, (raw) => raw.imms))
    const high = c.X(f.Rn, f.sf).shl(c.operand(type, (raw) => (raw.sf ? 64 : 32) - raw.imms))
    return c.setX(f.Rd, high.or(low))
  },
})

/** MOV to or from the stack pointer is ADD of nothing; CMN and CMP are without a destination. */
function addSubtractImmediate(raw: AddSubtractFields): string {
  const { sf, op, S, sh, imm12, Rn, Rd } = raw
  const n = XSP(Rn, sf)
  if (!op && !S && imm12 === 0 && !sh && (Rn === 31 || Rd === 31)) return text('mov', XSP(Rd, sf), n)
  const operand2 = [hex(imm12), shift(0, sh * 12)]
  if (S && Rd === 31) return text(op ? 'cmp' : 'cmn', n, ...operand2)
  return S
    ? text(op ? 'subs' : 'adds', X(Rd, sf), n, ...operand2)
    : text(op ? 'sub' : 'add', XSP(Rd, sf), n, ...operand2)
}

function logicalImmediate({ sf, opc, immN, immr, imms, Rn, Rd }: LogicalFields): string {
  const value = unsigned(DecodeBitMasks(immN, imms, immr, sf) ?? [0, 0])
  const imm = hex(value)
  if (opc === 3) return Rd === 31 ? text('tst', X(Rn, sf), imm) : text('ands', X(Rd, sf), X(Rn, sf), imm)
  // The other moves cannot write the stack pointer.
  const alias = Rn === 31 && (Rd === 31 || !isMoveWide(value, sf))
  if (opc === 1 && alias) return text('mov', XSP(Rd, sf), imm)
  return text(['and', 'orr', 'eor'][opc], XSP(Rd, sf), X(Rn, sf), imm)
}

/** Whether MOVZ or MOVN could load the number, so that ORR of it is not written MOV. */
function isMoveWide(value: bigint, sf: number): boolean {
  const width = sf ? 64 : 32
  const halfword = (number: bigint) => [0n, 16n, 32n, 48n].some((at) => (number & ~(0xffffn << at)) === 0n)
  return halfword(value) || halfword(BigInt.asUintN(width, ~value))
}

/** MOV, where the number could not be moved with less of a shift or by the other instruction. */
function moveWide({ sf, opc, immhw, imm16, Rd }: MoveWideFields): string {
  const d = X(Rd, sf)
  const alias = opc !== 3 && (imm16 !== 0 || immhw === 0) && !(opc === 0 && !sf && imm16 === 0xffff)
  if (!alias) return text(['movn', '', 'movz', 'movk'][opc], d, hex(imm16), shift(0, immhw * 16))
  const value = BigInt(imm16) << BigInt(immhw * 16)
  return text('mov', d, hex(opc === 2 ? value : BigInt.asUintN(sf ? 64 : 32, ~value)))
}

const EXTENSIONS = new Map([[7, 'xtb'], [15, 'xth'], [31, 'xtw']]) // prettier-ignore

/** Shifts and extensions where they say it; else an insertion (immr above imms) or an extraction, by position and width. */
function bitfieldMove({ sf, opc, immr, imms, Rn, Rd }: BitfieldFields): string {
  const width = sf ? 64 : 32
  const [d, n] = [X(Rd, sf), X(Rn, sf)]
  const inserted = [decimal(width - immr), decimal(imms + 1)]
  const extracted = [decimal(immr), decimal(imms - immr + 1)]
  if (opc === 1) {
    if (imms >= immr) return text('bfxil', d, n, ...extracted)
    return Rn === 31 ? text('bfc', d, ...inserted) : text('bfi', d, n, ...inserted)
  }
  const signed = opc === 0
  if (imms === width - 1) return text(signed ? 'asr' : 'lsr', d, n, decimal(immr))
  if (!signed && imms + 1 === immr) return text('lsl', d, n, decimal(width - immr))
  if (imms < immr) return text(signed ? 'sbfiz' : 'ubfiz', d, n, ...inserted)
  const extension = EXTENSIONS.get(imms)
  if (immr === 0 && extension && (signed || !sf)) return text((signed ? 's' : 'u') + extension, d, X(Rn, 0))
  return text(signed ? 'sbfx' : 'ubfx', d, n, ...extracted)
}

/** The rows of this class. */
export const dpImmediate = [PC_RELATIVE, ADD_SUB_IMMEDIATE, LOGICAL_IMMEDIATE, MOVE_WIDE, BITFIELD, EXTRACT]
