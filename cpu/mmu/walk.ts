/**
 * Stage 1 translation: the table walk of the VMSAv8-64 (Arm ARM DDI 0487, D8), as far as a Cortex-A53 has it.
 *
 * Granules of 4 KiB and 64 KiB, up to four levels, 40-bit output addresses. Addresses are exact doubles: virtual ones as a number
 * below 2^48 and bit 55 apart, physical ones below 2^48.
 */
import { type MachineMemory, RAM_BASE, RAM_PHYSICAL } from '../machine-memory.js'

/** Data and instruction fault status codes (Arm ARM, ESR_ELx.ISS, DFSC); where a fault has a level, it is added. */
export const FaultStatus = {
  ADDRESS_SIZE: 0x00,
  TRANSLATION: 0x04,
  ACCESS_FLAG: 0x08,
  PERMISSION: 0x0c,
  EXTERNAL: 0x10,
  EXTERNAL_ON_WALK: 0x14,
  ALIGNMENT: 0x21,
} as const

/** Bits of a physical address on a Cortex-A53. */
export const PHYSICAL_BITS = 40

/** Attributes of a translation, as {@link Translation.attributes} packs them. */
export const Attribute = {
  /** AP[1]: accessible from EL0. */
  USER: 1,
  /** AP[2]: read-only. */
  READ_ONLY: 2,
  PXN: 4,
  /** UXN, or XN at EL2. */
  UXN: 8,
  NOT_GLOBAL: 16,
  /** MAIR index in bits 7:5, shareability in bits 9:8. */
  INDEX_SHIFT: 5,
  SHAREABILITY_SHIFT: 8,
} as const

/** A walk's result, kept in one object that the walker reuses. */
export interface Translation {
  /** 0, or the fault status code with its level. */
  fault: number
  /** Physical address of the 4 KiB page. */
  page: number
  attributes: number
  /** Log2 of the bytes that the leaf descriptor maps. */
  size: number
  level: number
}

/** The translation regime's registers, as halves. */
export interface Regime {
  readonly tcrLo: number
  readonly tcrHi: number
  readonly ttbr0Lo: number
  readonly ttbr0Hi: number
  readonly ttbr1Lo: number
  readonly ttbr1Hi: number
  /** Whether the regime has two address ranges (EL1&0) or one (EL2). */
  readonly split: boolean
}

const OUTPUT_SIZES = [32, 36, 40, 42, 44, 48, 48, 48]
const TWO_32 = 2 ** 32

/** What TCR_ELx says of the walks in one of its address ranges. */
interface Shape {
  tcrLo: number
  tcrHi: number
  /** Whether there are any: the range is of a possible size and not disabled. */
  walks: boolean
  /** Log2 of the granule, and of the descriptors in one of it. */
  granule: number
  stride: number
  inputBits: number
  outputBits: number
  /** Whether the top byte of an address is a tag. */
  tagged: boolean
  /** The first level, and how many bits of the address it resolves. */
  level: number
  width: number
}

/** Reads TCR_ELx into `shape`. */
function shapeOf({ tcrLo, tcrHi, split }: Regime, upper: boolean, shape: Shape): void {
  const tcr = upper ? tcrLo >>> 16 : tcrLo
  shape.tcrLo = tcrLo
  shape.tcrHi = tcrHi
  shape.granule = granuleBits(upper ? (tcrLo >>> 30) ^ 2 : (tcrLo >>> 14) & 3)
  shape.stride = shape.granule - 3
  shape.inputBits = 64 - (tcr & 0x3f)
  shape.outputBits = Math.min(OUTPUT_SIZES[split ? tcrHi & 7 : (tcrLo >>> 16) & 7], PHYSICAL_BITS)
  shape.tagged = split ? (tcrHi & (upper ? 0x40 : 0x20)) !== 0 : (tcrLo & 0x10_0000) !== 0
  // TxSZ below 16 or above 39: a fault, as on QEMU, where the architecture would allow the nearest size too.
  shape.walks = shape.inputBits <= 48 && shape.inputBits >= 25 && !(split && (tcr & 0x80) !== 0)
  shape.level = 4 - Math.floor((shape.inputBits - 4) / shape.stride)
  shape.width = shape.inputBits - (shape.stride * (3 - shape.level) + shape.granule)
}

/** A descriptor that a walk has read. */
export interface WalkStep {
  readonly level: number
  /** Physical address of the table, and the descriptor's index in it. */
  readonly table: number
  readonly index: number
  /** The descriptor, as halves. */
  readonly low: number
  readonly high: number
}

/** Walks translation tables in guest RAM. */
export class TableWalker {
  /** Told of each descriptor, for a debugger that shows a walk. */
  onStep: ((step: WalkStep) => void) | undefined
  readonly result: Translation = { fault: 0, page: 0, attributes: 0, size: 0, level: 0 }
  private readonly memory: MachineMemory
  /** By range: EL2's, and for EL1 the lower and the upper. */
  private readonly shapes: readonly Shape[] = Array.from({ length: 4 }, () => ({
    tcrLo: -1,
    tcrHi: -1,
    walks: false,
    granule: 12,
    stride: 9,
    inputBits: 0,
    outputBits: 0,
    tagged: false,
    level: 0,
    width: 0,
  }))

  constructor(memory: MachineMemory) {
    this.memory = memory
  }

  /**
   * Translates a virtual address given as halves.
   *
   * @returns {@link result}, valid until the next walk.
   */
  walk(regime: Regime, lo: number, hi: number): Translation {
    const upper = regime.split && (hi & 0x0080_0000) !== 0
    const shape = this.shapes[(regime.split ? 2 : 0) + (upper ? 1 : 0)]
    if (shape.tcrLo !== regime.tcrLo || shape.tcrHi !== regime.tcrHi) shapeOf(regime, upper, shape)
    const { granule, stride, outputBits } = shape
    if (!shape.walks || !isCanonical(lo, hi, shape.inputBits, shape.tagged, upper))
      return this.fail(FaultStatus.TRANSLATION, 0)

    // Addresses stay in halves and in 32-bit operations: a walk is made for every miss of the TLB.
    const outputHi = outputBits - 32
    let { level, width } = shape
    let tableLo = (upper ? regime.ttbr1Lo : regime.ttbr0Lo) & -(8 << width)
    let tableHi = (upper ? regime.ttbr1Hi : regime.ttbr0Hi) & 0xffff
    if (tableHi >>> outputHi !== 0) return this.fail(FaultStatus.ADDRESS_SIZE, 0)
    let tableAttributes = 0
    for (;;) {
      const shift = stride * (3 - level) + granule
      const index = field(lo, hi, shift, width)
      const offset = (tableLo >>> 0) + index * 8 - RAM_PHYSICAL
      if (tableHi !== 0 || offset < 0 || offset + 8 > this.memory.ramSize)
        return this.fail(FaultStatus.EXTERNAL_ON_WALK, level)
      const word = (RAM_BASE + offset) >>> 2
      const low = this.memory.u32[word]
      const high = this.memory.u32[word + 1]
      this.onStep?.({ level, table: tableLo >>> 0, index, low, high })
      if ((low & 1) === 0) return this.fail(FaultStatus.TRANSLATION, level)
      const isTable = (low & 2) !== 0
      if (level === 3 ? !isTable : !isTable && (level === 0 || (granule === 16 && level === 1)))
        return this.fail(FaultStatus.TRANSLATION, level)
      const targetHi = high & 0xffff
      if (targetHi >>> outputHi !== 0) return this.fail(FaultStatus.ADDRESS_SIZE, level)
      if (level < 3 && isTable) {
        // APTable, XNTable and PXNTable restrict everything below, bits 63:59.
        tableAttributes |= (high >>> 27) & 0x1f
        tableLo = low & -(1 << granule)
        tableHi = targetHi
        width = stride
        level++
        continue
      }
      if ((low & 0x400) === 0) return this.fail(FaultStatus.ACCESS_FLAG, level)
      // No block is larger than 1 GiB.
      const within = (1 << shift) - 1
      const { result } = this
      result.fault = 0
      result.page = targetHi * TWO_32 + ((((low & ~within) | (lo & within)) & ~0xfff) >>> 0)
      result.size = shift
      result.level = level
      result.attributes = leafAttributes(low, high, tableAttributes, regime.split)
      return result
    }
  }

  private fail(status: number, level: number): Translation {
    this.result.fault = status + level
    this.result.level = level
    // A status of zero (address size fault, level 0) must still be told apart from success.
    if (this.result.fault === 0) this.result.fault = ADDRESS_SIZE_LEVEL_0
    return this.result
  }
}

/** Stands for fault status 0, an address size fault at level 0, where 0 means success. */
export const ADDRESS_SIZE_LEVEL_0 = 0x100

/** Log2 of the granule. TG0 is 0 for 4 KiB and 1 for 64 KiB, TG1 the same with bit 1 flipped; 16 KiB is not implemented. */
function granuleBits(tg: number): number {
  return tg === 1 ? 16 : 12
}

/** Bits <shift+width-1:shift> of an address in halves; the width is below 32. */
function field(lo: number, hi: number, shift: number, width: number): number {
  const bits = shift >= 32 ? hi >>> (shift - 32) : (lo >>> shift) | (hi << (32 - shift))
  return bits & ((1 << width) - 1)
}

/** All bits above the input size must equal bit 55, the top byte aside if it is a tag. */
function isCanonical(lo: number, hi: number, inputBits: number, tagged: boolean, upper: boolean): boolean {
  const top = tagged ? (hi << 8) >> 8 : hi | 0
  const keep = inputBits - 32
  const expected = upper ? -1 : 0
  if (keep >= 0) return (keep === 32 ? expected : top >> keep) === expected
  return top === expected && lo >> inputBits === expected
}

function leafAttributes(low: number, high: number, table: number, split: boolean): number {
  let attributes = ((low >>> 2) & 7) << Attribute.INDEX_SHIFT
  attributes |= ((low >>> 8) & 3) << Attribute.SHAREABILITY_SHIFT
  if ((low & 0x40) !== 0 && (table & 4) === 0) attributes |= Attribute.USER
  if ((low & 0x80) !== 0 || (table & 8) !== 0) attributes |= Attribute.READ_ONLY
  if ((high & 0x0020_0000) !== 0 || (table & 1) !== 0) attributes |= Attribute.PXN
  if ((high & 0x0040_0000) !== 0 || (table & 2) !== 0) attributes |= Attribute.UXN
  if (split && (low & 0x800) !== 0) attributes |= Attribute.NOT_GLOBAL
  return attributes
}
