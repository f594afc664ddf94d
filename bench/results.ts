/** From measurements to what is reported: medians, rates, ratios. */
import { START_UP } from './guests.js'
import type { Series } from './rounds.js'
import { geometricMean, median, millionsPerSecond, spread } from './statistics.js'
import type { Mode } from './systems.js'

/** A guest in a mode of a system. Times in seconds, start-up included. */
export interface Result {
  readonly guest: string
  readonly system: Mode['system']
  readonly mode: Mode['name']
  readonly runs: number
  /** Executed instructions; undefined where they depend on the host's clock. */
  readonly instructions: number | undefined
  readonly cpuSeconds: number
  /** Of the CPU times: (largest - smallest) / median. */
  readonly cpuSpread: number
  readonly wallSeconds: number
  /** Million instructions a second of CPU time, and of wall time, less start-up; undefined if unknown or too short to tell. */
  readonly mips: number | undefined
  readonly wallMips: number | undefined
  readonly traceBytes: number | undefined
}

/** How much faster kaal is than QEMU in the same mode, by CPU time; undefined where one of them has no rate. */
export interface Ratio {
  readonly guest: string
  readonly record: number | undefined
  readonly replay: number | undefined
}

/** Medians and rates of all series; start-up is that of the guest that only powers off, in the same mode. */
export function summarize(all: readonly Series[]): Result[] {
  return all.map(({ guest, mode, costs, traceBytes }) => {
    const startUp = all.find((other) => other.guest.name === START_UP && other.mode === mode)
    const known = mode.counting || !guest.clockDependent
    const rate = (time: 'cpu' | 'wall'): number | undefined => {
      if (!startUp || startUp.guest === guest || !known) return undefined
      const of = (series: { costs: Series['costs'] }) => median(series.costs.map((cost) => cost[time]))
      return millionsPerSecond(guest.instructions, of({ costs }), of(startUp))
    }
    const cpu = costs.map((cost) => cost.cpu)
    return {
      guest: guest.name,
      system: mode.system,
      mode: mode.name,
      runs: costs.length,
      instructions: known ? guest.instructions : undefined,
      cpuSeconds: median(cpu),
      cpuSpread: spread(cpu),
      wallSeconds: median(costs.map(({ wall }) => wall)),
      mips: rate('cpu'),
      wallMips: rate('wall'),
      traceBytes,
    }
  })
}

/** kaal against QEMU, for every guest but the one that only powers off. */
export function ratios(results: readonly Result[]): Ratio[] {
  const names = [...new Set(results.map(({ guest }) => guest))].filter((guest) => guest !== START_UP)
  return names.map((guest) => {
    const rate = (system: Result['system'], mode: Result['mode']) => find(results, guest, system, mode)?.mips
    const ratio = (mode: Result['mode']): number | undefined => {
      const [kaal, qemu] = [rate('kaal', mode), rate('QEMU', mode)]
      return kaal !== undefined && qemu !== undefined ? kaal / qemu : undefined
    }
    return { guest, record: ratio('record'), replay: ratio('replay') }
  })
}

/** The geometric means of the ratios there are. */
export function meanRatio(all: readonly Ratio[]): Ratio {
  const mean = (mode: 'record' | 'replay'): number | undefined => {
    const known = all.map((ratio) => ratio[mode]).filter((ratio) => ratio !== undefined)
    return known.length > 0 ? geometricMean(known) : undefined
  }
  return { guest: 'geometric mean', record: mean('record'), replay: mean('replay') }
}

/** The result of a guest in a mode of a system. */
export const find = (
  results: readonly Result[],
  guest: string,
  system: Result['system'],
  mode: Result['mode'],
): Result | undefined =>
  results.find((result) => result.guest === guest && result.system === system && result.mode === mode)
