/** The report for a terminal: every mode of every guest, group by group, and the ratios. */
import { GROUPS, type Group } from '../guests.js'
import { type Quotient, type Ratio, type Result, enginesOf, find, guestsOf, summary } from '../results.js'
import type { Span } from '../statistics.js'
import { modeName } from '../systems.js'
import { grouped, rate, textTable, times } from './table.js'

/** What is printed after a run. */
export function textReport(results: readonly Result[], all: readonly Ratio[]): string {
  const parts = GROUPS.flatMap(({ name, title }) => {
    const some = guestsOf(results, name).flatMap((guest) => results.filter((result) => result.guest === guest))
    if (some.length === 0) return []
    return [`${title}\n\n${name === 'start-up' ? startUp(some) : runs(some)}`]
  })
  return [...parts, ...ratioTable(all), ...engineTable(results), ...summaryLines(all)].join('\n\n')
}

const seconds = ({ min, max }: Span): string => `${min.toFixed(3)}..${max.toFixed(3)}`
const who = ({ guest, system, mode, engine }: Result): string => `${guest}, ${modeName({ system, name: mode, engine })}`

function runs(results: readonly Result[]): string {
  return textTable({
    head: ['guest, mode', 'instructions', 'MIPS', 'MIPS (wall)', 'CPU s', 'min..max', 'wall s', 'trace bytes'],
    rows: results.map((result) => [
      who(result),
      grouped(result.instructions),
      rate(result.mips),
      rate(result.wallMips),
      result.cpuSeconds.median.toFixed(3),
      seconds(result.cpuSeconds),
      result.wallSeconds.median.toFixed(3),
      grouped(result.traceBytes),
    ]),
  })
}

function startUp(results: readonly Result[]): string {
  return textTable({
    head: ['guest, mode', 'wall s', 'min..max', 'CPU s', 'min..max', 'trace bytes'],
    rows: results.map((result) => [
      who(result),
      result.wallSeconds.median.toFixed(3),
      seconds(result.wallSeconds),
      result.cpuSeconds.median.toFixed(3),
      seconds(result.cpuSeconds),
      grouped(result.traceBytes),
    ]),
  })
}

function ratioTable(all: readonly Ratio[]): string[] {
  if (all.length === 0) return []
  const both = (quotient: Quotient | undefined): string[] =>
    quotient ? [times(quotient.value), `${rate(quotient.low)}..${rate(quotient.high)}`] : ['', '']
  const head = ['ratio', 'record: kaal / QEMU', 'rounds', 'replay: kaal / QEMU', 'rounds']
  const costs = ['kaal: record / plain', 'rounds', 'kaal: replay / record', 'rounds']
  const rows = all.map((ratio) => [
    ratio.guest,
    ...both(ratio.record),
    ...both(ratio.replay),
    ...both(ratio.recordCost),
    ...both(ratio.replayCost),
  ])
  return [textTable({ head: [...head, ...costs], rows })]
}

function engineTable(results: readonly Result[]): string[] {
  const engines = enginesOf(results)
  if (engines.length === 0) return []
  const guests = [...guestsOf(results, 'compute'), ...guestsOf(results, 'events')]
  const of = (guest: string, name: 'record' | 'replay', engine: string): string =>
    rate(find(results, guest, { system: 'kaal', name, engine })?.mips)
  const head = ['MIPS by engine', ...engines.flatMap((engine) => [`${engine} record`, 'replay'])]
  const rows = guests.map((guest) => [
    guest,
    ...engines.flatMap((engine) => [of(guest, 'record', engine), of(guest, 'replay', engine)]),
  ])
  return [textTable({ head, rows })]
}

/** In words: each group's geometric mean and its worst guest, as far as there are figures. */
export function summaryLines(all: readonly Ratio[]): string[] {
  const columns = [
    { column: 'record', what: 'record, kaal / QEMU' },
    { column: 'replay', what: 'replay, kaal / QEMU' },
    { column: 'recordCost', what: 'kaal record / plain run, CPU time' },
    { column: 'replayCost', what: 'kaal replay / record, CPU time' },
  ] as const
  const lines = (['compute', 'events'] satisfies Group[]).flatMap((group) =>
    columns.flatMap(({ column, what }) => {
      const found = summary(all, group, column)
      if (!found) return []
      const { guests, mean, worst } = found
      const title = group === 'compute' ? 'Compute guests' : 'Event guests'
      return [
        `${title} (${guests}), ${what}: geometric mean ${times(mean)}, worst ${worst.guest} ${times(worst.value)}.`,
      ]
    }),
  )
  return lines.length > 0 ? [lines.join('\n')] : []
}

/** What the columns mean. */
export const LEGEND =
  'MIPS: million guest instructions a second of CPU time (user + system, all threads) less the start-up that null measures; MIPS (wall): of wall time.\n' +
  'CPU s, wall s: medians, start-up included; min..max: of all rounds; rounds: the least and the greatest ratio in a round.'
