/** The report for a terminal: every mode of every guest, and the ratios. */
import { type Result, meanRatio, ratios } from '../results.js'
import { type Table, grouped, percent, rate, textTable, times } from './table.js'

/** What is printed after a run. */
export function textReport(results: readonly Result[]): string {
  const all = ratios(results)
  const parts = [textTable(runs(results))]
  if (results.some(({ system }) => system === 'QEMU')) {
    const rows = [...all, ...(all.length > 1 ? [meanRatio(all)] : [])]
    parts.push(
      textTable({
        head: ['kaal / QEMU, MIPS', 'record', 'replay'],
        rows: rows.map((ratio) => [ratio.guest, times(ratio.record), times(ratio.replay)]),
      }),
    )
  }
  return parts.join('\n\n')
}

function runs(results: readonly Result[]): Table {
  const row = (result: Result): string[] => [
    `${result.guest}, ${result.system} ${result.mode}`,
    grouped(result.instructions),
    rate(result.mips),
    rate(result.wallMips),
    result.cpuSeconds.toFixed(3),
    percent(result.cpuSpread),
    result.wallSeconds.toFixed(3),
    grouped(result.traceBytes),
  ]
  return {
    head: ['guest, mode', 'instructions', 'MIPS', 'MIPS (wall)', 'CPU s', 'spread', 'wall s', 'trace bytes'],
    rows: results.map(row),
  }
}

/** What the columns mean. */
export const LEGEND =
  'MIPS: million guest instructions a second of CPU time (user + system, all threads) less the start-up that null measures; MIPS (wall): of wall time.\n' +
  'CPU s, wall s: medians, start-up included; spread: (largest - smallest) / median of the CPU times.'
