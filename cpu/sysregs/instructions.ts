/** System instructions (Arm ARM DDI 0487, C5.3 to C5.5): cache maintenance, address translation, TLB maintenance. */
import { takeDataAbort } from '../exceptions.js'
import { AccessBits } from '../emitter/instruction-emitter.js'
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

type Execute = SystemInstruction['execute']

/**
 * Makes a row.
 *
 * @param encoding `op1 Cn Cm op2`, as the Arm ARM's tables list it.
 */
function sys(
  name: string,
  encoding: string,
  execute: Execute,
  options: { userBit?: number; needsEl2?: boolean } = {},
): SystemInstruction {
  const parts = /^([0-7]) C(\d+) C(\d+) ([0-7])$/.exec(encoding)
  if (!parts) throw new Error(`${name}: ${encoding} is not an encoding`)
  const [op1, CRn, CRm, op2] = parts.slice(1).map(Number)
  return {
    name,
    key: (op1 << 11) | (CRn << 7) | (CRm << 3) | op2,
    el: op1 === 3 ? 0 : op1 === 4 ? 2 : 1,
    userBit: options.userBit ?? 0,
    needsEl2: options.needsEl2 ?? op1 === 4,
    execute,
  }
}

/** Caches are transparent, and stores to decoded code are noticed as they happen. */
const nothing: Execute = () => false

/** DC ZVA: writes 64 zero bytes. */
const zeroBlock: Execute = (cpu, lo, hi) => {
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
}

/** AT: translates for an exception level and kind of access, and leaves the outcome in PAR_EL1. */
function addressTranslation(name: string, encoding: string, el: 0 | 1 | 2, kind: AccessKind): SystemInstruction {
  return sys(name, encoding, (cpu, lo, hi) => {
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
  })
}

/** Which translations a TLBI drops, given the value of X[Rt]. */
type Invalidate = (cpu: Processor, lo: number, hi: number) => void

/** TLBI: a row without and one with the inner shareable suffix, which for one vCPU are the same. `Cm` of each is given. */
function tlbi(
  name: string,
  op1: number,
  op2: number,
  invalidate: Invalidate,
  [alone, shared] = [7, 3],
): SystemInstruction[] {
  const execute: Execute = (cpu, lo, hi) => {
    invalidate(cpu, lo, hi)
    cpu.codeMappingChanged()
    return false
  }
  return [
    sys(`TLBI ${name}`, `${op1} C8 C${alone} ${op2}`, execute),
    sys(`TLBI ${name}IS`, `${op1} C8 C${shared} ${op2}`, execute),
  ]
}

const asidOf = (cpu: Processor, hi: number): number => (cpu.wideAsids ? hi >>> 16 : (hi >>> 16) & 0xff)

/** Drops a page: VA[55:12] of the operand, sign-extended from bit 55, in one address space or in all. */
function dropPage(cpu: Processor, lo: number, hi: number, el2: boolean, asid: number | undefined): void {
  const pageHi = (((hi << 12) | (lo >>> 20)) << 8) >> 8
  cpu.mmu.tlb.invalidatePage(lo << 12, pageHi, { el2, asid, globals: true })
}

const ofAddressSpace: Invalidate = (cpu, lo, hi) => dropPage(cpu, lo, hi, false, asidOf(cpu, hi))
const ofAnyAddressSpace: Invalidate = (cpu, lo, hi) => dropPage(cpu, lo, hi, false, undefined)
const ofEl2: Invalidate = (cpu, lo, hi) => dropPage(cpu, lo, hi, true, undefined)
const wholeAddressSpace: Invalidate = (cpu, _lo, hi) =>
  cpu.mmu.tlb.invalidateAll({ el2: false, asid: asidOf(cpu, hi), globals: false })
const allOfEl1: Invalidate = (cpu) => cpu.mmu.tlb.invalidateAll({ el2: false, asid: undefined, globals: true })
const allOfEl2: Invalidate = (cpu) => cpu.mmu.tlb.invalidateAll({ el2: true, asid: undefined, globals: true })
/** Stage 2 is never on, so nothing is cached from it. */
const nothingCached: Invalidate = () => {}

/** All system instructions; an instruction's index is its place here. */
export const systemInstructions: readonly SystemInstruction[] = [
  sys('IC IALLUIS', '0 C7 C1 0', nothing),
  sys('IC IALLU', '0 C7 C5 0', nothing),
  sys('IC IVAU', '3 C7 C5 1', nothing, { userBit: UCI }),
  sys('DC IVAC', '0 C7 C6 1', nothing),
  sys('DC ISW', '0 C7 C6 2', nothing),
  sys('DC CSW', '0 C7 C10 2', nothing),
  sys('DC CISW', '0 C7 C14 2', nothing),
  sys('DC CVAC', '3 C7 C10 1', nothing, { userBit: UCI }),
  sys('DC CVAU', '3 C7 C11 1', nothing, { userBit: UCI }),
  sys('DC CIVAC', '3 C7 C14 1', nothing, { userBit: UCI }),
  sys('DC ZVA', '3 C7 C4 1', zeroBlock, { userBit: DZE }),
  addressTranslation('AT S1E1R', '0 C7 C8 0', 1, AccessKind.READ),
  addressTranslation('AT S1E1W', '0 C7 C8 1', 1, AccessKind.WRITE),
  addressTranslation('AT S1E0R', '0 C7 C8 2', 0, AccessKind.READ),
  addressTranslation('AT S1E0W', '0 C7 C8 3', 0, AccessKind.WRITE),
  addressTranslation('AT S1E2R', '4 C7 C8 0', 2, AccessKind.READ),
  addressTranslation('AT S1E2W', '4 C7 C8 1', 2, AccessKind.WRITE),
  addressTranslation('AT S12E1R', '4 C7 C8 4', 1, AccessKind.READ),
  addressTranslation('AT S12E1W', '4 C7 C8 5', 1, AccessKind.WRITE),
  addressTranslation('AT S12E0R', '4 C7 C8 6', 0, AccessKind.READ),
  addressTranslation('AT S12E0W', '4 C7 C8 7', 0, AccessKind.WRITE),
  ...tlbi('VMALLE1', 0, 0, allOfEl1),
  ...tlbi('VAE1', 0, 1, ofAddressSpace),
  ...tlbi('ASIDE1', 0, 2, wholeAddressSpace),
  ...tlbi('VAAE1', 0, 3, ofAnyAddressSpace),
  ...tlbi('VALE1', 0, 5, ofAddressSpace),
  ...tlbi('VAALE1', 0, 7, ofAnyAddressSpace),
  ...tlbi('ALLE2', 4, 0, allOfEl2),
  ...tlbi('VAE2', 4, 1, ofEl2),
  ...tlbi('ALLE1', 4, 4, allOfEl1),
  ...tlbi('VALE2', 4, 5, ofEl2),
  ...tlbi('VMALLS12E1', 4, 6, allOfEl1),
  ...tlbi('IPAS2E1', 4, 1, nothingCached, [4, 0]),
  ...tlbi('IPAS2LE1', 4, 5, nothingCached, [4, 0]),
]

const byKey = new Map(systemInstructions.map((row, index) => [row.key, index]))

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
