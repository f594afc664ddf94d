/** What the timeline keeps: checkpoints within their limit, and knowledge of where nothing was written. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Checkpoint, Checkpoints } from '../../replay/timeline/checkpoints.js'
import { WrittenPages } from '../../replay/timeline/written-pages.js'

const PAGE = 4096

/** A checkpoint with pages of its own. */
function checkpoint(position: number, pages: number): Checkpoint {
  const machine = { icount: position, fresh: false, state: new Uint8Array(64), tlb: new Uint32Array(16) }
  const memory = [Array.from({ length: pages }, () => new Uint8Array(PAGE))]
  return { position, machine, memory, inputs: 0 }
}

describe('checkpoints', () => {
  test('the nearest is found, whatever the order in which they came', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1000)), fc.nat(1000), (positions, wanted) => {
        const kept = new Checkpoints(checkpoint(0, 0), 2 ** 30)
        for (const position of positions) kept.keep(checkpoint(position, 1), PAGE)
        expect(kept.nearest(wanted).position).toBe(Math.max(0, ...positions.filter((position) => position <= wanted)))
      }),
    )
  })

  test('their memory stays below the limit, and the first and the newest stay', () => {
    const limit = 100 * PAGE
    const kept = new Checkpoints(checkpoint(0, 1), limit)
    for (let n = 1; n <= 500; n++) {
      kept.keep(checkpoint(n * 1000, 3), 3 * PAGE)
      expect(kept.nearest(n * 1000).position).toBe(n * 1000)
      if (n % 100 === 0) expect(kept.memory).toBeLessThanOrEqual(limit + 4 * PAGE)
    }
    expect(kept.nearest(999).position).toBe(0)
  })

  test('there are more near the place where the last was made than far away', () => {
    const kept = new Checkpoints(checkpoint(0, 1), 200 * PAGE)
    for (let n = 1; n <= 4000; n++) kept.keep(checkpoint(n * 100_000, 2), 2 * PAGE)
    const distances = (from: number, to: number): number => {
      const found = new Set<number>()
      for (let n = from; n <= to; n++) found.add(kept.nearest(n * 100_000).position)
      return found.size
    }
    expect(distances(3500, 4000)).toBeGreaterThan(distances(500, 1000) * 2)
    expect(distances(1, 1000)).toBeGreaterThan(1)
  })
})

describe('written pages', () => {
  /** What happened: the page written at each position, if any. */
  const history = fc.array(fc.option(fc.nat(5), { nil: undefined }), { minLength: 1, maxLength: 60 })

  test('never hide a write, and know of none where the whole way back has been seen', () => {
    fc.assert(
      fc.property(
        history,
        fc.array(fc.tuple(fc.nat(60), fc.nat(60))),
        fc.nat(60),
        fc.nat(5),
        (writes, runs, to, page) => {
          const known = new WrittenPages()
          const seen = new Set<number>()
          for (const [a, b] of runs) {
            const [from, until] = [Math.min(a, b, writes.length), Math.min(Math.max(a, b), writes.length)]
            known.add(from, until, new Set(writes.slice(from, until).filter((each) => each !== undefined)))
            for (let position = from; position < until; position++) seen.add(position)
          }
          const before = Math.min(to, writes.length)
          const since = known.untouchedSince(before, [{ first: page, last: page }])
          expect(since).toBeLessThanOrEqual(before)
          for (let position = since; position < before; position++) {
            expect(writes[position]).not.toBe(page)
            expect(seen.has(position)).toBe(true)
          }
        },
      ),
    )
  })

  test('are put together from stretches that overlap, and found in ranges of any length', () => {
    const known = new WrittenPages()
    known.add(0, 50, new Set([1]))
    known.add(40, 90, new Set([2, 3]))
    known.add(80, 120, new Set([4]))
    expect(known.untouchedSince(120, [{ first: 9, last: 9 }])).toBe(0)
    expect(known.untouchedSince(120, [{ first: 2, last: 2 }])).toBe(80)
    expect(known.untouchedSince(120, [{ first: 1, last: 1 }])).toBe(40)
    expect(known.untouchedSince(120, [{ first: 4, last: 2 ** 52 - 1 }])).toBe(120)
    expect(known.untouchedSince(130, [{ first: 9, last: 9 }])).toBe(130)
    expect(
      known.untouchedSince(100, [
        { first: 4, last: 4 },
        { first: 7, last: 8 },
      ]),
    ).toBe(100)
    expect(
      known.untouchedSince(90, [
        { first: 4, last: 4 },
        { first: 7, last: 8 },
      ]),
    ).toBe(0)
  })
})
