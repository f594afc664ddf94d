/** What the timeline stops at: watchpoints, breakpoints and events, alone and together, by both ways the same places. */
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { WatchedAccess } from '../../cpu/mmu/watchpoints.js'
import { ENGINES } from '../../cpu/translator/translator.js'
import { Timeline } from '../../replay/timeline.js'
import { type EventFilter, eventPlaces } from '../../replay/timeline/points.js'
import { TraceReader } from '../../trace/reader.js'
import { KAAL, record } from './recording.js'

/** What an instruction of the window does, seen by stepping over it. */
interface Seen {
  readonly position: number
  readonly pc: bigint
  readonly accesses: readonly WatchedAccess[]
}

const WINDOW = 12_000
const TOP = 2n ** 64n - 1n
/** Both halves of the address space. */
const EVERYWHERE = [0n, 0xffff_0000_0000_0000n].map((address) => ({
  address,
  length: 2 ** 48,
  kind: 'access' as const,
}))

let reader: TraceReader
let timeline: Timeline
/** Around the first interrupt that the kernel takes. */
let from: number
let seen: Seen[]

beforeAll(async () => {
  const { path } = await record({ kernel: KAAL, snapshots: { interval: 2 ** 19, pageInstructions: 0 } })
  reader = TraceReader.open(path)
  timeline = new Timeline(reader)
  const [first] = reader.interrupts()
  from = first.icount - WINDOW / 2
  timeline.seek(from)
  seen = []
  const { cpu } = timeline.machine
  for (let position = from; position < from + WINDOW; position++) {
    const accesses: WatchedAccess[] = []
    const pc = cpu.state.pc
    cpu.setWatchpoints(EVERYWHERE, (access) => accesses.push(access))
    timeline.step()
    cpu.setWatchpoints([])
    seen.push({ position, pc, accesses })
  }
})
afterAll(() => reader.close())
afterEach(removePoints)

function removePoints(): void {
  for (const { id } of timeline.breakpoints.list()) timeline.breakpoints.delete(id)
  for (const { id } of timeline.watchpoints.list()) timeline.watchpoints.delete(id)
  for (const { id } of timeline.catchpoints.list()) timeline.catchpoints.delete(id)
}

/** Everything but RAM, as one text. */
function state({ machine, position }: Timeline): string {
  machine.hash.compute()
  return `${position} ${machine.hash.hi.toString(16)} ${machine.hash.lo.toString(16)}`
}

/** All stops in the window on the way forwards. */
async function forwards(): Promise<number[]> {
  timeline.seek(from)
  const stops: number[] = []
  for (;;) {
    const { position, reason } = await timeline.continue()
    if (reason === 'end' || position > from + WINDOW) return stops
    expect(position).toBe(timeline.position)
    stops.push(position)
  }
}

/** All stops in the window on the way backwards, in rising order. */
async function backwards(): Promise<number[]> {
  timeline.seek(from + WINDOW)
  const stops: number[] = []
  for (;;) {
    const { position, reason } = await timeline.reverseContinue()
    if (reason === 'start' || position < from) return stops.toReversed()
    expect(position).toBe(timeline.position)
    stops.push(position)
  }
}

const touches = ({ address, bytes }: WatchedAccess, at: bigint, length: number): boolean =>
  address < at + BigInt(length) && at < address + BigInt(bytes)

describe('watchpoints', () => {
  it('stop at each access and no other, whatever the range and kind', async () => {
    const busy = seen.flatMap(({ accesses }) => accesses)
    expect(busy.length).toBeGreaterThan(1000)
    let compared = 0
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...busy),
        fc.integer({ min: -16, max: 16 }),
        fc.constantFrom(1, 2, 4, 8, 16, 64, 4096),
        fc.constantFrom('read', 'write', 'access'),
        async (target, offset, length, kind) => {
          const address = target.address + BigInt(offset)
          const id = timeline.watchpoints.add({ address, length, kind })
          const expected = seen
            .filter(({ accesses }) =>
              accesses.some(
                (access) =>
                  touches(access, address, length) && (kind === 'access' || (kind === 'write') === access.write),
              ),
            )
            .map(({ position }) => position)
          // So many stops say no more than a few.
          if (expected.length < 300) {
            expect(await forwards()).toEqual(expected.map((position) => position + 1))
            expect(await backwards()).toEqual(expected)
            compared += expected.length
          }
          timeline.watchpoints.delete(id)
        },
      ),
      { numRuns: 12 },
    )
    expect(compared).toBeGreaterThan(10)
  })

  it('see a value change only where they say that it was written', async () => {
    const { address } = seen.flatMap(({ accesses }) => accesses).find(({ write, bytes }) => write && bytes === 8) ?? seen[0].accesses[0] // prettier-ignore
    timeline.seek(from)
    const changes: number[] = []
    let value = timeline.readMemory(address, 8)?.toString()
    while (timeline.position < from + WINDOW) {
      timeline.step()
      const now = timeline.readMemory(address, 8)?.toString()
      if (now !== value) changes.push(timeline.position)
      value = now
    }
    timeline.watchpoints.add({ address, length: 8, kind: 'write' })
    const stops = await forwards()
    expect(changes.length).toBeGreaterThan(0)
    expect(stops).toEqual(expect.arrayContaining(changes))
  })

  it('have conditions, asked behind the access in both directions', async () => {
    const written = seen.flatMap(({ accesses }) => accesses).filter(({ write, bytes }) => write && bytes === 8)
    const { address } = written[Math.floor(written.length / 2)]
    const value = () =>
      new DataView(timeline.readMemory(address, 8)?.buffer ?? new ArrayBuffer(8)).getBigUint64(0, true)
    const id = timeline.watchpoints.add({ address, length: 8, kind: 'write' })
    const values: bigint[] = []
    for (const position of await forwards()) {
      timeline.seek(position)
      values.push(value())
    }
    timeline.watchpoints.delete(id)
    const wanted = values[values.length - 1]
    timeline.watchpoints.add({ address, length: 8, kind: 'write' }, () => value() === wanted)
    const stops = await forwards()
    expect(stops.length).toBe(values.filter((each) => each === wanted).length)
    expect(await backwards()).toEqual(stops.map((position) => position - 1))
  })

  it('leave the guest as it is without them', async () => {
    timeline.seek(from + WINDOW)
    const plain = state(timeline)
    timeline.seek(0)
    const { address } = seen.flatMap(({ accesses }) => accesses)[0]
    timeline.watchpoints.add({ address: address & ~0xfffn, length: 4096, kind: 'access' }, () => false)
    timeline.catchpoints.add({ kind: 'interrupt' })
    let stop = await timeline.continue()
    while (stop.position < from + WINDOW / 2) stop = await timeline.continue()
    expect(stop.reason).toBe('event')
    timeline.step(from + WINDOW - timeline.position)
    expect(state(timeline)).toBe(plain)
  })

  it('refuse what is no range', () => {
    expect(() => timeline.watchpoints.add({ address: TOP, length: 2, kind: 'read' })).toThrow(RangeError)
    expect(timeline.watchpoints.list()).toEqual([])
  })

  it('searched backwards over the whole trace, find the first write, also when most of it is known not to write there', async () => {
    const { address } = seen.flatMap(({ accesses }) => accesses).findLast(({ write }) => write) ?? seen[0].accesses[0] // prettier-ignore
    timeline.watchpoints.add({ address, length: 1, kind: 'write' })
    timeline.seek(0)
    const all: number[] = []
    for (;;) {
      const { reason, position } = await timeline.continue()
      if (reason === 'end') break
      if (all.push(position) > 400) break
    }
    const fresh = new Timeline(reader)
    fresh.watchpoints.add({ address, length: 1, kind: 'write' })
    for (const turn of [1, 2]) {
      fresh.seek(all[all.length - 1])
      const back: number[] = []
      for (;;) {
        const { reason, position } = await fresh.reverseContinue()
        if (reason === 'start') break
        back.push(position + 1)
      }
      expect([turn, back.toReversed()]).toEqual([turn, all])
    }
  })
})

it.each(ENGINES)('the %s engine finds the same places', async (engine) => {
  const stores = seen.flatMap(({ accesses }) => accesses).filter(({ write }) => write)
  const address = stores[Math.floor(stores.length / 3)].address & ~63n
  const writes = seen
    .filter(({ accesses }) => accesses.some((access) => access.write && touches(access, address, 64)))
    .map(({ position }) => position)
  expect(writes.length).toBeGreaterThan(0)
  const other = new Timeline(reader)
  other.machine.cpu.setEngine(engine, 1)
  other.watchpoints.add({ address, length: 64, kind: 'write' })
  // From the start, so that code is translated and pages are in the fast TLB when the window comes.
  other.seek(from)
  const found: number[] = []
  for (;;) {
    const { position } = await other.continue()
    if (position > from + WINDOW || position === other.end) break
    found.push(position - 1)
  }
  expect(found).toEqual(writes)
  other.seek(from + WINDOW)
  for (const position of writes.toReversed()) expect(await other.reverseContinue()).toMatchObject({ position })
})

describe('events', () => {
  const filters: [string, EventFilter][] = [
    ['exceptions', { kind: 'exception' }],
    ['aborts', { kind: 'exception', kinds: ['data-abort', 'instruction-abort'] }],
    ['interrupts', { kind: 'interrupt' }],
    ['text', { kind: 'uart', pattern: 'tests' }],
    ['a pattern', { kind: 'uart', pattern: /\[\w+\] .* killed/ }],
  ]

  it.each(filters)('%s stop it, forwards and backwards', async (_, filter) => {
    timeline.catchpoints.add(filter)
    timeline.seek(0)
    const { after, back } = eventPlaces(reader, filter)
    expect(after.length).toBeGreaterThan(0)
    const distinct = [...new Set(after)]
    for (const position of distinct) expect(await timeline.continue()).toMatchObject({ reason: 'event', position })
    expect(await timeline.continue()).toMatchObject({ reason: 'end' })
    for (const position of distinct.toReversed())
      expect(await timeline.reverseContinue()).toMatchObject({ reason: 'event', position: position - back })
    expect(await timeline.reverseContinue()).toEqual({ reason: 'start', position: 0 })
  })

  it('an exception is about to be taken from behind, and has been taken from in front', async () => {
    timeline.catchpoints.add({ kind: 'exception', kinds: ['data-abort'] })
    timeline.seek(0)
    await timeline.continue()
    const { state: cpu } = timeline.machine.cpu
    const [elr, pc] = [cpu.elr_el[1], cpu.pc]
    expect(pc & 0x7ffn).toBe(cpu.spsr_el[1] & 0xcn ? 0x200n : 0x400n)
    timeline.seek(timeline.end)
    let stop = await timeline.reverseContinue()
    while (stop.reason === 'event') {
      timeline.step()
      if (cpu.elr_el[1] === elr) break
      timeline.reverseStep()
      stop = await timeline.reverseContinue()
    }
    expect(stop.reason).toBe('event')
    timeline.reverseStep()
    expect(cpu.pc).toBe(elr)
  })

  it('what the guest has printed ends with the text', async () => {
    timeline.catchpoints.add({ kind: 'uart', pattern: 'Self tests' })
    timeline.seek(0)
    const printed: number[] = []
    const { position } = await timeline.continue()
    for (const { direction, byte } of reader.uart({ to: position - 1 })) if (direction === 0) printed.push(byte)
    expect(new TextDecoder().decode(Uint8Array.from(printed))).toMatch(/Self tests$/)
  })
})

it('breakpoints, watchpoints, conditions and events combine', async () => {
  const counts = new Map<bigint, number>()
  for (const { pc } of seen) counts.set(pc, (counts.get(pc) ?? 0) + 1)
  const rare = [...counts].filter(([, count]) => count > 1 && count < 20).map(([pc]) => pc)
  const stores = seen.flatMap(({ accesses }) => accesses).filter(({ write }) => write)
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...rare),
      fc.constantFrom(...rare),
      fc.constantFrom(...stores),
      async (plain, conditional, { address }) => {
        const { state: cpu } = timeline.machine.cpu
        timeline.breakpoints.add(plain)
        timeline.breakpoints.add(conditional, () => (cpu.x[0] & 1n) === 0n)
        timeline.watchpoints.add({ address, length: 1, kind: 'write' })
        timeline.catchpoints.add({ kind: 'interrupt' })
        const interrupts = [...reader.interrupts({ from, to: from + WINDOW })].map(({ icount }) => icount)
        const writes = seen.filter(({ accesses }) => accesses.some((access) => access.write && touches(access, address, 1))).map(({ position }) => position) // prettier-ignore
        const breaks: number[] = []
        for (const { pc, position } of seen) {
          if (pc === plain) breaks.push(position)
          else if (pc === conditional) {
            timeline.seek(position)
            if ((cpu.x[0] & 1n) === 0n) breaks.push(position)
          }
        }
        const sorted = (...lists: number[][]) => [...new Set(lists.flat())].toSorted((a, b) => a - b)
        if (writes.length + breaks.length < 200) {
          expect(await forwards()).toEqual(sorted(breaks, interrupts, writes.map((at) => at + 1)).filter((at) => at > from)) // prettier-ignore
          expect(await backwards()).toEqual(sorted(breaks, interrupts, writes))
        }
        removePoints()
      },
    ),
    { numRuns: 6 },
  )
})

describe('single steps', () => {
  it('tell what watchpoints see, in both directions', () => {
    const target = seen.find(({ accesses, position }) => accesses.some(({ write }) => write) && position > from + 100)
    if (!target) throw new Error('nothing is written in the window')
    const { address } = target.accesses.find(({ write }) => write) ?? target.accesses[0]
    timeline.watchpoints.add({ address, length: 1, kind: 'write' })
    timeline.seek(target.position)
    expect(timeline.stepWatched()).toMatchObject({ reason: 'watchpoint', position: target.position + 1 })
    expect(timeline.reverseStepWatched()).toMatchObject({ reason: 'watchpoint', position: target.position })
    expect(timeline.position).toBe(target.position)
    timeline.seek(timeline.end)
    expect(timeline.stepWatched().reason).toBe('end')
    timeline.seek(0)
    expect(timeline.reverseStepWatched().reason).toBe('start')
  })
})

describe('checkpoints', () => {
  it('keep to their limit of memory, and positions are the same all the same', () => {
    const small = new Timeline(reader, { checkpointMemory: 2 ** 20 })
    const large = new Timeline(reader)
    const reference = new Timeline(reader, { checkpointMemory: 1 })
    let seed = 7
    for (let i = 0; i < 40; i++) {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
      const position = Math.floor((seed / 2 ** 32) * large.end)
      for (const each of [small, large, reference]) each.seek(position)
      expect(state(small)).toBe(state(large))
      expect(state(reference)).toBe(state(large))
      expect(Buffer.compare(small.machine.memory.ram, large.machine.memory.ram)).toBe(0)
    }
    expect(small.checkpointMemory).toBeLessThanOrEqual(2 ** 20 + 2 ** 19)
    expect(large.checkpointMemory).toBeGreaterThan(2 ** 20)
  })
})
