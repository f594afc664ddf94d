/** Differences between traces as lines for people, in the manner of a unified diff. */
import type { BatchRow, InputRow } from '../../trace/rows.js'
import { grouped } from '../debugger/numbers.js'
import { itemLines } from '../divergence/report.js'
import { placeLines } from '../divergence/place.js'
import { bytesText, recentText } from '../divergence/recent.js'
import type { GuestEvent } from './events.js'
import type { EventDifference, Hunk, HunkLine } from './hunks.js'
import type { ImageDifference, OptionDifference, RowPair, TraceDifference } from './traces.js'

/** The options and images that differ, a line each side. */
export function describeMachines(options: readonly OptionDifference[], images: readonly ImageDifference[]): string[] {
  return [
    ...options.flatMap(({ option, a, b }) => [`-machine option ${option} ${a}`, `+machine option ${option} ${b}`]),
    ...images.flatMap(({ role, a, b }) => [`-${role} ${a ?? 'none'}`, `+${role} ${b ?? 'none'}`]),
  ]
}

/** A difference between two traces of one kernel. */
export function traceLines(difference: TraceDifference): string[] {
  const { causes, options, images, input, batch, parting, notes } = difference
  const lines = describeMachines(options, images)
  if (input) lines.push(...pair('input', input, inputText))
  if (batch) lines.push(...pair('batch', batch, batchText))
  if (parting) {
    const { position, place, items, events } = parting
    const what = place ? 'first instruction whose effect differs' : 'they differ before the first instruction'
    lines.push(`@@ ${what}: ${grouped(position)} @@`)
    if (place) lines.push(...placeLines(place).map((line) => ` ${line}`))
    lines.push(
      ...itemLines(
        items.map(({ kind, name, a, b }) => ({ kind, name, recorded: a, replayed: b })),
        ['-', '+'],
      ).map((line) => ` ${line.trimStart()}`),
    )
    if (events.length > 0) lines.push(' last events before:', ...events.map((event) => `   ${recentText(event)}`))
  }
  lines.push(`cause: ${causes.length > 0 ? causes.join(', ') : 'nothing that the traces list'}`)
  return [...lines, ...notes.map((note) => `note: ${note}`)]
}

function pair<T>(name: string, { n, a, b }: RowPair<T>, text: (row: T) => string): string[] {
  return [
    `-${name} ${n}: ${a === undefined ? 'none' : text(a)}`,
    `+${name} ${n}: ${b === undefined ? 'none' : text(b)}`,
  ]
}

const inputText = ({ icount, source, payload }: InputRow): string =>
  `at ${grouped(icount)}, ${source} ${bytesText(payload)}`

const batchText = ({ icount, count, ended, pc, digestLo, digestHi }: BatchRow): string => {
  const digest = [digestHi, digestLo].map((word) => word.toString(16).padStart(8, '0')).join('')
  return `from ${grouped(icount)}, ${grouped(count)} instructions, ${ended}, to pc 0x${pc.toString(16)}, digest ${digest}`
}

/** Events that differ: the first hunk, or all of them. */
export function eventLines({ hunks, complete }: EventDifference, all: boolean): string[] {
  const shown = all ? hunks : hunks.slice(0, 1)
  const lines = shown.flatMap((hunk) => [header(hunk), ...hunk.lines.map(hunkLine)])
  const rest = hunks.length - shown.length
  if (rest > 0) lines.push(`${rest} more place${rest === 1 ? '' : 's'} differ${rest === 1 ? 's' : ''}; --all shows all`)
  if (!complete) lines.push('note: behind that they have too little in common to be compared')
  return lines
}

const header = ({ a, b }: Hunk): string => `@@ event -${a.from},${a.count} +${b.from},${b.count} @@`

/** `-1_234  uart  text  detail`, with both positions where the event is the same. */
function hunkLine({ side, a, b }: HunkLine): string {
  const { kind, text, detail } = (a ?? b) as GuestEvent
  const position = (event: GuestEvent | undefined): string => (event ? grouped(event.icount) : '').padStart(13)
  return `${side}${position(a)} ${position(b)}  ${kind.padEnd(10)}  ${text}${detail === '' || side === ' ' ? '' : `  (${detail})`}`
}
