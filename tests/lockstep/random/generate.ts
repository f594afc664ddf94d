/** Makes guests of random instructions: seeded, so that the same seed and number give the same file. */
import { decode, instructions } from '../../../cpu/isa/table.js'
import * as a from './encode.js'
import { type Case, isExcludedRead, randomCase, systemRegisterName, undefinedCase } from './cases.js'
import { CASES, SLOT_BYTES, SLOT_WORDS, type Setting, buildImage, poolAddress, randomSetting } from './image.js'
import { Random } from './prng.js'

/** Cases between two slots pairs that load all registers anew. */
const RELOAD_EVERY = 12
/** One in so many cases is a word of no row. */
const UNDEFINED_SHARE = 1 / 16

/** A guest and what is in it. */
export interface RandomGuest {
  readonly file: Uint8Array
  readonly setting: Setting
  /** Random words by row name. */
  readonly counts: ReadonlyMap<string, number>
  /** The cases by slot number; set-up slots are left out. */
  readonly cases: ReadonlyMap<number, Case>
}

/** All registers from a pool of 32 values, SP last; two slots. */
function reload(address: number, pool: number): readonly number[] {
  const words = [a.adr(30, pool - address), a.ldr(29, 30, 31 * 8), a.addImmediate(31, 29, 0)]
  for (let i = 0; i < 28; i += 2) words.push(a.ldp(i, i + 1, 30, 8 * i))
  words.push(a.ldp(28, 29, 30, 28 * 8), a.ldr(30, 30, 30 * 8))
  return words
}

const pad = (words: readonly number[]): number[] => [
  ...words,
  ...Array.from({ length: SLOT_WORDS - words.length }, () => a.NOP),
]

const SWEEP_CASES = 4096

/** A kind of sweep: the word of an encoding, or undefined for one that is left out. */
interface Sweep {
  readonly what: string
  readonly el: 0 | 1
  readonly encodings: number
  readonly word: (encoding: number) => number | undefined
}

const SWEEPS: readonly Sweep[] = [
  ...([1, 0] as const).map((el) => ({
    what: `MRS at EL${el}, every encoding`,
    el,
    encodings: 1 << 15,
    word(encoding: number) {
      const name = systemRegisterName(encoding)
      return name !== undefined && isExcludedRead(name) ? undefined : 0xd5300000 | (encoding << 5)
    },
  })),
  {
    what: 'MSR, every encoding that names no register',
    el: 1,
    encodings: 1 << 15,
    word: (encoding) => (systemRegisterName(encoding) === undefined ? 0xd5100000 | (encoding << 5) : undefined),
  },
  {
    what: 'SYS and SYSL, every encoding that names no instruction',
    el: 1,
    encodings: 1 << 15,
    word(encoding) {
      const word = 0xd5080000 | ((encoding >> 14) << 21) | ((encoding & 0x3fff) << 5)
      return decode(word >>> 0) === undefined ? word : undefined
    },
  },
]

/**
 * Guests that try system encodings one after the other: what reads, what is UNDEFINED.
 *
 * @returns each with a label for people.
 */
export function* sweepGuests(): Generator<readonly [label: string, guest: RandomGuest]> {
  for (const { what, el, encodings, word } of SWEEPS) {
    for (let first = 0; first < encodings; first += SWEEP_CASES) {
      const random = new Random(first)
      const setting: Setting = { ...randomSetting(random, 0), el }
      const slots: number[][] = []
      const cases = new Map<number, Case>()
      for (let encoding = first; encoding < first + SWEEP_CASES; encoding++) {
        const found = word(encoding)
        if (found === undefined) continue
        // X20-X25 belong to the exception handler; the others each get their turn.
        const complete = (found | (encoding % 20)) >>> 0
        cases.set(slots.length, { words: [complete], word: complete, row: what })
        slots.push(pad([complete]))
      }
      yield [
        `${what}, from ${first}`,
        { file: buildImage(setting, slots, [], random), setting, counts: new Map([[what, slots.length]]), cases },
      ]
    }
  }
}

/**
 * A guest of `cases` random words.
 *
 * @param seed any 32-bit number.
 * @param number the guest's number: neighbours differ in exception level and MMU.
 */
export function randomGuest(seed: number, number: number, cases: number): RandomGuest {
  const random = new Random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca77))
  const setting = randomSetting(random, number)
  const reloads = Math.ceil(cases / RELOAD_EVERY)
  const slotCount = cases + 2 * reloads
  const pools: bigint[] = []
  const slots: number[][] = []
  const counts = new Map<string, number>()
  const placed = new Map<number, Case>()
  const padded = (words: readonly number[]): number[] => [
    ...words,
    ...Array.from({ length: SLOT_WORDS - words.length }, () => a.NOP),
  ]
  for (let i = 0; i < cases; i++) {
    if (i % RELOAD_EVERY === 0) {
      const words = reload(CASES + slots.length * SLOT_BYTES, poolAddress(slotCount) + 8 * pools.length)
      for (let k = 0; k < 31; k++) pools.push(random.value())
      pools.push(random.chance(0.8) ? 0x4040_0000n + BigInt(random.below(0x3000)) * 16n : random.value())
      slots.push(padded(words.slice(0, SLOT_WORDS)), padded(words.slice(SLOT_WORDS)))
    }
    const context = { random, setting, address: CASES + slots.length * SLOT_BYTES }
    // Rows take turns, so that each gets its share.
    const made = random.chance(UNDEFINED_SHARE)
      ? undefinedCase(context)
      : randomCase(context, instructions[(i + number) % instructions.length])
    counts.set(made.row, (counts.get(made.row) ?? 0) + 1)
    placed.set(slots.length, made)
    slots.push(padded(made.words))
  }
  return { file: buildImage(setting, slots, pools, random), setting, counts, cases: placed }
}
