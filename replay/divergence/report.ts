/** A narrowing as lines for people. */
import { grouped } from '../debugger/numbers.js'
import type { Item } from './items.js'
import type { Narrowing } from './narrow.js'
import { placeLines } from './place.js'
import { recentText } from './recent.js'
import { rowText } from './rows.js'

/** What differs, a line each, the names in a column. */
export function itemLines(
  items: readonly Item[],
  names: readonly [string, string] = ['recorded', 'replayed'],
): string[] {
  const labels = items.map(({ kind, name }) => (name === kind ? kind : `${kind} ${name}`))
  const width = Math.min(Math.max(0, ...labels.map((label) => label.length)), 40)
  return items.map(({ recorded, replayed }, i) => {
    return `  ${labels[i].padEnd(width)}  ${names[0]} ${recorded}  ${names[1]} ${replayed}`
  })
}

/** All that is known of a divergence. */
export function reportLines(narrowing: Narrowing): string[] {
  const { kind, from, to, place, items, rows, writers, events, notes } = narrowing
  const lines = [headline(narrowing)]
  if (place) lines.push(...placeLines(place).map((line) => `  ${line}`))
  lines.push(...itemLines(items))
  for (const row of rows) lines.push(`  ${rowText(row)}`)
  for (const { item, place: where } of writers)
    lines.push(`  ${item} was last written at ${placeLines(where).join('  ')}`)
  for (const note of notes) lines.push(`note: ${note}`)
  if (events.length > 0 && (kind !== 'row' || to > from)) {
    lines.push('last events before:')
    lines.push(...events.map((event) => `  ${recentText(event)}`))
  }
  return lines
}

function headline({ kind, from, to, reference }: Narrowing): string {
  switch (kind) {
    case 'instruction':
      return `first instruction whose effect differs: ${grouped(from)} (recorded values are those of ${reference}, which agrees with the trace)`
    case 'run':
      return `first difference: between ${grouped(from)} and ${grouped(to)}, in a run of more than one instruction; one by one they do what ${reference} does, which agrees with the trace`
    case 'row':
      return 'the trace was changed after it was recorded: this row does not say what happened'
    case 'unstable':
      return `the difference does not come again: from ${grouped(from)} to ${grouped(to)} ${reference} agrees with the trace`
    default:
      return `first difference: between ${grouped(from)} and ${grouped(to)}`
  }
}
