/**
 * Every engine gives the same state at every instruction boundary: the guests of the benchmark and the boot of KaaL, stopped at random
 * positions, with random thresholds and translations forgotten now and then.
 */
import { expect, test } from 'vitest'
import { EngineRun, type EngineSetting } from './machines.js'

/** A small generator of random numbers (Marsaglia's xorshift), so that a failure can be repeated. */
function random(seed: number): (below: number) => number {
  let state = seed | 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

interface Case {
  readonly path: string
  readonly memoryMiB: number
  /** How many stops, between which positions; most of them within short distances of each other. */
  readonly stops: number
  readonly from: number
  readonly to: number
}

const guest = (name: string, stops: number, to: number, from = 1000, memoryMiB = 64): Case => ({
  path: `bench/guests/prebuilt/${name}.elf`,
  memoryMiB,
  stops,
  from,
  to,
})

const CASES: readonly Case[] = [
  { path: 'kernel/prebuilt/kaal.elf', memoryMiB: 64, stops: 3000, from: 1000, to: 3_780_000 },
  guest('cpu', 1200, 2_000_000),
  guest('cpu-mmu', 600, 2_000_000),
  guest('mix', 1500, 12_000_000, 1000, 128),
  guest('mix-mmu', 1200, 12_000_000, 1000, 128),
  guest('svc', 600, 600_000),
  guest('svc-mmu', 600, 600_000),
  guest('uart', 400, 200_000),
  guest('mem', 300, 300_000, 1000, 320),
  guest('mem-mmu', 300, 300_000, 1000, 320),
  guest('irq', 400, 90_000),
  guest('spin', 400, 3_000_000),
  guest('bytecode', 1500, 6_000_000),
  guest('calls', 1500, 8_000_000),
  guest('ptswitch', 500, 600_000, 1000, 320),
  guest('tlbmiss', 300, 2_000_000, 1000, 320),
  guest('smc', 800, 1_500_000),
  guest('cold', 800, 4_000_000),
]

/** The positions of a case: mostly a short way apart in bursts, so that every instruction of a loop gets its turn. */
function positions({ stops, from, to }: Case, next: (below: number) => number): number[] {
  const chosen = new Set<number>()
  while (chosen.size < stops) {
    let at = from + next(to - from)
    for (let burst = 1 + next(12); burst > 0 && at < to && chosen.size < stops; burst--) {
      chosen.add(at)
      at += 1 + next(40)
    }
  }
  return [...chosen].toSorted((a, b) => a - b)
}

test.each(CASES)('$path', (each) => {
  const seed = 0x5eed ^ each.to ^ each.path.length
  const next = random(seed)
  const stops = positions(each, next)
  const settings: EngineSetting[] = [
    { engine: 'translator' },
    { engine: 'hybrid', threshold: 1 + next(60), flushEvery: 20 + next(200) },
    { engine: 'hybrid', threshold: 100 + next(900) },
  ]
  const reference = new EngineRun(each.path, { engine: 'interpreter' }, each.memoryMiB)
  const expected = stops.map((position) => reference.stopAt(position))
  expect(reference.machine.cpu.translations.translated).toBe(0)
  const digest = reference.ramDigest()
  for (const setting of settings) {
    const run = new EngineRun(each.path, setting, each.memoryMiB)
    stops.forEach((position, i) => {
      const found = run.stopAt(position)
      if (JSON.stringify(found) !== JSON.stringify(expected[i]))
        expect({ ...setting, seed, position, before: stops[i - 1], found }).toEqual(expected[i])
    })
    expect(run.events).toEqual(reference.events)
    expect(run.ramDigest()).toBe(digest)
    if (setting.engine === 'translator') expect(run.machine.cpu.translations.translated).toBeGreaterThan(0)
  }
})

test('there are enough stops to mean something', () => {
  expect(CASES.reduce((sum, { stops }) => sum + stops, 0)).toBeGreaterThanOrEqual(10_000)
})
