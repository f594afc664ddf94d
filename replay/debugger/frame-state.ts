/**
 * Whether a function has its frame record at an instruction, from its code: the patterns that compilers emit for AArch64.
 *
 * A function that keeps a frame record stores the caller's X29 and X30 and points X29 at them (AAPCS64, 6.2.3). Before that, after it has
 * taken them back, and in a function that never does, X29 is still the caller's and X30 the return address.
 */
import type { ReadMemory } from './examine.js'

/** Where a function's return address is: in its frame record, or still in X30. */
export type FrameState = 'record' | 'link-register'

/** Prologues are looked for so far into a function. */
const PROLOGUE = 64
/** Instructions of an epilogue between taking X29 and X30 back and leaving. */
const EPILOGUE = 12

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

/** LDP X29, X30, [SP…]: offset and post-index. */
const restoresFrame = (word: number): boolean =>
  (word & 0xffc0_7fff) >>> 0 === 0xa940_7bfd || (word & 0xffc0_7fff) >>> 0 === 0xa8c0_7bfd

/** RET, BR, B: the function is left. */
const leaves = (word: number): boolean =>
  (word & 0xffff_fc1f) >>> 0 === 0xd65f_0000 ||
  (word & 0xffff_fc1f) >>> 0 === 0xd61f_0000 ||
  (word & 0xfc00_0000) >>> 0 === 0x1400_0000

/** What may stand between an epilogue's LDP X29, X30 and its end: other LDP and LDR from SP, and ADD SP, SP. */
const tidiesUp = (word: number): boolean =>
  (word & 0xfe40_03e0) >>> 0 === 0xa840_03e0 ||
  (word & 0xffc0_03e0) >>> 0 === 0xf940_03e0 ||
  (word & 0xffe0_0fe0) >>> 0 === 0xf840_07e0 ||
  (word & 0xff80_03ff) >>> 0 === 0x9100_03ff

/**
 * Where the return address is when `pc` comes next.
 *
 * @param start where the function begins; undefined if that is not known, and then it is taken to have its record.
 */
export function frameState(read: ReadMemory, start: bigint | undefined, pc: bigint): FrameState {
  if (start === undefined) return 'record'
  let pointed: bigint | undefined
  for (let n = 0; n < PROLOGUE && pointed === undefined; n++) {
    const at = start + BigInt(4 * n)
    const word = instructionAt(read, at)
    if (word === undefined) break
    if (pointsFrame(word)) pointed = at
    else if ((word & 0xffff_fc1f) >>> 0 === 0xd65f_0000 && at >= pc) break
  }
  if (pointed === undefined || pc <= pointed) return 'link-register'
  return inEpilogue(read, pc) ? 'link-register' : 'record'
}

/** Whether X29 and X30 have just been taken back and the function is about to be left. */
function inEpilogue(read: ReadMemory, pc: bigint): boolean {
  let ahead = pc
  for (let n = 0; ; n++, ahead += 4n) {
    const word = instructionAt(read, ahead)
    if (word === undefined || n === EPILOGUE) return false
    if (leaves(word)) break
    if (!tidiesUp(word) || restoresFrame(word)) return false
  }
  for (let behind = pc - 4n, n = 0; n < EPILOGUE; n++, behind -= 4n) {
    const word = behind < 0n ? undefined : instructionAt(read, behind)
    if (word === undefined) return false
    if (restoresFrame(word)) return true
    if (!tidiesUp(word)) return false
  }
  return false
}
