/** Exceptions, hints, barriers and system instructions (Arm ARM DDI 0487, C4.1.89; C5), and what stands in for FP and SIMD. */
import { Value } from '../ir/value.js'
import { mem } from '../wasm/assembler.js'
import { registerAddress } from '../state.js'
import {
  accessFpSimd,
  breakpointInstruction,
  callHypervisor,
  callSecureMonitor,
  callSupervisor,
  exceptionReturn,
  haltInstruction,
  waitForEvent,
  waitForInterrupt,
} from '../exceptions.js'
import { type RegisterAccess, findSystemRegister, systemRegisters } from '../sysregs/table.js'
import { moveSpecialImmediate, readSystemRegister, systemInstruction, writeSystemRegister } from '../sysregs/access.js'
import { findSystemInstruction, systemInstructions } from '../sysregs/instructions.js'
import { X, barrier, hex, hint, notAnInstruction, text } from './assembly.js'
import { insn } from './instruction.js'

const EL = registerAddress('el')
const currentEl = mem.i32_load

/** opc names the exception, LL the level called or, for BRK and HLT, zero. */
const EXCEPTION = insn('11010100 opc:3 imm16:16 000 LL:2', 'SVC/HVC/SMC/BRK/HLT', {
  allocated: ({ opc, LL }) => (opc === 0 ? LL !== 0 : (opc === 1 || opc === 2) && LL === 0),
  asm: ({ opc, LL, imm16 }) => text(opc === 0 ? ['', 'svc', 'hvc', 'smc'][LL] : opc === 1 ? 'brk' : 'hlt', hex(imm16)),
  exec(c, f) {
    const imm16 = c.operand('i32', (raw) => raw.imm16)
    if (f.opc === 0 && f.LL === 1) return c.system(callSupervisor, imm16)
    if (f.opc === 0 && f.LL === 2) return c.system(callHypervisor, imm16)
    if (f.opc === 0 && f.LL === 3) return c.system(callSecureMonitor, imm16)
    if (f.opc === 1 && f.LL === 0) return c.system(breakpointInstruction, imm16)
    if (f.opc === 2 && f.LL === 0) return c.system(haltInstruction, imm16)
    return c.UNDEFINED()
  },
})

const ERET = insn('1101011 0100 11111 000000 11111 00000', 'ERET', {
  asm: () => 'eret',
  exec(c) {
    c.undefinedIf(c.cell(EL, currentEl, 'i32').isZero())
    c.system(exceptionReturn)
  },
})

/** Hints that a Cortex-A53 does not know, YIELD and SEV among them here, do nothing. */
const HINT = insn('1101010100 0 00 011 0010 CRm:4 op2:3 11111', 'HINT', {
  split: { count: 3, of: ({ CRm, op2 }) => (CRm === 0 && op2 === 2 ? 1 : CRm === 0 && op2 === 3 ? 2 : 0) },
  asm: ({ CRm, op2 }) => hint((CRm << 3) | op2),
  exec(c, f) {
    if (f.split === 1) c.system(waitForEvent)
    if (f.split === 2) c.system(waitForInterrupt)
  },
})

/** One vCPU sees its accesses in program order, so barriers order nothing further; ISB's context synchronisation is implicit too. */
const BARRIER = insn('1101010100 0 00 011 0011 CRm:4 op2:3 11111', 'CLREX/DSB/DMB/ISB', {
  allocated: ({ op2 }) => op2 === 2 || (op2 >= 4 && op2 <= 6),
  split: { count: 2, of: ({ op2 }) => (op2 === 2 ? 1 : 0) },
  asm: barrierText,
  exec(c, f) {
    if (f.split) c.setCell(registerAddress('exclusive'), mem.i32_store, Value.constant('i32', 0))
  },
})

const MSR_IMMEDIATE = insn('1101010100 0 00 op1:3 0100 CRm:4 op2:3 11111', 'MSR (immediate)', {
  allocated: ({ op1, op2 }) => (op1 === 0 && op2 === 5) || (op1 === 3 && (op2 === 6 || op2 === 7)),
  asm: ({ op1, op2, CRm }) => text('msr', op1 === 0 ? 'spsel' : op2 === 6 ? 'daifset' : 'daifclr', hex(CRm)),
  exec(c) {
    c.system(
      moveSpecialImmediate,
      c.operand('i32', (raw) => (raw.op1 << 3) | raw.op2),
      c.operand('i32', (raw) => raw.CRm),
    )
  },
})

const SYS = insn('1101010100 L:1 01 op1:3 CRn:4 CRm:4 op2:3 Rt:5', 'SYS/SYSL', {
  allocated: (raw) => findSystemInstruction(raw) !== undefined,
  asm: systemInstructionText,
  exec(c, f) {
    if (f.L) return c.UNDEFINED()
    return c.system(
      systemInstruction,
      c.operand('i32', (raw) => findSystemInstruction(raw)?.index ?? -1),
      c.operand('i32', (raw) => raw.Rt),
    )
  },
})

/** Split 1: a register that only holds a value, accessed in place. Split 0: one with a meaning, accessed by the processor. */
const MOVE_SYSTEM_REGISTER = insn('1101010100 L:1 1 o0:1 op1:3 CRn:4 CRm:4 op2:3 Rt:5', 'MRS/MSR (register)', {
  allocated: (raw) => accessOf(raw) !== undefined,
  split: { count: 2, of: (raw) => (accessOf(raw)?.address === undefined ? 0 : 1) },
  asm(raw) {
    const name = systemRegisters[findSystemRegister(raw)?.index ?? 0].name.toLowerCase()
    return raw.L ? text('mrs', X(raw.Rt), name) : text('msr', name, X(raw.Rt))
  },
  exec(c, f) {
    const index = c.operand('i32', (raw) => findSystemRegister(raw)?.index ?? -1)
    if (f.split === 0) return c.system(f.L ? readSystemRegister : writeSystemRegister, index, c.operand('i32', (raw) => raw.Rt)) // prettier-ignore
    const least = c.operand('i32', (raw) => accessOf(raw)?.el ?? 3)
    const address = c.operand('i32', (raw) => accessOf(raw)?.address ?? 0)
    c.undefinedIf(c.cell(EL, currentEl, 'i32').compare('lt_u', least))
    if (f.L) return c.setX(f.Rt, c.indirect(address))
    return c.setCell(address, mem.i64_store, c.X(f.Rt))
  },
})

function accessOf(raw: {
  L: number
  o0: number
  op1: number
  CRn: number
  CRm: number
  op2: number
}): RegisterAccess | undefined {
  const register = findSystemRegister(raw)
  return raw.L ? register?.read : register?.write
}

/** FP and SIMD are not built yet: an access traps as CPACR_EL1 and CPTR_EL2 say, and is UNDEFINED where they allow it. */
const notBuilt: Pick<Parameters<typeof insn>[2], 'asm' | 'exec'> = {
  asm: (_raw, at) => notAnInstruction(at.word, 'FP/SIMD'),
  exec: (c) => c.system(accessFpSimd),
}
const fpSimd = [
  insn('imm3:3 0111 imm25:25', 'FP/SIMD data processing', notBuilt),
  insn('imm3:3 1111 imm25:25', 'FP/SIMD data processing (scalar)', notBuilt),
  insn('imm4:4 110 imm25:25', 'FP/SIMD load/store', notBuilt),
]

function barrierText({ CRm, op2 }: { CRm: number; op2: number }): string {
  if (op2 === 2 || op2 === 6) return text(op2 === 2 ? 'clrex' : 'isb', CRm === 15 ? undefined : hex(CRm))
  if (op2 === 4 && (CRm === 0 || CRm === 4)) return CRm === 0 ? 'ssbb' : 'pssbb'
  return text(op2 === 4 ? 'dsb' : 'dmb', barrier(CRm))
}

/** The table's names are `DC CVAC`: a mnemonic and an operation. Those that work on everything take no register. */
function systemInstructionText(raw: Parameters<typeof findSystemInstruction>[0] & { Rt: number }): string {
  const { name } = systemInstructions[findSystemInstruction(raw)?.index ?? 0]
  const [mnemonic, operation] = name.toLowerCase().split(' ')
  return text(mnemonic, operation, name.includes('ALL') ? undefined : X(raw.Rt))
}

/** The rows of these classes. */
export const system = [EXCEPTION, ERET, HINT, BARRIER, MSR_IMMEDIATE, SYS, MOVE_SYSTEM_REGISTER, ...fpSimd]
