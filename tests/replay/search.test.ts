/** The search for the first bad build finds it, whatever cannot be judged, and asks about few. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { searchFirstBad } from '../../replay/bisect/search.js'
import type { BuildVerdict } from '../../replay/scenario/rerun.js'

it('narrows to the first bad build, or to it and those beside it that cannot be judged', async () => {
  const rows = fc.integer({ min: 2, max: 60 }).chain((count) =>
    fc.record({
      count: fc.constant(count),
      guilty: fc.integer({ min: 1, max: count - 1 }),
      unknown: fc.uniqueArray(fc.integer({ min: 1, max: count - 1 }), { maxLength: 12 }),
    }),
  )
  await fc.assert(
    fc.asyncProperty(rows, async ({ count, guilty, unknown }) => {
      const truth = (n: number): BuildVerdict => {
        if (n < count - 1 && unknown.includes(n)) return 'cannot-tell'
        return n >= guilty ? 'bad' : 'good'
      }
      const asked: number[] = []
      const found = await searchFirstBad(count, (n) => {
        asked.push(n)
        return Promise.resolve(truth(n))
      })
      expect(truth(found.lastGood)).toBe('good')
      expect(truth(found.firstBad)).toBe('bad')
      expect(found.lastGood < guilty && guilty <= found.firstBad).toBe(true)
      const between = Array.from({ length: found.firstBad - found.lastGood - 1 }, (_, n) => found.lastGood + 1 + n)
      expect(found.skipped).toEqual(between)
      for (const n of between) expect(truth(n)).toBe('cannot-tell')
      expect(new Set(asked).size).toBe(asked.length)
      expect(asked.every((n) => n > 0 && n < count - 1)).toBe(true)
      if (unknown.length === 0) expect(asked.length).toBeLessThanOrEqual(Math.ceil(Math.log2(count)))
    }),
    { numRuns: 500 },
  )
})
