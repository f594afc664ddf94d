/**
 * Whether a function has its frame record at an instruction, from its code: the patterns that compilers emit for AArch64.
 *
 * A function that keeps a frame record stores the caller's X29 and X30 and points X29 at them (AAPCS64, 6.2.3). Before that, after it has
 * taken them back, and in a function that never does, X29 is still the caller's and X30 the return address.
 */
import type { ReadMemory } from './examine.js'

/** Where a function's return address is: in its frame record, or still in X30. */
export type FrameState = 'record' | 'link-register'

/** The instruction at an address; undefined without memory. */
export function instructionAt(read: ReadMemory, address: bigint): number | undefined {
  const bytes = read(address, 4)
  return bytes && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
}

/** BL or BLR: what a return address stands behind. */
export const isCall = (word: number): boolean =>
  (word & 0xfc00_0000) >>> 0 === 0x9400_0000 || (word & 0xffff_fc1f) >>> 0 === 0xd63f_0000

/** SVC. */
export const isSupervisorCall = (word: number): boolean => (word & 0xffe0_001f) >>> 0 === 0xd400_0001

/** ADD X29, SP, #imm or MOV X29, …: X29 is the function's own from here on. */
const pointsFrame = (word: number): boolean =>
  // ADD (immediate) from SP; MOVZ, as code that ends a chain has it.
  (word & 0xff80_03ff) >>> 0 === 0x9100_03fd || (word & 0xff80_001f) >>> 0 === 0xd280_001d

/** LDP of X29 and another, in any of its forms, or LDR X29: it is the caller's again. */
const restoresFrame = (word: number): boolean =>
  ((word & 0xfe40_0000) >>> 0 === 0xa840_0000 && ((word & 31) === 29 || ((word >>> 10) & 31) === 29)) ||
  (word & 0xffc0_001f) >>> 0 === 0xf940_001d ||
  (word & 0xffe0_0c1f) >>> 0 === 0xf840_041d

/** RET, BR, ERET: the way ends. */
const ends = (word: number): boolean =>
  (word & 0xffff_fc1f) >>> 0 === 0xd65f_0000 || (word & 0xffff_fc1f) >>> 0 === 0xd61f_0000 || word === 0xd69f_03e0

/** B. */
const jumps = (word: number): boolean => (word & 0xfc00_0000) >>> 0 === 0x1400_0000

/** Words that B.cond, CBZ and CBNZ, TBZ and TBNZ go on if they are taken; undefined for other instructions. */
function branchOffset(word: number): number | undefined {
  if ((word & 0xff00_0010) >>> 0 === 0x5400_0000 || (word & 0x7e00_0000) >>> 0 === 0x3400_0000) return (word << 8) >> 13
  return (word & 0x7e00_0000) >>> 0 === 0x3600_0000 ? (word << 13) >> 18 : undefined
}

/** So much of a function is looked at. */
const MOST_INSTRUCTIONS = 1 << 14

/**
 * Where the return address is when `pc` comes next: found by following the function's code from its start to `pc`, along any way that
 * leads there.
 *
 * @param startOf where the function of an address begins; one that is not known is taken to have its record.
 */
export function frameState(read: ReadMemory, startOf: (address: bigint) => bigint | undefined, pc: bigint): FrameState {
  const start = startOf(pc)
  if (start === undefined) return 'record'
  const goal = Number((pc - start) / 4n)
  const code = new Code(read, start)
  const visited = new Set<number>()
  // What follows a call comes last: a function that does not return may be called, and something else stand behind.
  const ways: { at: number; framed: boolean }[] = [{ at: 0, framed: false }]
  const behindCalls: { at: number; framed: boolean }[] = []
  let everFramed = false
  for (let way = ways.pop(); way; way = ways.pop() ?? behindCalls.pop()) {
    let { at, framed } = way
    while (!visited.has(at) && visited.size < MOST_INSTRUCTIONS) {
      if (at === goal) return framed ? 'record' : 'link-register'
      visited.add(at)
      const word = code.at(at)
      if (word === undefined || ends(word)) break
      if (pointsFrame(word)) everFramed = framed = true
      else if (restoresFrame(word)) framed = false
      if (isCall(word)) {
        behindCalls.push({ at: at + 1, framed })
        break
      }
      const offset = jumps(word) ? (word << 6) >> 6 : branchOffset(word)
      const target = offset === undefined ? undefined : at + offset
      const inside = target !== undefined && startOf(start + BigInt(4 * target)) === start
      if (jumps(word)) {
        if (!inside) break
        at = target
        continue
      }
      if (inside) ways.push({ at: target, framed })
      at++
    }
  }
  // Reached through a table of jumps only: such code comes after the prologue.
  return everFramed ? 'record' : 'link-register'
}

/** A function's words, read in pieces. */
class Code {
  private readonly read: ReadMemory
  private readonly start: bigint
  private readonly pieces = new Map<number, DataView | undefined>()

  constructor(read: ReadMemory, start: bigint) {
    this.read = read
    this.start = start
  }

  /** The word so many words behind the start. */
  at(index: number): number | undefined {
    const piece = Math.floor(index / PIECE)
    if (!this.pieces.has(piece)) {
      const bytes = this.read(BigInt.asUintN(64, this.start + BigInt(4 * PIECE * piece)), 4 * PIECE)
      this.pieces.set(piece, bytes && new DataView(bytes.buffer, bytes.byteOffset))
    }
    const view = this.pieces.get(piece)
    if (view) return view.getUint32(4 * (index - PIECE * piece), true)
    return instructionAt(this.read, BigInt.asUintN(64, this.start + BigInt(4 * index)))
  }
}

/** Words read at a time. */
const PIECE = 64
