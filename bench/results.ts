/** From measurements to what is reported: medians, rates, ratios. */
import { GUESTS, type Group, START_UP } from './guests.js'
import type { Series } from './rounds.js'
import { SHORTEST, type Span, geometricMean, median, millionsPerSecond, span } from './statistics.js'
import type { Mode, ModeKey } from './systems.js'

/** A guest in a mode of a system. Times in seconds, start-up included. */
export interface Result {
  readonly guest: string
  readonly group: Group
  readonly system: Mode['system']
  readonly mode: Mode['name']
  readonly engine: string | undefined
  readonly runs: number
  /** Executed instructions; undefined where they depend on the host's clock, or on the build. */
  readonly instructions: number | undefined
  readonly cpuSeconds: Span
  readonly wallSeconds: Span
  /** Million instructions a second of CPU time, and of wall time, less start-up; undefined if unknown or too short to tell. */
  readonly mips: number | undefined
  readonly wallMips: number | undefined
  readonly traceBytes: number | undefined
}

/** Medians and rates of all series; start-up is that of the guest that only powers off, in the same mode. */
export function summarize(all: readonly Series[]): Result[] {
  return all.map(({ guest, mode, costs, traceBytes }) => {
    const startUp = all.find((other) => other.guest.name === START_UP && other.mode === mode)
    const instructions = mode.counting || !guest.clockDependent ? guest.instructions : undefined
    const rate = (time: 'cpu' | 'wall'): number | undefined => {
      if (!startUp || guest.group === 'start-up' || instructions === undefined) return undefined
      const of = (series: { costs: Series['costs'] }) => median(series.costs.map((cost) => cost[time]))
      return millionsPerSecond(instructions, of({ costs }), of(startUp))
    }
    return {
      guest: guest.name,
      group: guest.group,
      system: mode.system,
      mode: mode.name,
      engine: mode.engine,
      runs: costs.length,
      instructions,
      cpuSeconds: span(costs.map(({ cpu }) => cpu)),
      wallSeconds: span(costs.map(({ wall }) => wall)),
      mips: rate('cpu'),
      wallMips: rate('wall'),
      traceBytes,
    }
  })
}

/** A quotient of two modes' times: that of the medians, and the least and the greatest of a round. */
export interface Quotient {
  readonly value: number
  readonly low: number
  readonly high: number
}

/**
 * How many times as long a guest takes in mode `slow` as in mode `fast`: CPU time less start-up. Undefined if one of them has not been
 * measured, is too short to tell, or executes another number of instructions.
 */
export function timeRatio(all: readonly Series[], guest: string, slow: ModeKey, fast: ModeKey): Quotient | undefined {
  const [above, below] = [netTimes(all, guest, slow), netTimes(all, guest, fast)]
  if (!above || !below) return undefined
  const rounds = above.map((time, round) => time / below[round])
  return { value: median(above) / median(below), low: Math.min(...rounds), high: Math.max(...rounds) }
}

function netTimes(all: readonly Series[], guest: string, key: ModeKey): number[] | undefined {
  const series = all.find((one) => one.guest.name === guest && sameMode(one.mode, key))
  const startUp = all.find((one) => one.guest.name === START_UP && sameMode(one.mode, key))
  if (!series || !startUp || (series.guest.clockDependent && !series.mode.counting)) return undefined
  const off = median(startUp.costs.map(({ cpu }) => cpu))
  const net = series.costs.map(({ cpu }) => cpu - off)
  return Math.min(...net) >= SHORTEST ? net : undefined
}

const sameMode = (a: ModeKey, b: ModeKey): boolean =>
  a.system === b.system && a.name === b.name && a.engine === b.engine

/** What is said of a guest by comparing modes. */
export interface Ratio {
  readonly guest: string
  readonly group: Group
  /** How much faster kaal is than QEMU in the same mode. */
  readonly record: Quotient | undefined
  readonly replay: Quotient | undefined
  /** What recording costs kaal: its time over that of a run without. */
  readonly recordCost: Quotient | undefined
  /** kaal's replaying over its recording. */
  readonly replayCost: Quotient | undefined
}

/** Comparisons for every guest but those of start-up. */
export function ratios(all: readonly Series[]): Ratio[] {
  const guests = GUESTS.filter((one) => one.group !== 'start-up' && all.some(({ guest }) => guest === one))
  const kaal = (name: Mode['name']): ModeKey => ({ system: 'kaal', name })
  const qemu = (name: Mode['name']): ModeKey => ({ system: 'QEMU', name })
  return guests.map(({ name, group }) => ({
    guest: name,
    group,
    record: timeRatio(all, name, qemu('record'), kaal('record')),
    replay: timeRatio(all, name, qemu('replay'), kaal('replay')),
    recordCost: timeRatio(all, name, kaal('record'), kaal('plain')),
    replayCost: timeRatio(all, name, kaal('replay'), kaal('record')),
  }))
}

/** A column of {@link Ratio}. */
export type RatioColumn = 'record' | 'replay' | 'recordCost' | 'replayCost'

/** A group's ratios in one column: their geometric mean, and the guest that is worst off. Undefined if it has none. */
export interface Summary {
  readonly group: Group
  readonly column: RatioColumn
  readonly guests: number
  readonly mean: number
  readonly worst: { readonly guest: string; readonly value: number }
}

/** The summary of a group's column. For costs, the worst is the greatest. */
export function summary(all: readonly Ratio[], group: Group, column: RatioColumn): Summary | undefined {
  const known = all.flatMap((ratio) => {
    const value = ratio[column]?.value
    return ratio.group === group && value !== undefined ? [{ guest: ratio.guest, value }] : []
  })
  if (known.length === 0) return undefined
  const sign = column === 'record' || column === 'replay' ? 1 : -1
  const worst = known.toSorted((a, b) => sign * (a.value - b.value))[0]
  return { group, column, guests: known.length, mean: geometricMean(known.map(({ value }) => value)), worst }
}

/** The result of a guest in a mode of a system. */
export const find = (results: readonly Result[], guest: string, key: ModeKey): Result | undefined =>
  results.find((result) => result.guest === guest && sameMode({ ...result, name: result.mode }, key))

/** Engines that have been asked for by name, in that order. */
export const enginesOf = (results: readonly Result[]): string[] => [
  ...new Set(results.flatMap(({ engine }) => (engine === undefined ? [] : [engine]))),
]

/** Names of the guests of a group that have been measured, in the order of {@link GUESTS}. */
export const guestsOf = (results: readonly Result[], group: Group): string[] =>
  GUESTS.filter((guest) => guest.group === group && results.some((result) => result.guest === guest.name)).map(
    ({ name }) => name,
  )
