/** From measured costs to tables. */
import { describe, expect, test } from 'vitest'
import { GUESTS } from '../../bench/guests.js'
import type { Cost } from '../../bench/measure.js'
import { markdownReport } from '../../bench/report/markdown.js'
import { grouped, markdownTable, percent, rate, textTable, times } from '../../bench/report/table.js'
import { textReport } from '../../bench/report/text.js'
import { find, ratios, summarize, summary } from '../../bench/results.js'
import type { Series } from '../../bench/rounds.js'
import { type Mode, kaalModes, modeName, qemuModes } from '../../bench/systems.js'

/** What `kaalModes` makes of an entry with a plain run and an engine, without looking at any files. */
const KAAL: Mode[] = kaalModes('bin.js').flatMap((mode) => [mode, { ...mode, engine: 'interpreter' }])
const PLAIN: Mode = { system: 'kaal', name: 'plain', counting: true, command: () => [] }
const MODES = [PLAIN, ...KAAL, ...qemuModes('qemu')]

/** Made-up costs: what each mode takes in a round, in seconds of CPU, as wall time twice that. */
function series(name: string, cpu: Record<string, number[]>, traceBytes?: number): Series[] {
  const guest = GUESTS.find((one) => one.name === name)
  if (!guest) throw new Error(`no guest ${name}`)
  return MODES.filter((mode) => modeName(mode) in cpu).map((mode) => ({
    guest,
    mode,
    costs: cpu[modeName(mode)].map((seconds): Cost => ({ cpu: seconds, wall: seconds * 2 })),
    ...traceOf(mode.name, traceBytes),
  }))
}

/** Only a recording leaves a trace. */
function traceOf(mode: string, traceBytes: number | undefined): { traceBytes?: number } {
  return mode === 'record' && traceBytes !== undefined ? { traceBytes } : {}
}

const SERIES = [
  ...series('null', {
    'kaal plain': [0.25],
    'kaal record': [0.5, 0.5, 9],
    'kaal record (interpreter)': [0.5],
    'kaal replay': [0.5],
    'QEMU record': [0],
    'QEMU plain': [0],
    'QEMU replay': [0],
  }),
  ...series('kaal-boot', { 'kaal record': [0.75] }),
  ...series(
    'cpu',
    {
      'kaal plain': [2.25, 2.25, 2.25],
      'kaal record': [2.5, 1.5, 5],
      'kaal record (interpreter)': [4.5],
      'kaal replay': [1.5],
      'QEMU record': [1, 1, 1],
      'QEMU replay': [1],
    },
    12_345,
  ),
  ...series('mem', { 'kaal record': [0.504], 'QEMU record': [1] }),
  ...series('bytecode', { 'kaal record': [1], 'QEMU record': [2] }),
  ...series('spin', { 'kaal record': [1], 'QEMU record': [2], 'QEMU plain': [1] }),
]
const RESULTS = summarize(SERIES)
const RATIOS = ratios(SERIES)
const ratioOf = (guest: string) => RATIOS.find((ratio) => ratio.guest === guest)

describe('results', () => {
  test('a rate is that of the median less the median start-up', () => {
    const cpu = find(RESULTS, 'cpu', { system: 'kaal', name: 'record' })
    expect(cpu?.cpuSeconds).toEqual({ median: 2.5, min: 1.5, max: 5 })
    expect(cpu?.mips).toBeCloseTo(500, 2)
    expect(cpu?.wallMips).toBeCloseTo(250, 2)
  })
  test('engines are apart', () => {
    const interpreter = find(RESULTS, 'cpu', { system: 'kaal', name: 'record', engine: 'interpreter' })
    expect(interpreter?.mips).toBeCloseTo(250, 2)
  })
  test('a guest that looks at the clock has no count, and so no rate, where time is not counted', () => {
    const plain = find(RESULTS, 'spin', { system: 'QEMU', name: 'plain' })
    expect(plain).toMatchObject({ instructions: undefined, mips: undefined })
    expect(find(RESULTS, 'spin', { system: 'QEMU', name: 'record' })?.mips).toBeCloseTo(250, 1)
  })
  test('ratios compare the same mode, and miss where one side does', () => {
    expect(RATIOS.map(({ guest }) => guest)).toEqual(['cpu', 'mem', 'bytecode', 'spin'])
    expect(ratioOf('cpu')?.record).toEqual({ value: 0.5, low: 1 / 4.5, high: 1 })
    expect(ratioOf('cpu')?.replay?.value).toBe(1)
    expect(ratioOf('spin')?.record?.value).toBe(4)
    expect(ratioOf('spin')?.replay).toBeUndefined()
  })
  test('the cost of recording is the time over that of a run without', () => {
    expect(ratioOf('cpu')?.recordCost?.value).toBe(1)
    expect(ratioOf('cpu')?.replayCost?.value).toBe(0.5)
    expect(ratioOf('spin')?.recordCost).toBeUndefined()
  })
  test('next to nothing has no ratio', () => {
    expect(ratioOf('mem')?.record).toBeUndefined()
  })
  test('a group has a mean, and a worst guest', () => {
    const compute = summary(RATIOS, 'compute', 'record')
    expect(compute).toMatchObject({ guests: 2, worst: { guest: 'cpu', value: 0.5 } })
    expect(compute?.mean).toBeCloseTo(Math.SQRT2)
    expect(summary(RATIOS, 'events', 'record')).toMatchObject({ guests: 1, worst: { guest: 'spin', value: 4 } })
    expect(summary(RATIOS, 'events', 'replay')).toBeUndefined()
  })
  test('the worst cost is the greatest', () => {
    const cost = (value: number) => ({ value, low: value, high: value })
    const [cpu, , bytecode] = RATIOS
    const all = [
      { ...cpu, recordCost: cost(1.01) },
      { ...bytecode, recordCost: cost(1.2) },
    ]
    expect(summary(all, 'compute', 'recordCost')?.worst).toEqual({ guest: 'bytecode', value: 1.2 })
  })
  test('without QEMU there are no ratios', () => {
    const alone = SERIES.filter(({ mode }) => mode.system === 'kaal')
    expect(ratios(alone).map(({ record, replay }) => [record, replay])).toEqual(
      Array.from({ length: 4 }, () => [undefined, undefined]),
    )
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
      '12.6%',
    ])
  })
  test('the README has a row for each guest, all as wide', () => {
    const report = markdownReport(RESULTS, RATIOS)
    const lines = report.split('\n').filter((line) => line.startsWith('|'))
    expect(lines.map((line) => line.split('|')[1].trim())).toEqual([
      'guest',
      '--------',
      'cpu',
      'mem',
      'bytecode',
      'spin',
    ])
    expect(new Set(lines.map((line) => line.length)).size).toBe(1)
    expect(lines[0]).toContain(' kaal record, interpreter |')
    expect(lines[2]).toMatch(/ 0\.50x \|.* 1\.00x \|.* 1\.00x \| +12,345 \| +12,345 \|$/)
    expect(report).toContain('Compute guests (2), record, kaal / QEMU: geometric mean 1.41x, worst cpu 0.50x.')
    expect(report).toContain('Wall time of kaal-boot, start-up included: kaal record 1.50 s.')
  })
  test('a terminal gets every mode of every guest, by group', () => {
    const report = textReport(RESULTS, RATIOS)
    const titles = [...report.matchAll(/^(Compute|Events|Start-up)$/gm)].map(([title]) => title)
    expect(titles).toEqual(['Compute', 'Events', 'Start-up'])
    expect(report).toMatch(/^cpu, kaal record \(interpreter\) +1,000,000,843 +250 /m)
    expect(report).toMatch(/^cpu, kaal record +1,000,000,843 +500 +250 +2\.500 +1\.500\.\.5\.000 /m)
    expect(report).toMatch(/^null, kaal record +1\.000 +1\.000\.\.18\.000 /m)
    expect(report).toMatch(/^cpu +0\.50x +0\.22\.\.1\.00 +1\.00x /m)
  })
})
