/** Branches (Arm ARM DDI 0487, C4.1.89): conditional, unconditional immediate and register, compare, test. */
import { X, condition, decimal, text } from './assembly.js'
import { insn } from './instruction.js'
import { SignExtend } from './pseudocode.js'

/** X30, where BL and BLR put the return address. */
const LINK = { name: 'LR' } as const

const CONDITIONAL = insn('0101010 0 imm19:19 0 cond:4', 'B.cond', {
  asm: (raw, at) => text(`b.${condition(raw.cond)}`, at.label(SignExtend(raw.imm19, 19) * 4)),
  exec(c, f) {
    c.branch(
      c.operand('i32', (raw) => SignExtend(raw.imm19, 19) * 4),
      f.cond >= 14 ? undefined : c.ConditionHolds(f.cond),
    )
  },
})

const UNCONDITIONAL = insn('op:1 00101 imm26:26', 'B/BL', {
  asm: (raw, at) => text(raw.op ? 'bl' : 'b', at.label(SignExtend(raw.imm26, 26) * 4)),
  exec(c, f) {
    if (f.op) c.setX(LINK, c.PC.add(4))
    c.branch(
      c.operand('i32', (raw) => SignExtend(raw.imm26, 26) * 4),
      undefined,
      f.op ? 'call' : 'jump',
    )
  },
})

const COMPARE = insn('sf:1 011010 op:1 imm19:19 Rt:5', 'CBZ/CBNZ', {
  asm: (raw, at) => text(raw.op ? 'cbnz' : 'cbz', X(raw.Rt, raw.sf), at.label(SignExtend(raw.imm19, 19) * 4)),
  exec(c, f) {
    const zero = c.X(f.Rt, f.sf).isZero()
    c.branch(
      c.operand('i32', (raw) => SignExtend(raw.imm19, 19) * 4),
      f.op ? zero.isZero() : zero,
    )
  },
})

const TEST = insn('immb5:1 011011 op:1 b40:5 imm14:14 Rt:5', 'TBZ/TBNZ', {
  asm: ({ op, Rt, immb5, b40, imm14 }, at) =>
    text(op ? 'tbnz' : 'tbz', X(Rt, immb5), decimal((immb5 << 5) | b40), at.label(SignExtend(imm14, 14) * 4)),
  exec(c, f) {
    const bit = c
      .X(f.Rt)
      .lsr(c.operand('i64', (raw) => (raw.immb5 << 5) | raw.b40))
      .low()
      .and(1)
    c.branch(
      c.operand('i32', (raw) => SignExtend(raw.imm14, 14) * 4),
      f.op ? bit : bit.isZero(),
    )
  },
})

const REGISTER = insn('1101011 0 0 opc:2 11111 000000 Rn:5 00000', 'BR/BLR/RET', {
  allocated: (raw) => raw.opc !== 3,
  asm: ({ opc, Rn }) => (opc === 2 && Rn === 30 ? 'ret' : text(['br', 'blr', 'ret'][opc], X(Rn))),
  exec(c, f) {
    if (f.opc === 3) return c.UNDEFINED()
    if (f.opc === 1) c.setX(LINK, c.PC.add(4))
    return c.jump(c.X(f.Rn), (['jump', 'call', 'return'] as const)[f.opc])
  },
})

/** The rows of this class. */
export const branches = [CONDITIONAL, UNCONDITIONAL, COMPARE, TEST, REGISTER]
