/** The report as a Markdown table: a row for each guest, as the README shows it. */
import { START_UP } from '../guests.js'
import { type Result, find, meanRatio, ratios } from '../results.js'
import { grouped, markdownTable, rate, times } from './table.js'

/** The table; the columns of QEMU are empty if it was not measured. */
export function markdownReport(results: readonly Result[]): string {
  const all = ratios(results)
  const rows = all.map(({ guest, record, replay }) => {
    const of = (system: Result['system'], mode: Result['mode']) => find(results, guest, system, mode)
    return [
      guest,
      millions(of('kaal', 'record')?.instructions),
      rate(of('kaal', 'record')?.mips),
      rate(of('kaal', 'replay')?.mips),
      rate(of('QEMU', 'plain')?.mips),
      rate(of('QEMU', 'counted')?.mips),
      rate(of('QEMU', 'record')?.mips),
      rate(of('QEMU', 'replay')?.mips),
      times(record),
      times(replay),
      grouped(of('kaal', 'record')?.traceBytes),
      grouped(of('QEMU', 'record')?.traceBytes),
    ]
  })
  const mean = meanRatio(all)
  const blanks = Array.from({ length: 7 }, () => '')
  if (all.length > 1) rows.push([mean.guest, ...blanks, times(mean.record), times(mean.replay), '', ''])
  return `${markdownTable({ head: HEAD, rows })}\n\n${startUp(results)}`
}

const HEAD = [
  'guest',
  'M instructions',
  'kaal record',
  'kaal replay',
  'QEMU plain',
  'QEMU counted',
  'QEMU record',
  'QEMU replay',
  'record: kaal / QEMU',
  'replay: kaal / QEMU',
  'kaal trace, bytes',
  'QEMU trace, bytes',
]

const millions = (instructions: number | undefined): string =>
  instructions === undefined ? '' : (instructions / 1e6).toFixed(1)

function startUp(results: readonly Result[]): string {
  const parts = results
    .filter(({ guest }) => guest === START_UP)
    .map(({ system, mode, wallSeconds }) => `${system} ${mode} ${wallSeconds.toFixed(2)} s`)
  return `Million guest instructions a second of CPU time (user + system, all threads) less start-up. Start-up, wall: ${parts.join(', ')}.`
}
