/** The timeline: any position by any way has the same state. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Debugger } from '../../replay/debugger/debugger.js'
import { Timeline } from '../../replay/timeline.js'
import { TraceReader } from '../../trace/reader.js'
import { KAAL, record } from './recording.js'

let path: string
let reader: TraceReader
let timeline: Timeline

beforeAll(async () => {
  ;({ path } = await record({ kernel: KAAL }))
  reader = TraceReader.open(path)
  timeline = new Timeline(reader)
})
afterAll(() => reader.close())

/** Everything but RAM, as one text. */
function state(of: Timeline): string {
  const { hash, cpu } = of.machine
  hash.compute()
  return `${of.position} ${cpu.state.pc.toString(16)} ${hash.hi.toString(16)} ${hash.lo.toString(16)}`
}

/** A small generator of positions, the same each time. */
function* positions(count: number, below: number): Generator<number> {
  let seed = 12345
  for (let i = 0; i < count; i++) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    yield Math.floor((seed / 2 ** 32) * below)
  }
}

describe('stepping back', () => {
  it('from the end, 1,000 times, lands on what stepping forwards shows', () => {
    const count = 1000
    timeline.seek(timeline.end - count)
    const forwards = [state(timeline)]
    for (let i = 0; i < count; i++) {
      timeline.step()
      forwards.push(state(timeline))
    }
    const other = new Timeline(reader)
    other.seek(other.end)
    for (let i = count - 1; i >= 0; i--) {
      other.reverseStep()
      expect(state(other)).toBe(forwards[i])
    }
  })

  it('stops at the start, and stepping at the end', () => {
    timeline.seek(1)
    expect(timeline.reverseStep(5)).toEqual({ reason: 'step', position: 0 })
    expect(timeline.reverseStep()).toEqual({ reason: 'start', position: 0 })
    timeline.seek(timeline.end)
    expect(timeline.step()).toEqual({ reason: 'end', position: timeline.end })
  })
})

describe('seeking', () => {
  it('gives the same state from anywhere, memory included', () => {
    const other = new Timeline(reader)
    const sorted = [...positions(40, timeline.end)].toSorted((a, b) => a - b)
    for (const position of sorted) {
      other.step(position - other.position)
      timeline.seek(Math.floor(timeline.end - position / 2))
      timeline.seek(position)
      expect(state(timeline)).toBe(state(other))
      expect(Buffer.compare(timeline.machine.memory.ram, other.machine.memory.ram)).toBe(0)
    }
  })

  it('refuses a position that the trace does not have', () => {
    expect(() => timeline.seek(timeline.end + 1)).toThrow(/positions 0 to/)
    expect(() => timeline.seek(-1)).toThrow(RangeError)
  })
})

describe('breakpoints', () => {
  it('are met at every pass, and backwards at the last one', async () => {
    timeline.seek(2_000_000)
    const { pc } = timeline.machine.cpu.state
    const passes: number[] = []
    const other = new Timeline(reader)
    // By single steps over a window, as the reference.
    const [from, to] = [1_990_000, 2_010_000]
    other.seek(from)
    for (let position = from; position < to; position++) {
      if (other.machine.cpu.state.pc === pc) passes.push(position)
      other.step()
    }
    const id = timeline.breakpoints.add(pc)
    timeline.seek(from)
    const met: number[] = passes[0] === from ? [from] : []
    for (;;) {
      const stop = await timeline.continue()
      if (stop.reason !== 'breakpoint' || stop.position >= to) break
      expect(stop.breakpoint).toBe(id)
      met.push(stop.position)
    }
    expect(met).toEqual(passes)
    timeline.seek(to)
    for (const position of passes.toReversed()) {
      expect(await timeline.reverseContinue()).toMatchObject({ reason: 'breakpoint', position })
      expect(timeline.machine.cpu.state.pc).toBe(pc)
    }
    expect(timeline.breakpoints.delete(id)).toBe(true)
    expect(await timeline.continue()).toMatchObject({ reason: 'end', position: timeline.end })
    expect(await timeline.reverseContinue()).toEqual({ reason: 'start', position: 0 })
  })

  it('do not change what is executed', async () => {
    timeline.seek(timeline.end)
    const end = state(timeline)
    timeline.seek(2_500_000)
    const id = timeline.breakpoints.add(timeline.machine.cpu.state.pc)
    timeline.seek(0)
    let stop
    do stop = await timeline.continue()
    while (stop.reason === 'breakpoint')
    timeline.breakpoints.delete(id)
    expect(state(timeline)).toBe(end)
  })
})

describe('reading memory', () => {
  it('sees what the processor would, through its page tables, and nothing where it would fault', () => {
    timeline.seek(timeline.end)
    const { pc } = timeline.machine.cpu.state
    expect(timeline.readMemory(pc, 4)?.length).toBe(4)
    expect(timeline.readMemory(0x1234_5678_9abc_0000n, 4)).toBeUndefined()
  })
})

describe('the debugger', () => {
  it('completes commands, registers, events, files, and symbols under their readable names', () => {
    const session = new Debugger(reader)
    expect(session.complete('reverse-s')).toEqual([['reverse-step'], 'reverse-s'])
    expect(session.complete('b kernel_m')).toEqual([['kernel_main'], 'kernel_m'])
    expect(session.complete('regs x1 ttbr1')).toEqual([['ttbr1_el1'], 'ttbr1'])
    expect(session.complete('r $x2')[0]).toContain('$x29')
    expect(session.complete('next s')).toEqual([['syscall'], 's'])
    expect(session.complete('help wh')).toEqual([['when', 'who-wrote'], 'wh'])
    expect(session.complete('b debug/faul')).toEqual([['debug/faults.rs:'], 'debug/faul'])
    expect(session.complete('b src/debug/faul')).toEqual([['src/debug/faults.rs:'], 'src/debug/faul'])
    expect(session.complete('break kaal::arch::aarch64::psci::s')[0]).toContain('kaal::arch::aarch64::psci::system_off')
  })
})
