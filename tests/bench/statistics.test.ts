/** Medians, spreads and rates. */
import { describe, expect, test } from 'vitest'
import { geometricMean, median, millionsPerSecond, span } from '../../bench/statistics.js'

describe('statistics', () => {
  test('the median of an odd number of values is one of them', () => {
    expect(median([10, 9, 100])).toBe(10)
  })
  test('the median of an even number of values lies between two', () => {
    expect(median([4, 1, 3, 100])).toBe(3.5)
  })
  test('values keep their order', () => {
    const values = [3, 1, 2]
    median(values)
    expect(values).toEqual([3, 1, 2])
  })
  test('a span has the middle and both ends', () => {
    expect(span([2, 1, 4])).toEqual({ median: 2, min: 1, max: 4 })
    expect(span([7])).toEqual({ median: 7, min: 7, max: 7 })
  })
  test('the geometric mean of a ratio and its inverse is 1', () => {
    expect(geometricMean([4, 0.25])).toBeCloseTo(1)
    expect(geometricMean([2, 8])).toBeCloseTo(4)
  })
  test('a rate is over the time without start-up', () => {
    expect(millionsPerSecond(3_000_000, 2.5, 0.5)).toBe(1.5)
  })
  test('there is no rate over next to nothing', () => {
    expect(millionsPerSecond(690, 0.305, 0.3)).toBeUndefined()
    expect(millionsPerSecond(690, 0.2, 0.3)).toBeUndefined()
  })
})
