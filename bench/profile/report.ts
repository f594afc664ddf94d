/** Profiles as a table: a column for each guest, a row for each kind of work, in percent and in seconds. */
import { markdownTable, percent, textTable } from '../report/table.js'
import { KINDS } from './classification.js'
import type { GuestProfile } from './run.js'

/** So many guests stand side by side. */
const COLUMNS = 6

/** The tables, and what they mean. */
export function profileReport(profiles: readonly GuestProfile[], markdown: boolean): string {
  const parts: string[] = []
  for (let i = 0; i < profiles.length; i += COLUMNS) parts.push(table(profiles.slice(i, i + COLUMNS), markdown))
  return [...parts, LEGEND].join('\n\n')
}

function table(profiles: readonly GuestProfile[], markdown: boolean): string {
  const head = [
    '',
    ...profiles.flatMap(({ guest, engine }) => [engine === undefined ? guest : `${guest}, ${engine}`, 's']),
  ]
  const totals = profiles.map(({ seconds }) => Object.values(seconds).reduce((sum, part) => sum + part, 0))
  const row = (name: string, values: readonly number[]): string[] => [
    name,
    ...values.flatMap((value, i) => [
      value < 0.0005 ? '' : percent(value / totals[i]),
      value < 0.0005 ? '' : value.toFixed(3),
    ]),
  ]
  const cpuRow = (name: string, values: readonly (number | undefined)[]): string[] => [
    name,
    ...values.flatMap((value) => ['', value?.toFixed(3) ?? '']),
  ]
  const rows = [
    ...KINDS.map((kind) =>
      row(
        kind,
        profiles.map(({ seconds }) => seconds[kind]),
      ),
    ).filter((cells) => cells.slice(1).some((cell) => cell !== '')),
    row('total', totals),
    cpuRow(
      'CPU, main thread',
      profiles.map(({ mainThread }) => mainThread),
    ),
    cpuRow(
      'CPU, other threads',
      profiles.map(({ mainThread, cpu }) => (mainThread === undefined ? undefined : cpu - mainThread)),
    ),
  ]
  return (markdown ? markdownTable : textTable)({ head, rows })
}

const LEGEND =
  "Sampled while recording, start-up included, and the profiler's own cost: shares are to be trusted more than seconds. Native code and shared\n" +
  'helpers count for their callers. Samples are of time by the clock: where total is above the CPU time of the main thread, the thread had to\n' +
  "wait for a processor or a disk. The other threads are V8's, which compile and collect garbage, and workers."
