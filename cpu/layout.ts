/**
 * Where things stand in machine memory below RAM: scratch cells, TLBs and the pool of decoded instructions.
 *
 * Nothing here is architectural state, except what `tlb.ts` keeps in the translation TLB; generated code addresses all of it with constants.
 */
import { RAM_BASE } from './machine-memory.js'

/** Scratch cells that generated code and TypeScript share, below the state area. */
export const Cell = {
  /** Reads as zero: register 31 as a source. */
  ZERO: 0x100,
  /** Written and never read: register 31 as a destination. */
  SINK: 0x108,
  /** i32: instructions left of the run's budget, as of the instruction that called out. */
  BUDGET: 0x110,
  /** i32: set when a run must end behind the current instruction. */
  STOP: 0x114,
  /** i32: address of the fast TLBs of the current translation regime. */
  REGIME: 0x118,
  /** i32: whether accesses are checked for alignment (SCTLR_ELx.A). Together with {@link Cell.REGIME} one i64: what translated code depends on. */
  ALIGNMENT: 0x11c,
  /** i64s: the elements that a slow store is to write. */
  VALUE: 0x120,
  /** 16 bytes: where a slow load leaves what it read, and where the store after a slow store goes. */
  SCRATCH: 0x130,
  /** i64, i64, i32: the flags while generated code runs, as an operation's operands and its `FlagKind`; PSTATE.NZCV is made from them when it ends. */
  FLAG_A: 0x140,
  FLAG_B: 0x148,
  FLAG_KIND: 0x150,
  /** i32: instructions left beyond the current one, once the run is to end behind it; 0 until then. */
  KEPT: 0x154,
  /** i32: set when translated code has ended in front of an instruction that the interpreter is to execute. */
  STEP: 0x158,
  /** i32: how often code must have been reached before the translator is asked; 0 for never. */
  THRESHOLD: 0x15c,
} as const

/** Entries in each fast TLB; an entry is 16 bytes: i64 tag (page address), i32 addend or record address. */
export const FAST_ENTRIES = 256
export const FAST_ENTRY_SIZE = 16
/** Bytes from a regime's read TLB to its write TLB and its code TLB. */
export const WRITE_TLB = FAST_ENTRIES * FAST_ENTRY_SIZE
export const CODE_TLB = 2 * WRITE_TLB
const REGIME_SIZE = 3 * WRITE_TLB
/** The translation regimes with fast TLBs of their own: EL1&0 as seen from EL0 and from EL1, and EL2. */
export const REGIMES = 3
const FAST_TLBS = 0x10000
/** Address of the fast TLBs that code at exception level `el` uses. */
export const regimeAddress = (el: number): number => FAST_TLBS + Math.min(el, 2) * REGIME_SIZE
/** End of the fast TLBs. */
export const FAST_TLBS_END = FAST_TLBS + REGIMES * REGIME_SIZE

/** The translation TLB's place; see `tlb.ts`. */
export const TRANSLATION_TLB = 0x20000
export const TRANSLATION_TLB_END = 0x30000

/** Bytes of one decoded instruction: with 32, a record's address advances 8 times as fast as the PC. */
export const RECORD_SIZE = 32
/** Log2 of the records' bytes per byte of code. */
export const RECORD_SHIFT = 3
/** Instructions in a page; one more record behind them leads to the next page. */
export const PAGE_INSTRUCTIONS = 1024
/** Bytes of a decoded page's records, the last one included. */
const RECORDS_SIZE = (PAGE_INSTRUCTIONS + 1) * RECORD_SIZE
/** Where a decoded page has the numbers of the regions that begin at its instructions: a u16 for each, 0 for none. */
export const REGION_NUMBERS = RECORDS_SIZE
/** Bytes of a decoded page. */
export const DECODED_PAGE_SIZE = REGION_NUMBERS + 2 * PAGE_INSTRUCTIONS
/** Counters of how often code was reached, by record address; several records share one. */
export const HEAT = 0x30000
export const HEAT_COUNTERS = 0x4000
/** The pool of decoded pages fills the room up to RAM. */
export const DECODED_POOL = HEAT + 4 * HEAT_COUNTERS
export const DECODED_PAGES = Math.floor((RAM_BASE - DECODED_POOL) / DECODED_PAGE_SIZE)

/** A record: u16 handler, u16 addresses of registers, i32 and i64 operands. */
export const Record = {
  HANDLER: 0,
  REGISTERS: 2,
  MAX_REGISTERS: 5,
  /** u16: the handler of an instruction that has a breakpoint, or where a region begins. */
  BEHIND: 12,
  /** u16: number of a rare instruction in the second function. */
  RARE: 14,
  OPERANDS: 16,
  MAX_OPERAND_BYTES: 16,
} as const
