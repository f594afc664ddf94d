/** The picture of the ratios: that it is XML, and that what it shows stands where it should. */
import { describe, expect, test } from 'vitest'
import { svgReport } from '../../bench/report/svg.js'
import type { Quotient, Ratio } from '../../bench/results.js'

const quotient = (value: number): Quotient => ({ value, low: value * 0.9, high: value * 1.1 })
const ratio = (guest: string, group: Ratio['group'], record?: number, replay?: number): Ratio => ({
  guest,
  group,
  record: record === undefined ? undefined : quotient(record),
  replay: replay === undefined ? undefined : quotient(replay),
  recordCost: undefined,
  replayCost: undefined,
})
const PICTURE = svgReport(
  [ratio('cpu', 'compute', 0.5, 2), ratio('mem', 'compute'), ratio('svc', 'events', 8, 100)],
  ['Processor <X> & "Y"', 'second line'],
)

/** Names of the elements, in order; throws where tags do not pair, or something is neither a tag nor text. */
function elements(xml: string): string[] {
  const open: string[] = []
  const names: string[] = []
  const token = /<(\/?)([a-z]+)((?: [a-zA-Z0-9:-]+="[^"<&]*")*)(\/?)>|(?:[^<>&]|&(?:lt|gt|amp|quot);)+/y
  while (token.lastIndex < xml.length) {
    const at = token.lastIndex
    const found = token.exec(xml)
    if (!found) throw new Error(`not well-formed at ${at}: ${xml.slice(at, at + 60)}`)
    const [, closing, name, , empty] = found
    if (name === undefined) continue
    if (closing) {
      if (open.pop() !== name) throw new Error(`</${name}> closes something else`)
      continue
    }
    names.push(name)
    if (!empty) open.push(name)
  }
  if (open.length > 0) throw new Error(`${open.join(', ')} not closed`)
  return names
}

const attributes = (pattern: RegExp): number[][] =>
  [...PICTURE.matchAll(pattern)].map((found) => found.slice(1).map(Number))

describe('the picture', () => {
  test('is well-formed, and one document', () => {
    expect(elements(PICTURE)[0]).toBe('svg')
    expect(elements(PICTURE).filter((name) => name === 'svg')).toHaveLength(1)
    expect(PICTURE).toContain('Processor &lt;X&gt; &amp; "Y"')
  })
  test('the check of well-formedness finds what is not', () => {
    expect(() => elements('<a><b></a>')).toThrow('</a>')
    expect(() => elements('<a>&</a>')).toThrow('not well-formed')
    expect(() => elements('<a>')).toThrow('not closed')
  })
  test('has a bar for each ratio, from the line at 1', () => {
    const [[line]] = attributes(/<line x1="([\d.]+)"[^>]*stroke="#222" stroke-width="1.5"\/>/g)
    const bars = attributes(/<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)" height="11"/g)
    expect(bars).toHaveLength(4)
    const [slower, twice, eight, hundred] = bars
    expect(slower[0] + slower[1]).toBeCloseTo(line, 0)
    for (const [x] of [twice, eight, hundred]) expect(x).toBe(line)
    // A logarithmic scale: half and twice are as far from 1; 8 is three times as far as 2.
    expect(slower[1]).toBeCloseTo(twice[1], 0)
    expect(eight[1]).toBeCloseTo(3 * twice[1], 0)
  })
  test('leaves out what has no ratio, and names the rest by group', () => {
    const texts = [...PICTURE.matchAll(/<text [^>]*>([^<]*)</g)].map(([, text]) => text)
    expect(texts).not.toContain('mem')
    for (const shown of ['Compute', 'cpu', '0.50x', '2.00x', 'Events', 'svc', '8.00x', '100x', 'second line'])
      expect(texts).toContain(shown)
    expect(texts).not.toContain('Start-up')
  })
  test('nothing lies outside', () => {
    const [[width, height]] = attributes(/<svg [^>]*width="(\d+)" height="(\d+)"/g)
    for (const [x, y] of attributes(/ x="([\d.-]+)" y="([\d.-]+)"/g)) {
      expect(x).toBeGreaterThanOrEqual(0)
      expect(x).toBeLessThan(width)
      expect(y).toBeGreaterThanOrEqual(0)
      expect(y).toBeLessThan(height)
    }
  })
  test('a long caption takes several lines', () => {
    const caption = Array.from({ length: 60 }, (_, i) => `word${i}`).join(' ')
    const lines = [...svgReport([], [caption]).matchAll(/fill="#555">([^<]*)</g)].map(([, text]) => text)
    expect(lines.length).toBeGreaterThan(2)
    for (const line of lines) expect(line.length).toBeLessThan(120)
    expect(lines.join(' ')).toBe(caption)
  })
  test('nothing to show is a picture too', () => {
    expect(elements(svgReport([], []))[0]).toBe('svg')
  })
})
