/** The ratios as a picture: a row for each guest, a bar for each mode, on a logarithmic scale with a line at 1. */
import { GROUPS } from '../guests.js'
import type { Quotient, Ratio } from '../results.js'
import { times } from './table.js'

const WIDTH = 760
const LEFT = 110
const RIGHT = 70
const ROW = 34
const BAR = 11
const TOP = 64
const TITLE = 30
const BOTTOM = 44
/** Letters of the caption that fit in a line. */
const LINE = 115
const SERIES = [
  { column: 'record', label: 'record', colour: '#1b6ca8' },
  { column: 'replay', label: 'replay', colour: '#e08e2b' },
] as const
/** Where lines stand, between powers of ten too while there is room. */
const STEPS = [1, 2, 5]

/**
 * The picture, an SVG document by itself.
 *
 * @param caption what was measured on what.
 */
export function svgReport(all: readonly Ratio[], caption: readonly string[]): string {
  const captionLines = caption.flatMap((line) => wrapped(line))
  const shown = all.filter(({ record, replay }) => record || replay)
  const values = shown.flatMap(({ record, replay }) =>
    [record, replay].flatMap((one) => (one ? [one.low, one.high] : [])),
  )
  const axis = new Axis(Math.min(0.5, ...values), Math.max(2, ...values))
  const body: string[] = []
  let y = TOP
  for (const { name, title } of GROUPS) {
    const rows = shown.filter(({ group }) => group === name)
    if (rows.length === 0) continue
    body.push(text(8, y + 20, title, 'font-weight="bold"'))
    y += TITLE
    for (const ratio of rows) {
      body.push(text(LEFT - 8, y + BAR + 4, ratio.guest, 'text-anchor="end"'))
      SERIES.forEach(({ column, colour }, i) => body.push(...bar(axis, y + i * (BAR + 2), ratio[column], colour)))
      y += ROW
    }
  }
  const height = y + BOTTOM + 16 * captionLines.length
  const grid = axis.marks().map((value) => {
    const x = axis.at(value)
    const look = value === 1 ? 'stroke="#222" stroke-width="1.5"' : 'stroke="#ddd"'
    return `<line x1="${x}" y1="${TOP}" x2="${x}" y2="${y}" ${look}/>${text(x, y + 16, `${value}x`, 'text-anchor="middle"')}`
  })
  const legend = SERIES.map(({ label, colour }, i) => {
    const x = LEFT + i * 90
    return `<rect x="${x}" y="38" width="12" height="12" fill="${colour}"/>${text(x + 18, 49, label)}`
  })
  const notes = captionLines.map((line, i) => text(8, y + BOTTOM + 16 * i, line, 'font-size="11" fill="#555"'))
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13" fill="#222">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    text(8, 22, 'kaal against QEMU: times as fast, by CPU time (right of the line kaal is faster)', 'font-size="15"'),
    ...legend,
    ...grid,
    ...body,
    ...notes,
    '</svg>\n',
  ].join('\n')
}

/** A bar from the line at 1 to the ratio, a whisker from the least to the greatest of a round, and the ratio in figures. */
function bar(axis: Axis, y: number, quotient: Quotient | undefined, colour: string): string[] {
  if (!quotient) return []
  const [one, end, low, high] = [1, quotient.value, quotient.low, quotient.high].map((value) => axis.at(value))
  const middle = y + BAR / 2
  const [from, width] = [Math.min(one, end), Math.abs(end - one)]
  return [
    `<rect x="${from}" y="${y}" width="${round(width)}" height="${BAR}" fill="${colour}"/>`,
    `<line x1="${low}" y1="${middle}" x2="${high}" y2="${middle}" stroke="#222"/>`,
    text(round(Math.max(one, end, high) + 5), y + BAR - 1, times(quotient.value), 'font-size="11"'),
  ]
}

/** The horizontal axis: logarithmic between two values. */
class Axis {
  private readonly from: number
  private readonly to: number

  constructor(least: number, greatest: number) {
    this.from = Math.log10(least) - 0.05
    this.to = Math.log10(greatest) + 0.05
  }

  at(value: number): number {
    return round(LEFT + ((Math.log10(value) - this.from) / (this.to - this.from)) * (WIDTH - LEFT - RIGHT))
  }

  /** Values that get a line. */
  marks(): number[] {
    const marks: number[] = []
    const steps = this.to - this.from > 2.5 ? [1] : STEPS
    for (let power = Math.floor(this.from); power <= this.to; power++)
      for (const step of steps) {
        const value = Number((step * 10 ** power).toPrecision(1))
        if (Math.log10(value) >= this.from && Math.log10(value) <= this.to) marks.push(value)
      }
    return marks
  }
}

const round = (x: number): number => Math.round(x * 10) / 10

const text = (x: number, y: number, content: string, look = ''): string =>
  `<text x="${x}" y="${y}"${look === '' ? '' : ` ${look}`}>${escaped(content)}</text>`

/** A text in lines that fit the picture. */
function wrapped(content: string): string[] {
  const lines = ['']
  for (const word of content.split(' ')) {
    const longer = `${lines[lines.length - 1]} ${word}`.trimStart()
    if (longer.length <= LINE) lines[lines.length - 1] = longer
    else lines.push(word)
  }
  return lines
}

const escaped = (content: string): string =>
  content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
