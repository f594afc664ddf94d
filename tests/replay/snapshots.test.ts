/** When snapshots are taken: a rule that looks at the guest alone, and costs a bounded part of a run. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { DEFAULT_CONFIG } from '../../devices/config.js'
import { MachineMemory, RAM_MIN, RAM_PHYSICAL } from '../../cpu/machine-memory.js'
import { StateHash, ZERO_PAGE_HASH } from '../../cpu/wasm/state-hash.js'
import { Execution } from '../../replay/execution.js'
import { Recorder } from '../../replay/recorder.js'
import { Replayer } from '../../replay/replayer.js'
import { type SnapshotPolicy, SNAPSHOT_POLICY, SnapshotSchedule } from '../../replay/snapshot-policy.js'
import { TraceReader } from '../../trace/reader.js'
import { KAAL, record } from './recording.js'

const M = 2 ** 20

/** Positions of snapshots up to `end` for a guest that writes `pages(from, to)` pages between two positions. */
function positions(policy: SnapshotPolicy, end: number, pages: (from: number, to: number) => number): number[] {
  const schedule = new SnapshotSchedule(policy)
  const taken: number[] = []
  while (schedule.next <= end) {
    const at = schedule.next
    if (!schedule.due(() => pages(taken.at(-1) ?? 0, at))) continue
    taken.push(at)
    schedule.taken(at)
  }
  return taken
}

describe('the rule', () => {
  const policy = { interval: 8 * M, pageInstructions: M }

  it('takes snapshots at 2^20 and four times as far each time, up to the interval, while few pages are written', () => {
    expect(positions(policy, 40 * M, () => 8)).toEqual([1, 4, 8, 16, 24, 32, 40].map((n) => n * M))
  })

  it('waits as long as the pages are worth', () => {
    expect(positions(policy, 100 * M, () => 40)).toEqual([40 * M, 80 * M])
    // 10 pages in the first million instructions, none later.
    const start = (from: number) => (from === 0 ? 10 : 0)
    expect(positions(policy, 40 * M, start)).toEqual([10 * M, 18 * M, 26 * M, 34 * M])
  })

  it('asks again when more pages have been written meanwhile, but not all the time', () => {
    let asked = 0
    const growing = (from: number, to: number): number => {
      asked++
      return 9 + (to - from) / (2 * M)
    }
    const taken = positions(policy, 200 * M, growing)
    expect(asked).toBeLessThan(16 * 2 * (taken.length + 2))
    for (const [i, at] of taken.entries()) {
      const from = taken[i - 1] ?? 0
      expect(at - from).toBeGreaterThanOrEqual(growing(from, at) * M)
    }
  })

  it('never lets snapshots cost more than their part of a run, and never gives up', () => {
    let seed = 1
    const random = (): number => (seed = (Math.imul(seed, 48271) >>> 0) % 2147483647) / 2147483647
    for (let run = 0; run < 50; run++) {
      // Pages written in each million instructions: mostly few, now and then very many.
      const bursts = Array.from({ length: 4001 }, () => Math.floor(random() ** 12 * 40))
      const pages = (from: number, to: number): number =>
        bursts.slice(Math.floor(from / M), Math.floor(to / M)).reduce((sum, n) => sum + n, 0)
      const taken = positions(policy, 4000 * M, pages)
      for (const [i, at] of taken.entries()) {
        const from = taken[i - 1] ?? 0
        expect(pages(from, at) * policy.pageInstructions).toBeLessThanOrEqual(Math.max(at - from, policy.interval))
      }
      const last = taken.at(-1) ?? 0
      expect(4000 * M - last).toBeLessThan(Math.max(2 * pages(last, 4000 * M) * M, 2 * policy.interval))
    }
  })

  it('goes on after a snapshot as if it had come from the start', () => {
    const whole = positions(SNAPSHOT_POLICY, 2 ** 30, () => 1)
    const resumed = whole.map((at) => {
      const schedule = new SnapshotSchedule(SNAPSHOT_POLICY)
      schedule.taken(at)
      return schedule.next
    })
    expect(resumed.slice(0, -1)).toEqual(whole.slice(1))
  })
})

describe('a recording', () => {
  const snapshots = async (policy: SnapshotPolicy): Promise<{ positions: number[]; pages: number }> => {
    const { path } = await record({ kernel: KAAL, snapshots: policy })
    const reader = TraceReader.open(path)
    expect((await new Replayer(reader).run()).kind).toBe('same')
    const found = { positions: reader.snapshotPositions(), pages: reader.count('pages') }
    reader.close()
    return found
  }

  it('of a boot has early snapshots, without the pages that are as they were loaded', async () => {
    const now = await snapshots(SNAPSHOT_POLICY)
    const once = await snapshots({ interval: 2 ** 26, pageInstructions: 0 })
    expect(now.positions).toEqual([M])
    expect(once.positions).toEqual([M, 2 * M])
    expect(now.pages).toBeLessThan(once.pages)
  })

  it('in which snapshots are put off replays to the same positions', async () => {
    const { positions: found } = await snapshots({ interval: 300_000, pageInstructions: 100_000 })
    expect(found.length).toBeGreaterThan(1)
    expect(found).not.toContain(300_000)
  })
})

describe('snapshots', () => {
  it.each(['mix', 'ptswitch', 'smc'])(
    'of %s are the same whichever engine runs: so are the pages that were written',
    async (name) => {
      const files = { kernel: { name, bytes: readFileSync(`bench/guests/prebuilt/${name}.elf`) } }
      const run = async (engine: 'interpreter' | 'hybrid') => {
        const snapshots = { interval: 300_000, pageInstructions: 20_000 }
        const recorder = new Recorder({ config: { ...DEFAULT_CONFIG, memoryBytes: 128 * M }, files, snapshots })
        recorder.execution.machine.cpu.setEngine(engine)
        recorder.endInput()
        return recorder.run({ maxInstructions: 10_000_000 })
      }
      // The digest covers where the snapshots are, and all that they hold.
      expect(await run('hybrid')).toEqual(await run('interpreter'))
    },
  )
})

describe('the rule of format 1', () => {
  // Final digests of kaal before there was any other rule.
  const GUESTS: readonly (readonly [string, string])[] = [
    ['null', '9863d621194b07b78c932041d3c3a5739f9f1a2978adb94e14a7950af266f424'],
    ['irq', 'a631b8f77d987e87c9db85fcd68d15c8a4eab9a575fdea62d1c82fe76c6e8462'],
    ['uart', '08581ce22b34b86ac95b69ea06c26f660c1add1a063fd3b91c3ef961b4b1fc94'],
    ['mem-mmu', 'c60b5f7247ac6a0d7d3cb746c32b5e93ae4625d861c66d724d9153203358858e'],
    ['svc', '9b381e4c8c13a8b669ce888c9c314f2abee7434849536cc6d033d7616fa8ac69'],
  ]
  it.each(GUESTS)('gives %s the final digest that it always had', async (name, digest) => {
    const files = { kernel: { name, bytes: readFileSync(`bench/guests/prebuilt/${name}.elf`) } }
    const policy = { interval: 2 ** 26, pageInstructions: 0 }
    const recorder = new Recorder({ config: DEFAULT_CONFIG, files, snapshots: policy })
    recorder.endInput()
    expect((await recorder.run()).finalDigest).toBe(digest)
  })
})

describe('the final digest', () => {
  it('knows the hash of a page of zeros', () => {
    const memory = new MachineMemory(RAM_MIN)
    const hash = new StateHash(memory)
    hash.computePage(7)
    expect([hash.lo, hash.hi]).toEqual(ZERO_PAGE_HASH)
    memory.ram[7 * 4096 + 4095] = 1
    hash.computePage(7)
    expect([hash.lo, hash.hi]).not.toEqual(ZERO_PAGE_HASH)
  })

  it('covers every byte of guest memory', () => {
    const files = { kernel: { name: 'null.elf', bytes: readFileSync('bench/guests/prebuilt/null.elf') } }
    const nothing = { transmit: () => {}, interrupt: () => {}, exception: () => {} }
    const execution = new Execution({ ...DEFAULT_CONFIG, memoryBytes: 16 * 2 ** 20 }, files, SNAPSHOT_POLICY, nothing)
    const { machine } = execution
    const poke = (offset: number, value: number): string => {
      machine.memory.ram[offset] = value
      machine.cpu.mmu.changedFromOutside(RAM_PHYSICAL + offset, 1)
      return execution.finalDigest()
    }
    const before = execution.finalDigest()
    const poked = poke(0x50_0fff, 1)
    expect(poked).not.toBe(before)
    expect(poke(0x50_0fff, 2)).not.toBe(poked)
    expect(poke(0x50_0fff, 1)).toBe(poked)
    expect(poke(0xff_ffff, 1)).not.toBe(poked)
    expect(poke(0xff_ffff, 0)).toBe(poked)
    expect(poke(0x50_0fff, 0)).toBe(before)
  })
})
