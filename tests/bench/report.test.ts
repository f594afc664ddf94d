/** From measured costs to tables. */
import { describe, expect, test } from 'vitest'
import { GUESTS } from '../../bench/guests.js'
import type { Cost } from '../../bench/measure.js'
import { markdownReport } from '../../bench/report/markdown.js'
import { grouped, markdownTable, percent, rate, textTable, times } from '../../bench/report/table.js'
import { textReport } from '../../bench/report/text.js'
import { find, meanRatio, ratios, summarize } from '../../bench/results.js'
import type { Series } from '../../bench/rounds.js'
import { kaalModes, qemuModes } from '../../bench/systems.js'

const MODES = [...kaalModes('bin.js'), ...qemuModes('qemu')]

/** Made-up costs: what each mode takes in a round, in seconds of CPU, as wall time twice that. */
function series(name: string, cpu: Record<string, number[]>, traceBytes?: number): Series[] {
  const guest = GUESTS.find((one) => one.name === name)
  if (!guest) throw new Error(`no guest ${name}`)
  return MODES.filter((mode) => `${mode.system} ${mode.name}` in cpu).map((mode) => ({
    guest,
    mode,
    costs: cpu[`${mode.system} ${mode.name}`].map((seconds): Cost => ({ cpu: seconds, wall: seconds * 2 })),
    ...traceOf(mode.name, traceBytes),
  }))
}

/** Only a recording leaves a trace. */
function traceOf(mode: string, traceBytes: number | undefined): { traceBytes?: number } {
  return mode === 'record' && traceBytes !== undefined ? { traceBytes } : {}
}

const START_UP = series('null', {
  'kaal record': [0.5, 0.5, 9],
  'kaal replay': [0.5],
  'QEMU record': [0],
  'QEMU plain': [0],
  'QEMU replay': [0],
})
const RESULTS = summarize([
  ...START_UP,
  ...series(
    'cpu',
    { 'kaal record': [2.5, 1.5, 5], 'kaal replay': [1.5], 'QEMU record': [1], 'QEMU replay': [1] },
    12_345,
  ),
  ...series('spin', { 'kaal record': [1], 'QEMU record': [2], 'QEMU plain': [1] }),
])

describe('results', () => {
  test('a rate is that of the median less the median start-up', () => {
    const cpu = find(RESULTS, 'cpu', 'kaal', 'record')
    expect(cpu?.cpuSeconds).toBe(2.5)
    expect(cpu?.cpuSpread).toBe(1.4)
    expect(cpu?.mips).toBeCloseTo(500, 2)
    expect(cpu?.wallMips).toBeCloseTo(250, 2)
  })
  test('a guest that looks at the clock has no count, and so no rate, where time is not counted', () => {
    expect(find(RESULTS, 'spin', 'QEMU', 'plain')).toMatchObject({ instructions: undefined, mips: undefined })
    expect(find(RESULTS, 'spin', 'QEMU', 'record')?.mips).toBeCloseTo(250, 1)
  })
  test('ratios compare the same mode, and miss where one side does', () => {
    const all = ratios(RESULTS)
    expect(all.map(({ guest }) => guest)).toEqual(['cpu', 'spin'])
    expect(all[0].record).toBeCloseTo(0.5)
    expect(all[0].replay).toBeCloseTo(1)
    expect(all[1].record).toBeCloseTo(4)
    expect(all[1].replay).toBeUndefined()
    expect(meanRatio(all).record).toBeCloseTo(Math.SQRT2)
    expect(meanRatio(all).replay).toBeCloseTo(1)
  })
  test('without QEMU there are no ratios', () => {
    const alone = RESULTS.filter(({ system }) => system === 'kaal')
    expect(meanRatio(ratios(alone))).toEqual({ guest: 'geometric mean', record: undefined, replay: undefined })
    expect(textReport(alone)).not.toContain('QEMU')
  })
})

describe('tables', () => {
  test('for a terminal', () => {
    expect(
      textTable({
        head: ['a', 'bcd'],
        rows: [
          ['long', '1'],
          ['x', ''],
        ],
      }),
    ).toBe('a     bcd\nlong    1\nx')
  })
  test('for Markdown', () => {
    expect(markdownTable({ head: ['a', 'b'], rows: [['long', '12345']] })).toBe(
      '| a    |     b |\n| ---- | ----: |\n| long | 12345 |',
    )
  })
  test('numbers', () => {
    expect([0.6149, 9.999, 18.96, 99.96, 1678.4].map(rate)).toEqual(['0.61', '10.0', '19.0', '100', '1678'])
    expect([rate(undefined), times(undefined), grouped(undefined)]).toEqual(['', '', ''])
    expect([times(1.855), grouped(60_001_290), grouped(690), percent(0.126)]).toEqual([
      '1.85x',
      '60,001,290',
      '690',
      '13%',
    ])
  })
  test('the README has a row for each guest, all as wide', () => {
    const lines = markdownReport(RESULTS)
      .split('\n')
      .filter((line) => line.startsWith('|'))
    expect(lines.map((line) => line.split('|')[1].trim())).toEqual([
      'guest',
      '--------------',
      'cpu',
      'spin',
      'geometric mean',
    ])
    expect(new Set(lines.map((line) => line.length)).size).toBe(1)
    expect(lines[2]).toMatch(/ 0\.50x \|.* 1\.00x \| +12,345 \| +12,345 \|$/)
  })
})
