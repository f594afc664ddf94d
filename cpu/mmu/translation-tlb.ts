/**
 * The translation TLB: what the architecture lets software see of cached translations.
 *
 * It is filled by walks in program order and emptied by TLBI alone, so its contents depend on the guest only, not on how the guest is
 * executed. The fast TLBs that generated code looks into hold a subset of it. So a kernel that forgets a TLBI meets its stale entry
 * at the same instruction in every engine, and in a replay that starts from a snapshot.
 *
 * Direct-mapped by page address: entries for data, then entries for instruction fetches. Each is six words.
 */
import { TRANSLATION_TLB, TRANSLATION_TLB_END } from '../layout.js'
import type { MachineMemory } from '../machine-memory.js'
import type { Translation } from './walk.js'

const DATA_ENTRIES = 1024
const CODE_ENTRIES = 256
const WORDS = 6
/** Words of an entry. VALID holds the flags below, the size of the mapping and the ASID. */
const Word = { VALID: 0, PAGE_LO: 1, PAGE_HI: 2, PHYSICAL: 3, ATTRIBUTES: 4, LEVEL: 5 } as const
const VALID = 1
const GLOBAL = 2
const EL2 = 4
const SIZE_SHIFT = 8
const ASID_SHIFT = 16

/** Which entries a TLBI reaches, beyond the address: of which regime, and of which address space. */
export interface Invalidation {
  readonly el2: boolean
  /** Only entries of this ASID; undefined for all. */
  readonly asid: number | undefined
  /** Whether global entries go too when an ASID is given. */
  readonly globals: boolean
}

/** Called with the page (as halves, without tag byte) of an entry that is no longer there, and whether it was one for code. */
export type Evicted = (pageLo: number, pageHi: number, code: boolean) => void

/** The translation TLB in machine memory. */
export class TranslationTlb {
  private readonly words: Uint32Array
  private readonly evicted: Evicted

  constructor(memory: MachineMemory, evicted: Evicted) {
    const bytes = (DATA_ENTRIES + CODE_ENTRIES) * WORDS * 4
    if (TRANSLATION_TLB + bytes > TRANSLATION_TLB_END) throw new Error('the translation TLB does not fit its place')
    this.words = new Uint32Array(memory.buffer, TRANSLATION_TLB, bytes / 4)
    this.evicted = evicted
  }

  /**
   * Looks up a page.
   *
   * @param hi the address's high half with the tag byte made canonical.
   * @returns whether it was found; then `into` holds the translation.
   */
  find(lo: number, hi: number, code: boolean, el2: boolean, asid: number, into: Translation): boolean {
    const { words } = this
    const at = entryOf(lo, hi, code)
    const valid = words[at]
    if (
      (valid & VALID) === 0 ||
      words[at + Word.PAGE_LO] !== (lo & ~0xfff) >>> 0 ||
      words[at + Word.PAGE_HI] !== hi >>> 0
    )
      return false
    if (((valid & EL2) !== 0) !== el2) return false
    if ((valid & GLOBAL) === 0 && valid >>> ASID_SHIFT !== asid) return false
    into.fault = 0
    into.page = words[at + Word.PHYSICAL] * 4096
    into.attributes = words[at + Word.ATTRIBUTES]
    into.size = (valid >>> SIZE_SHIFT) & 0xff
    into.level = words[at + Word.LEVEL]
    return true
  }

  /** Enters a walk's result in place of whatever stood there. */
  insert(
    lo: number,
    hi: number,
    code: boolean,
    el2: boolean,
    asid: number,
    global: boolean,
    translation: Translation,
  ): void {
    const { words } = this
    const at = entryOf(lo, hi, code)
    if ((words[at] & VALID) !== 0) this.evicted(words[at + Word.PAGE_LO], words[at + Word.PAGE_HI], code)
    words[at] =
      VALID | (global ? GLOBAL : 0) | (el2 ? EL2 : 0) | (translation.size << SIZE_SHIFT) | (asid << ASID_SHIFT)
    words[at + Word.PAGE_LO] = lo & ~0xfff
    words[at + Word.PAGE_HI] = hi
    words[at + Word.PHYSICAL] = translation.page / 4096
    words[at + Word.ATTRIBUTES] = translation.attributes
    words[at + Word.LEVEL] = translation.level
  }

  /** TLBI by address: every entry whose mapping holds the page, a block's other pages among them. */
  invalidatePage(lo: number, hi: number, which: Invalidation): void {
    this.invalidate(which, (pageLo, pageHi, size) => {
      if (size <= 12) return pageLo === (lo & ~0xfff) >>> 0 && pageHi === hi >>> 0
      if (size >= 32) return pageHi >>> (size - 32) === (hi >>> 0) >>> (size - 32)
      return pageHi === hi >>> 0 && pageLo >>> size === (lo >>> 0) >>> size
    })
  }

  /** TLBI of a whole regime or address space. */
  invalidateAll(which: Invalidation): void {
    this.invalidate(which, () => true)
  }

  /** The contents, for a snapshot: six words for each valid entry, behind its index. */
  save(): number[] {
    const saved: number[] = []
    for (let at = 0; at < this.words.length; at += WORDS) {
      if ((this.words[at] & VALID) !== 0) saved.push(at / WORDS, ...this.words.subarray(at, at + WORDS))
    }
    return saved
  }

  /**
   * Puts back what {@link save} gave.
   *
   * @throws {RangeError} if the list is not of that shape.
   */
  load(saved: readonly number[]): void {
    this.words.fill(0)
    if (saved.length % (WORDS + 1) !== 0)
      throw new RangeError(`snapshot of the TLB has ${saved.length} words, not a multiple of ${WORDS + 1}`)
    for (let i = 0; i < saved.length; i += WORDS + 1) {
      const at = saved[i] * WORDS
      if (at + WORDS > this.words.length) throw new RangeError(`snapshot of the TLB names entry ${saved[i]}`)
      for (let word = 0; word < WORDS; word++) this.words[at + word] = saved[i + 1 + word]
    }
  }

  /** All entries, in machine form. */
  copy(): Uint32Array {
    return this.words.slice()
  }

  /** Puts back a {@link copy}. */
  paste(words: Uint32Array): void {
    this.words.set(words)
  }

  private invalidate(which: Invalidation, matches: (pageLo: number, pageHi: number, size: number) => boolean): void {
    const { words } = this
    for (let at = 0; at < words.length; at += WORDS) {
      const valid = words[at]
      if ((valid & VALID) === 0 || ((valid & EL2) !== 0) !== which.el2) continue
      if (which.asid !== undefined && ((valid & GLOBAL) !== 0 ? !which.globals : valid >>> ASID_SHIFT !== which.asid))
        continue
      if (!matches(words[at + Word.PAGE_LO], words[at + Word.PAGE_HI], (valid >>> SIZE_SHIFT) & 0xff)) continue
      words[at] = 0
      this.evicted(words[at + Word.PAGE_LO], words[at + Word.PAGE_HI], at >= DATA_ENTRIES * WORDS)
    }
  }
}

/** Index of the first word of the entry for a page. The bits from 2 MiB up are mixed in, so that strides spread. */
function entryOf(lo: number, hi: number, code: boolean): number {
  const page = (lo >>> 12) ^ (lo >>> 21) ^ hi
  return code ? (DATA_ENTRIES + (page & (CODE_ENTRIES - 1))) * WORDS : (page & (DATA_ENTRIES - 1)) * WORDS
}
