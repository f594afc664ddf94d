/** Tables as text: columns lined up for a terminal, or Markdown; and how numbers look in them. */

/** A table: the first column is text and stands left, the others are numbers and stand right. */
export interface Table {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** For a terminal: columns two blanks apart. */
export function textTable({ head, rows }: Table): string {
  const widths = columnWidths([head, ...rows])
  return [head, ...rows].map((row) => padded(row, widths).join('  ').trimEnd()).join('\n')
}

/** For Markdown, lined up in the source as well. */
export function markdownTable({ head, rows }: Table): string {
  const widths = columnWidths([head, ...rows]).map((width) => Math.max(width, 3))
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  return [padded(head, widths), rule, ...rows.map((row) => padded(row, widths))]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n')
}

const columnWidths = (rows: readonly (readonly string[])[]): number[] =>
  rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))

const padded = (row: readonly string[], widths: readonly number[]): string[] =>
  row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))

/** A rate or a ratio with the digits that mean something: three, or all before the point. Nothing if there is none. */
export function rate(value: number | undefined): string {
  if (value === undefined) return ''
  const digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return value.toFixed(digits)
}

/** `1.86x`. */
export const times = (value: number | undefined): string => (value === undefined ? '' : `${rate(value)}x`)

/** An integer with its digits in groups of three. */
export const grouped = (value: number | undefined): string =>
  value === undefined ? '' : String(value).replaceAll(/\B(?=(\d{3})+$)/g, ',')

/** `12.6%`. */
export const percent = (share: number): string => `${(share * 100).toFixed(1)}%`
