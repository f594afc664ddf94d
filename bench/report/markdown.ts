/** The report as a Markdown table: a row for each guest, as the README shows it. */
import { type Ratio, type Result, enginesOf, find, guestsOf } from '../results.js'
import { type Mode, modeName } from '../systems.js'
import { grouped, markdownTable, rate, times } from './table.js'
import { summaryLines } from './text.js'

/** The table; the columns of QEMU are empty if it was not measured. */
export function markdownReport(results: readonly Result[], all: readonly Ratio[]): string {
  const engines = enginesOf(results)
  const rows = all.map((ratio) => {
    const of = (system: Mode['system'], name: Mode['name'], engine?: string) =>
      find(results, ratio.guest, { system, name, engine })
    return [
      ratio.guest,
      millions(of('kaal', 'record')?.instructions),
      rate(of('kaal', 'record')?.mips),
      rate(of('kaal', 'replay')?.mips),
      ...engines.map((engine) => rate(of('kaal', 'record', engine)?.mips)),
      rate(of('QEMU', 'plain')?.mips),
      rate(of('QEMU', 'counted')?.mips),
      rate(of('QEMU', 'record')?.mips),
      rate(of('QEMU', 'replay')?.mips),
      times(ratio.record?.value),
      times(ratio.replay?.value),
      times(ratio.recordCost?.value),
      grouped(of('kaal', 'record')?.traceBytes),
      grouped(of('QEMU', 'record')?.traceBytes),
    ]
  })
  const head = [
    'guest',
    'M instructions',
    'kaal record',
    'kaal replay',
    ...engines.map((engine) => `kaal record, ${engine}`),
    ...REST,
  ]
  const parts = [markdownTable({ head, rows }), UNIT, ...summaryLines(all), startUp(results)]
  return parts.filter((part) => part !== '').join('\n\n')
}

const REST = [
  'QEMU plain',
  'QEMU counted',
  'QEMU record',
  'QEMU replay',
  'record: kaal / QEMU',
  'replay: kaal / QEMU',
  'kaal: record / plain',
  'kaal trace, bytes',
  'QEMU trace, bytes',
]

const UNIT = 'Million guest instructions a second of CPU time (user + system, all threads) less start-up.'

const millions = (instructions: number | undefined): string =>
  instructions === undefined ? '' : (instructions / 1e6).toFixed(1)

function startUp(results: readonly Result[]): string {
  return guestsOf(results, 'start-up')
    .map((guest) => {
      const parts = results
        .filter((result) => result.guest === guest)
        .map(
          ({ system, mode, engine, wallSeconds }) =>
            `${modeName({ system, name: mode, engine })} ${wallSeconds.median.toFixed(2)} s`,
        )
      return `Wall time of ${guest}, start-up included: ${parts.join(', ')}.`
    })
    .join('\n')
}
