/** The digest chain: fixed values, and what a good mixing function does. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DigestChain, finalDigest } from '../../trace/digest.js'

const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const event = fc.tuple(u32, u32, u32, u32, u32, u32, u32)
type Words = [number, number, number, number, number, number, number]

function digest(events: readonly Words[], end: readonly number[] = [0, 0, 0, 0, 0, 0, 0], from = [0, 0]): string {
  const chain = new DigestChain()
  chain.restart(from[0], from[1])
  for (const words of events) chain.event(...words)
  chain.endBatch(end[0], end[1], end[2], end[3], end[4], 'interrupt', end[5], end[6])
  return text(chain)
}
const text = ({ lo, hi }: DigestChain) => [hi, lo].map((word) => word.toString(16).padStart(8, '0')).join('')
const bitsOf = (word: string) => BigInt(`0x${word}`).toString(2).replaceAll('0', '').length

describe('digest chain', () => {
  test('has the value that its documentation gives, on every host', () => {
    // Worked out from the text of the specification, in 64-bit arithmetic, apart from the code under test.
    expect(digest([])).toBe(reference([], [0, 0, 0, 0, 0, 0, 0]))
    fc.assert(
      fc.property(fc.array(event, { maxLength: 5 }), fc.tuple(u32, u32, fc.nat(3), u32, u32, u32, u32), (list, end) => {
        expect(digest(list, end)).toBe(reference(list, end))
      }),
    )
    expect(digest([[1, 2, 3, 4, 5, 6, 7]])).toBe('cc3bd1319025510b')
  })

  test('one flipped bit of any word flips about half of the bits', () => {
    const base: Words[] = Array.from({ length: 4 }, (_, n) => [2, n * 100, 0, n, 65, 0, 0])
    const end = [0, 1000, 0, 0x4008_0000, 0xffff_0000, 11, 12]
    const whole = BigInt(`0x${digest(base, end)}`)
    const changed = Array.from({ length: 64 }, () => 0)
    let flips = 0
    let fewest = 64
    const see = (other: string) => {
      const difference = whole ^ BigInt(`0x${other}`)
      fewest = Math.min(fewest, bitsOf(difference.toString(16)))
      for (let bit = 0; bit < 64; bit++) if ((difference >> BigInt(bit)) & 1n) changed[bit]++
      flips++
    }
    for (let bit = 0; bit < 32; bit++) {
      const flip = (words: readonly number[], at: number) =>
        words.map((word, i) => (i === at ? word ^ (1 << bit) : word))
      base.forEach((words, n) => {
        for (let at = 0; at < 7; at++)
          see(
            digest(
              base.map((w, i) => (i === n ? (flip(words, at) as Words) : w)),
              end,
            ),
          )
      })
      for (let at = 0; at < 7; at++) see(digest(base, flip(end, at)))
      see(digest(base, end, [1 << bit, 0]))
      see(digest(base, end, [0, 1 << bit]))
    }
    // A fair coin tossed 1184 times stays within 592 ± 86 (five sigma), and 64 tosses hardly ever give fewer than 10.
    expect(flips).toBe(32 * (4 * 7 + 7 + 2))
    expect(fewest).toBeGreaterThanOrEqual(10)
    for (const count of changed) expect(Math.abs(count - flips / 2)).toBeLessThan(86)
  })

  test('order, number and batch of events count', () => {
    fc.assert(
      fc.property(event, event, (a, b) => {
        fc.pre(a.some((word, at) => word !== b[at]))
        const seen = [digest([a, b]), digest([b, a]), digest([a]), digest([b]), digest([a, a, b]), digest([])]
        expect(new Set(seen).size).toBe(seen.length)
      }),
    )
  })

  test('200,000 batches that differ little give 200,000 digests', () => {
    const seen = new Set<string>()
    for (let n = 0; n < 100_000; n++) seen.add(digest([[4, n, 0, 0, 65, 0, 0]]))
    for (let n = 0; n < 100_000; n++) seen.add(digest([[4, 0, 0, 0, n & 0xff, 0, n >> 8]], [n, 0, 0, 0, 0, 0, 0]))
    // One event is in both.
    expect(seen.size).toBeGreaterThanOrEqual(199_999)
  })

  test('goes on from a stored digest as if it had never stopped', () => {
    const run = (chain: DigestChain, from: number, to: number) => {
      for (let n = from; n < to; n++) {
        chain.uart(n * 10, 0, n)
        chain.endBatch(n * 10, 10, 0, n, 0, 'limit', n, n)
      }
    }
    const whole = new DigestChain()
    run(whole, 0, 10)
    const first = new DigestChain()
    run(first, 0, 5)
    const second = new DigestChain()
    second.uart(1, 0, 1)
    second.restart(first.lo, first.hi)
    run(second, 5, 10)
    expect(text(second)).toBe(text(whole))
  })

  test('every field of every event counts', () => {
    const one = (fold: (chain: DigestChain) => void) => {
      const chain = new DigestChain()
      fold(chain)
      chain.endBatch(0, 10, 0, 0, 0, 'limit', 0, 0)
      return text(chain)
    }
    const bytes = (...list: number[]) => Uint8Array.from(list)
    const seen = [
      one((c) => c.uart(1, 0, 65)),
      one((c) => c.uart(2, 0, 65)),
      one((c) => c.uart(2 ** 40 + 1, 0, 65)),
      one((c) => c.uart(1, 1, 65)),
      one((c) => c.uart(1, 0, 66)),
      one((c) => c.interrupt(1, 0, 27, 1, 2, 1)),
      one((c) => c.interrupt(1, 1, 27, 1, 2, 1)),
      one((c) => c.interrupt(1, 0, 30, 1, 2, 1)),
      one((c) => c.interrupt(1, 0, 27, 3, 2, 1)),
      one((c) => c.interrupt(1, 0, 27, 1, 3, 1)),
      one((c) => c.interrupt(1, 0, 27, 1, 2, 0)),
      one((c) => c.exception(1, 0, 'undefined', 1, 2, 3, 4, 5)),
      one((c) => c.exception(1, 0, 'data-abort', 1, 2, 3, 4, 5)),
      one((c) => c.exception(1, 0, 'undefined', 0, 2, 3, 4, 5)),
      one((c) => c.exception(1, 0, 'undefined', 1, 0, 3, 4, 5)),
      one((c) => c.exception(1, 0, 'undefined', 1, 2, 0, 4, 5)),
      one((c) => c.exception(1, 0, 'undefined', 1, 2, 3, 0, 5)),
      one((c) => c.exception(1, 0, 'undefined', 1, 2, 3, 4, 0)),
      one((c) => c.input(1, 'uart', bytes(1, 2))),
      one((c) => c.input(1, 'rtc', bytes(1, 2))),
      one((c) => c.input(1, 'uart', bytes(1, 2, 0))),
      one((c) => c.input(1, 'uart', bytes(2, 1))),
      one((c) => c.input(1, 'uart', new Uint8Array(40))),
      one((c) => c.input(1, 'uart', new Uint8Array(41))),
    ]
    expect(new Set(seen).size).toBe(seen.length)
  })
})

describe('final digest', () => {
  const filled = (byte: number, length = 32) => new Uint8Array(length).fill(byte)
  const state = { digestLo: 1, digestHi: 2, instructions: 2 ** 40, pages: [{ page: 1, hash: filled(1) }] }

  test('covers digest, count, page numbers and page hashes', () => {
    const seen = [
      state,
      { ...state, digestLo: 3 },
      { ...state, digestHi: 3 },
      { ...state, instructions: 5 },
      { ...state, pages: [{ page: 2, hash: filled(1) }] },
      { ...state, pages: [{ page: 1, hash: filled(2) }] },
      { ...state, pages: [{ page: 1, hash: filled(1, 8) }] },
      { ...state, pages: [] },
    ].map(finalDigest)
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen[0]).toMatch(/^[0-9a-f]{64}$/)
  })

  test('refuses a hash of another length', () => {
    const pages = [{ page: 1, hash: filled(1, 16) }]
    expect(() => finalDigest({ ...state, pages })).toThrow('page 1: its hash has 16 bytes')
  })

  test('refuses pages out of order', () => {
    const pages = [state.pages[0], state.pages[0]]
    expect(() => finalDigest({ ...state, pages })).toThrow('page 1 after page 1')
  })
})

/** The function as digest.ts documents it, in bigints. */
function reference(events: readonly Words[], end: readonly number[]): string {
  const mask = 0xffff_ffffn
  const rotl = (word: bigint, by: bigint) => ((word << by) | (word >> (32n - by))) & mask
  let [a, b, c, d] = [0x6b61616cn, 0x74726163n, 0x3c6ef372n, 0xa54ff53an]
  const block = (...words: (number | bigint)[]) => {
    const x = words.map((word) => BigInt.asUintN(32, BigInt(word)))
    a = ((a ^ x[0]) * 0x9e3779b1n) & mask
    b = ((b ^ x[1]) * 0x85ebca77n) & mask
    c = ((c ^ x[2]) * 0xc2b2ae3dn) & mask
    d = ((d ^ x[3]) * 0x27d4eb2fn) & mask
    b = (b + rotl(a, 13n)) & mask
    c ^= rotl(b, 19n)
    d = (d + rotl(c, 11n)) & mask
    a ^= rotl(d, 17n)
  }
  block(0, 0, mask, mask)
  for (const [kind, lo, hi, w0, w1, w2, w3] of events) {
    block(kind, lo, hi, 0)
    block(w0, w1, w2, w3)
  }
  block(1, end[0], 0, 0)
  block(end[1], end[2], end[3], end[4])
  block(end[5], end[6], events.length, 2)
  for (let round = 0; round < 6; round++) block(0, 0, 0, 0)
  const hex = (word: bigint) => word.toString(16).padStart(8, '0')
  return hex(b ^ rotl(d, 21n)) + hex(a ^ rotl(c, 7n))
}
