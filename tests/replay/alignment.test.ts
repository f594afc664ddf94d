/** The differences between two lists: they lead from one to the other, and no fewer would do. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Change, changesBetween } from '../../replay/diff/alignment.js'

const lists = fc.array(fc.nat({ max: 4 }), { maxLength: 60 })

/** The length of the longest common subsequence, by the table that everyone knows. */
function common(a: readonly number[], b: readonly number[]): number {
  let row = Array.from({ length: b.length + 1 }, () => 0)
  for (const item of a) {
    const next = [0]
    for (let j = 0; j < b.length; j++) next.push(item === b[j] ? row[j] + 1 : Math.max(row[j + 1], next[j]))
    row = next
  }
  return row[b.length]
}

function applied(a: readonly number[], b: readonly number[], changes: readonly Change[]): number[] {
  const result: number[] = []
  let at = 0
  for (const { aFrom, aTo, bFrom, bTo } of changes) {
    result.push(...a.slice(at, aFrom), ...b.slice(bFrom, bTo))
    at = aTo
  }
  return [...result, ...a.slice(at)]
}

const size = (changes: readonly Change[]): number =>
  changes.reduce((sum, { aFrom, aTo, bFrom, bTo }) => sum + aTo - aFrom + bTo - bFrom, 0)

describe('changes between two lists', () => {
  it('lead from one to the other, and are as few as can be', () => {
    fc.assert(
      fc.property(lists, lists, (a, b) => {
        const { changes, complete } = changesBetween(a, b)
        expect(complete).toBe(true)
        expect(applied(a, b, changes)).toEqual(b)
        expect(size(changes)).toBe(a.length + b.length - 2 * common(a, b))
        // None is empty, and something that is the same stands between two.
        for (const [i, { aFrom, aTo, bFrom, bTo }] of changes.entries()) {
          expect(aTo - aFrom + bTo - bFrom).toBeGreaterThan(0)
          if (i > 0) expect(aFrom).toBeGreaterThan(changes[i - 1].aTo)
          expect(
            a.slice(0, aFrom).length - size(changes.slice(0, i).map((each) => ({ ...each, bFrom: 0, bTo: 0 }))),
          ).toBe(b.slice(0, bFrom).length - size(changes.slice(0, i).map((each) => ({ ...each, aFrom: 0, aTo: 0 }))))
        }
      }),
      { numRuns: 500 },
    )
  })

  it('are given up where there is too little in common, and begin at the first difference all the same', () => {
    const a = Array.from({ length: 500 }, (_, i) => (i < 100 ? i : 1000 + i))
    const b = Array.from({ length: 400 }, (_, i) => (i < 100 ? i : 2000 + i))
    const { changes, complete } = changesBetween(a, b, 50)
    expect(complete).toBe(false)
    expect(changes).toEqual([{ aFrom: 100, aTo: 500, bFrom: 100, bTo: 400 }])
  })

  it('are found quickly in long lists with few of them', () => {
    const a = Array.from({ length: 400_000 }, (_, i) => i % 977)
    const b = a.filter((_, i) => i % 10_000 !== 9_999)
    const { changes, complete } = changesBetween(a, b)
    expect(complete).toBe(true)
    expect(size(changes)).toBe(40)
  })
})
