/** System instructions (Arm ARM DDI 0487, C5.3 to C5.5): cache maintenance, address translation, TLB maintenance. */
import { takeDataAbort } from '../exceptions.js'
import { AccessBits } from '../interpreter/handler-function.js'
import { Cell } from '../layout.js'
import { AccessKind } from '../mmu/mmu.js'
import { Attribute } from '../mmu/walk.js'
import type { Processor } from '../processor.js'
import { registerAddress } from '../state.js'

/** A system instruction. */
export interface SystemInstruction {
  readonly name: string
  /** op1:CRn:CRm:op2. */
  readonly key: number
  /** The lowest exception level that may. */
  readonly el: number
  /** Bit of SCTLR_EL1 without which it traps from EL0; 0 if none. */
  readonly userBit: number
  readonly needsEl2: boolean
  /** Does it, with the value of X[Rt] in halves. Returns whether the PC has been set. */
  readonly execute: (cpu: Processor, lo: number, hi: number) => boolean
}

const PAR = registerAddress('par_el1') >>> 2
const ZERO_BLOCK = 64
/** SCTLR_EL1.UCI and DZE. */
const UCI = 1 << 26
const DZE = 1 << 14

const rows: SystemInstruction[] = []

function sys(
  name: string,
  op1: number,
  CRm: number,
  op2: number,
  CRn: number,
  execute: SystemInstruction['execute'],
  options: { el?: number; userBit?: number; needsEl2?: boolean } = {},
): void {
  rows.push({
    name,
    key: (op1 << 11) | (CRn << 7) | (CRm << 3) | op2,
    el: options.el ?? (op1 === 3 ? 0 : op1 === 4 ? 2 : 1),
    userBit: options.userBit ?? 0,
    needsEl2: options.needsEl2 ?? op1 === 4,
    execute,
  })
}

/** Caches are transparent, and stores to decoded code are noticed as they happen. */
const nothing = () => false

sys('IC IALLUIS', 0, 1, 0, 7, nothing)
sys('IC IALLU', 0, 5, 0, 7, nothing)
sys('IC IVAU', 3, 5, 1, 7, nothing, { userBit: UCI })
sys('DC IVAC', 0, 6, 1, 7, nothing)
sys('DC ISW', 0, 6, 2, 7, nothing)
sys('DC CSW', 0, 10, 2, 7, nothing)
sys('DC CISW', 0, 14, 2, 7, nothing)
sys('DC CVAC', 3, 10, 1, 7, nothing, { userBit: UCI })
sys('DC CVAU', 3, 11, 1, 7, nothing, { userBit: UCI })
sys('DC CIVAC', 3, 14, 1, 7, nothing, { userBit: UCI })
sys(
  'DC ZVA',
  3,
  4,
  1,
  7,
  (cpu, lo, hi) => {
    const { memory, mmu } = cpu
    const start = lo & ~(ZERO_BLOCK - 1)
    memory.u8.fill(0, Cell.VALUE, Cell.VALUE + 16)
    for (let offset = 0; offset < ZERO_BLOCK; offset += 16) {
      const host = mmu.store(start + offset, hi, 8 | (2 << AccessBits.COUNT_SHIFT))
      if (host === 0) {
        // The address reported is the one given, not the block's start.
        mmu.fault.lo = lo >>> 0
        takeDataAbort(cpu)
        return true
      }
      memory.u8.fill(0, host, host + 16)
    }
    return false
  },
  { userBit: DZE },
)

/** AT: translates for an exception level and kind of access, and leaves the outcome in PAR_EL1. */
function addressTranslation(name: string, op1: number, op2: number, el: 0 | 1 | 2, kind: AccessKind): void {
  sys(
    name,
    op1,
    8,
    op2,
    7,
    (cpu, lo, hi) => {
      const { u32, mmu } = cpu
      const status = mmu.translate(lo, hi, el, kind)
      if (status !== 0) {
        u32[PAR] = 0x800 | ((status & 0x3f) << 1) | 1
        u32[PAR + 1] = 0
        return false
      }
      const { page, attributes } = mmu.translation
      const mmuOn = cpu.sctlrOf(el, 1)
      const memoryType = mmuOn ? cpu.memoryAttributes(el, (attributes >>> Attribute.INDEX_SHIFT) & 7) : 0
      // As on QEMU: what the descriptor says, also of Device memory, and non-shareable with the MMU off.
      const shareability = mmuOn ? (attributes >>> Attribute.SHAREABILITY_SHIFT) & 3 : 0
      u32[PAR] = (page % 2 ** 32) | 0xa00 | (shareability << 7)
      u32[PAR + 1] = Math.floor(page / 2 ** 32) | (memoryType << 24)
      return false
    },
    { needsEl2: el === 2 || op1 === 4 },
  )
}

addressTranslation('AT S1E1R', 0, 0, 1, AccessKind.READ)
addressTranslation('AT S1E1W', 0, 1, 1, AccessKind.WRITE)
addressTranslation('AT S1E0R', 0, 2, 0, AccessKind.READ)
addressTranslation('AT S1E0W', 0, 3, 0, AccessKind.WRITE)
addressTranslation('AT S1E2R', 4, 0, 2, AccessKind.READ)
addressTranslation('AT S1E2W', 4, 1, 2, AccessKind.WRITE)
addressTranslation('AT S12E1R', 4, 4, 1, AccessKind.READ)
addressTranslation('AT S12E1W', 4, 5, 1, AccessKind.WRITE)
addressTranslation('AT S12E0R', 4, 6, 0, AccessKind.READ)
addressTranslation('AT S12E0W', 4, 7, 0, AccessKind.WRITE)

/** TLBI, for one vCPU the same with and without the inner shareable suffix. */
function tlbi(name: string, op1: number, op2: number, execute: (cpu: Processor, lo: number, hi: number) => void): void {
  for (const [suffix, CRm] of [
    ['', 7],
    ['IS', 3],
  ] as const) {
    sys(`TLBI ${name}${suffix}`, op1, CRm, op2, 8, (cpu, lo, hi) => {
      execute(cpu, lo, hi)
      cpu.codeMappingChanged()
      return false
    })
  }
}

/** VA[55:12] of a TLBI operand as address halves, sign-extended from bit 55. */
const operandLo = (lo: number) => lo << 12
const operandHi = (lo: number, hi: number) => (((hi << 12) | (lo >>> 20)) << 8) >> 8
const asidOf = (cpu: Processor, hi: number) => (cpu.wideAsids ? hi >>> 16 : (hi >>> 16) & 0xff)

tlbi('VMALLE1', 0, 0, (cpu) => cpu.mmu.tlb.invalidateAll({ el2: false, asid: undefined, globals: true }))
tlbi('ASIDE1', 0, 2, (cpu, _lo, hi) => cpu.mmu.tlb.invalidateAll({ el2: false, asid: asidOf(cpu, hi), globals: false }))
for (const [name, op2] of [['VAE1', 1], ['VALE1', 5]] as const) tlbi(name, 0, op2, (cpu, lo, hi) => cpu.mmu.tlb.invalidatePage(operandLo(lo), operandHi(lo, hi), { el2: false, asid: asidOf(cpu, hi), globals: true })) // prettier-ignore
for (const [name, op2] of [['VAAE1', 3], ['VAALE1', 7]] as const) tlbi(name, 0, op2, (cpu, lo, hi) => cpu.mmu.tlb.invalidatePage(operandLo(lo), operandHi(lo, hi), { el2: false, asid: undefined, globals: true })) // prettier-ignore
for (const [name, op2] of [['VAE2', 1], ['VALE2', 5]] as const) tlbi(name, 4, op2, (cpu, lo, hi) => cpu.mmu.tlb.invalidatePage(operandLo(lo), operandHi(lo, hi), { el2: true, asid: undefined, globals: true })) // prettier-ignore
tlbi('ALLE2', 4, 0, (cpu) => cpu.mmu.tlb.invalidateAll({ el2: true, asid: undefined, globals: true }))
for (const [name, op2] of [['ALLE1', 4], ['VMALLS12E1', 6]] as const) tlbi(name, 4, op2, (cpu) => cpu.mmu.tlb.invalidateAll({ el2: false, asid: undefined, globals: true })) // prettier-ignore
// Stage 2 is never on, so nothing is cached from it.
for (const [name, op2] of [['IPAS2E1', 1], ['IPAS2LE1', 5]] as const) for (const [suffix, CRm] of [['', 4], ['IS', 0]] as const) sys(`TLBI ${name}${suffix}`, 4, CRm, op2, 8, nothing) // prettier-ignore

/** All system instructions; an instruction's index is its place here. */
export const systemInstructions: readonly SystemInstruction[] = rows

const byKey = new Map(rows.map((row, index) => [row.key, index]))

/** The instruction that a SYS word names, by index; undefined if there is none. SYSL has no instructions here. */
export function findSystemInstruction(raw: {
  L: number
  op1: number
  CRn: number
  CRm: number
  op2: number
}): { readonly index: number } | undefined {
  const index = raw.L ? undefined : byKey.get((raw.op1 << 11) | (raw.CRn << 7) | (raw.CRm << 3) | raw.op2)
  return index === undefined ? undefined : { index }
}
