/** Loads and stores of general-purpose registers (Arm ARM DDI 0487, C4.1.94): literal, pair, immediate, register offset, unprivileged. */
import type { ElementSize, Semantics } from '../ir/semantics.js'
import type { Value } from '../ir/value.js'
import { X, indexed, memory, prefetch, text } from './assembly.js'
import { insn } from './instruction.js'
import type { RegisterOperand } from './pattern.js'
import { Extend, SignExtend } from './pseudocode.js'

const bytesOf = (size: number): ElementSize => (1 << size) as ElementSize

/** What `size` and `opc` of a single-register access name; undefined where unallocated. */
type Kind = 'store' | 'load' | 'signed64' | 'signed32' | 'prefetch' | undefined
function kindOf(size: number, opc: number): Kind {
  if (opc === 0) return 'store'
  if (opc === 1) return 'load'
  if (size === 3) return opc === 2 ? 'prefetch' : undefined
  if (opc === 2) return 'signed64'
  return size === 2 ? undefined : 'signed32'
}

/** Does a single-register access. Returns false if the combination is unallocated. */
function access<Raw>(
  c: Semantics<Raw>,
  Rt: RegisterOperand,
  size: number,
  opc: number,
  address: Value,
  unprivileged = false,
): boolean {
  const kind = kindOf(size, opc)
  const bytes = bytesOf(size)
  const options = { unprivileged }
  if (kind === undefined) return false
  if (kind === 'prefetch') return true
  if (kind === 'store') c.store(address, bytes, c.X(Rt), options)
  else if (kind === 'load') c.setX(Rt, c.load(address, bytes, undefined, options))
  else c.setX(Rt, c.load(address, bytes, kind === 'signed64' ? 'i64' : 'i32', options))
  return true
}

const LITERAL = insn('opc:2 011 0 00 imm19:19 Rt:5', 'LDR (literal)', {
  asm: ({ opc, imm19, Rt }, at) =>
    text(
      ['ldr', 'ldr', 'ldrsw', 'prfm'][opc],
      opc === 3 ? prefetch(Rt) : X(Rt, opc),
      at.label(SignExtend(imm19, 19) * 4),
    ),
  exec(c, f) {
    if (f.opc === 3) return
    const address = c.PC.add(c.operand('i64', (raw) => SignExtend(raw.imm19, 19) * 4))
    c.setX(f.Rt, f.opc === 1 ? c.load(address, 8) : c.load(address, 4, f.opc === 2 ? 'i64' : undefined))
  },
})

/** Address modes by index field: 0 without allocation, 1 post-indexed, 2 offset, 3 pre-indexed. */
const PAIR = insn('opc:2 101 0 0 idx:2 L:1 imm7:7 Rt2:5 Rn:5 Rt:5', 'LDP/STP/LDNP/STNP/LDPSW', {
  allocated: (raw) => raw.opc !== 3 && (raw.opc !== 1 || (raw.L === 1 && raw.idx !== 0)),
  asm({ opc, idx, L, imm7, Rt2, Rn, Rt }) {
    const mnemonic = `${L ? 'ld' : 'st'}${idx === 0 ? 'np' : 'p'}${opc === 1 ? 'sw' : ''}`
    return text(mnemonic, X(Rt, opc), X(Rt2, opc), memory(Rn, SignExtend(imm7, 7) * (opc === 2 ? 8 : 4), idx))
  },
  exec(c, f) {
    if (f.opc === 3 || (f.opc === 1 && (f.L === 0 || f.idx === 0))) return c.UNDEFINED()
    const size = f.opc === 2 ? 8 : 4
    const base = c.XSP(f.Rn)
    const moved = base.add(c.operand('i64', (raw) => SignExtend(raw.imm7, 7) * (raw.opc === 2 ? 8 : 4)))
    const address = f.idx === 1 ? base : moved
    if (f.L === 0) c.storePair(address, size, c.X(f.Rt), c.X(f.Rt2))
    else {
      const [first, second] = c.loadPair(address, size, f.opc === 1 ? 'i64' : undefined)
      // Where both are one register the first element stays, as on QEMU.
      c.setX(f.Rt2, second)
      c.setX(f.Rt, first)
    }
    if (f.idx === 1 || f.idx === 3) c.setXSP(f.Rn, moved)
  },
})

/** Index field: 0 unscaled, 1 post-indexed, 2 unprivileged, 3 pre-indexed. */
const IMMEDIATE9 = insn('size:2 111 0 00 opc:2 0 imm9:9 idx:2 Rn:5 Rt:5', 'LDR/STR (unscaled, indexed, unprivileged)', {
  allocated: (raw) =>
    kindOf(raw.size, raw.opc) !== undefined && (kindOf(raw.size, raw.opc) !== 'prefetch' || raw.idx === 0),
  asm: ({ size, opc, imm9, idx, Rn, Rt }) =>
    single(size, opc, Rt, ['u', '', 't', ''][idx], memory(Rn, SignExtend(imm9, 9), idx)),
  rare: ({ idx }) => idx === 2,
  exec(c, f) {
    if (kindOf(f.size, f.opc) === 'prefetch' && f.idx !== 0) return c.UNDEFINED()
    const base = c.XSP(f.Rn)
    const moved = base.add(c.operand('i64', (raw) => SignExtend(raw.imm9, 9)))
    const address = f.idx === 1 ? base : moved
    if (!access(c, f.Rt, f.size, f.opc, address, f.idx === 2)) return c.UNDEFINED()
    if (f.idx === 1 || f.idx === 3) c.setXSP(f.Rn, moved)
  },
})

const REGISTER_OFFSET = insn('size:2 111 0 00 opc:2 1 Rm:5 option:3 imm:1 10 Rn:5 Rt:5', 'LDR/STR (register offset)', {
  allocated: (raw) => kindOf(raw.size, raw.opc) !== undefined && (raw.option & 2) !== 0,
  asm: ({ size, opc, Rm, option, imm, Rn, Rt }) =>
    single(size, opc, Rt, '', indexed(Rn, Rm, option, imm ? size : undefined)),
  exec(c, f) {
    if ((f.option & 2) === 0) return c.UNDEFINED()
    const amount = c.operand('i64', (raw) => (raw.imm ? raw.size : 0))
    const address = c.XSP(f.Rn).add(Extend(c.X(f.Rm), f.option).shl(amount))
    if (!access(c, f.Rt, f.size, f.opc, address)) c.UNDEFINED()
  },
})

const UNSIGNED_OFFSET = insn('size:2 111 0 01 opc:2 imm12:12 Rn:5 Rt:5', 'LDR/STR (unsigned offset)', {
  allocated: (raw) => kindOf(raw.size, raw.opc) !== undefined,
  asm: ({ size, opc, imm12, Rn, Rt }) => single(size, opc, Rt, '', memory(Rn, imm12 << size)),
  exec(c, f) {
    const address = c.XSP(f.Rn).add(c.operand('i64', (raw) => raw.imm12 << raw.size))
    if (!access(c, f.Rt, f.size, f.opc, address)) c.UNDEFINED()
  },
})

/** The text of a single-register access; `form` is what stands in the middle of the mnemonic: `ldur`, `ldtr`. */
function single(size: number, opc: number, Rt: number, form: string, address: string): string {
  const kind = kindOf(size, opc)
  if (kind === 'prefetch') return text(`prf${form}m`, prefetch(Rt), address)
  const signed = kind === 'signed64' || kind === 'signed32'
  const mnemonic = `${kind === 'store' ? 'st' : 'ld'}${form}r${signed ? 's' : ''}${['b', 'h', signed ? 'w' : '', ''][size]}`
  return text(mnemonic, X(Rt, size === 3 || kind === 'signed64' ? 1 : 0), address)
}

/** The rows of this class. */
export const loadsStores = [LITERAL, PAIR, IMMEDIATE9, REGISTER_OFFSET, UNSIGNED_OFFSET]
