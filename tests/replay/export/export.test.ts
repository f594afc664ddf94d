/** Exports, each read back by somebody who knows the format only: Chrome's trace events, Perfetto's packets, asciicasts, CSV. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asciicast } from '../../../replay/export/asciicast.js'
import { chromeTrace } from '../../../replay/export/chrome.js'
import { CSV_TABLES, csv } from '../../../replay/export/csv.js'
import type { Happening, Observation, SyscallHappening } from '../../../replay/export/happenings.js'
import { observe } from '../../../replay/export/observe.js'
import { perfettoTrace } from '../../../replay/export/perfetto.js'
import { ProtoWriter } from '../../../replay/export/protobuf.js'
import { layOut } from '../../../replay/export/tracks.js'
import { Debugger } from '../../../replay/debugger/debugger.js'
import { Timeline } from '../../../replay/timeline.js'
import { TraceReader } from '../../../trace/reader.js'
import { KAAL, record } from '../recording.js'
import { all, fields, inner, integer, text } from './protobuf-reader.js'

let reader: TraceReader
let seen: Observation

beforeAll(async () => {
  const { path } = await record({ kernel: KAAL })
  reader = TraceReader.open(path)
  seen = await observe(reader, { calls: true })
})
afterAll(() => reader.close())

const of = <K extends Happening['kind']>(kind: K, observation = seen): Extract<Happening, { kind: K }>[] =>
  observation.happenings.filter((each): each is Extract<Happening, { kind: K }> => each.kind === kind)

describe('what is observed', () => {
  it('is what the trace has', () => {
    expect(
      of('batch').map(({ n, position, count, pc, ended }) => ({ n, icount: position, count, vcpu: 0, pc, ended })),
    ).toEqual(Array.from(reader.batches(), ({ digestLo: _lo, digestHi: _hi, ...row }) => row))
    expect(
      of('interrupt').map(({ position, intid, pc, el }) => ({ icount: position, vcpu: 0, intid, pc, el })),
    ).toEqual([...reader.interrupts()])
    expect(
      of('exception').map(({ position, what, esr, far, elr }) => ({
        icount: position,
        vcpu: 0,
        kind: what,
        esr,
        far,
        elr,
      })),
    ).toEqual([...reader.exceptions()])
    expect(of('uart').map(({ position, direction, byte }) => ({ icount: position, direction, byte }))).toEqual([
      ...reader.uart(),
    ])
  })

  it('has the times of the machine', () => {
    const timeline = new Timeline(reader)
    for (const { position, time } of of('interrupt')) {
      timeline.seek(position)
      // Where the processor idles, a timeline stands in front of the skip.
      const skip = of('batch').find(({ position: start, count, idle }) => start + count === position && idle > 0)
      expect(timeline.machine.now() + (skip?.idle ?? 0)).toBe(time)
    }
    for (const { position, time, returned } of of('syscall').slice(0, 20)) {
      timeline.seek(position + 1)
      expect(timeline.machine.now()).toBe(time)
      if (!returned) continue
      timeline.seek(returned.position)
      expect(timeline.machine.now()).toBe(returned.time)
    }
    timeline.seek(timeline.end)
    expect(seen.endTime).toBe(timeline.machine.now())
    let last = 0
    for (const { time } of seen.happenings) {
      expect(time).toBeGreaterThanOrEqual(last)
      last = time
    }
  })

  it('has the supervisor calls that the debugger finds, and their returns', async () => {
    const debug = new Debugger(reader)
    const found: number[] = []
    await debug.execute('first syscall')
    for (;;) {
      found.push(debug.timeline.position - 1)
      try {
        await debug.execute('next syscall')
      } catch {
        break
      }
    }
    const calls = of('syscall')
    expect(calls.length).toBeGreaterThan(30)
    expect(calls.map(({ position }) => position)).toEqual(found)
    expect(seen.threads.length).toBeGreaterThan(1)
    // Those without a return have ended their thread: nothing comes of it after them.
    for (const { thread, position } of calls.filter(({ returned }) => !returned))
      expect(calls.some((call) => call.thread === thread && call.position > position)).toBe(false)
    for (const call of calls) {
      debug.timeline.seek(call.position)
      expect(debug.timeline.machine.cpu.state).toMatchObject({ pc: call.pc, el: 0 })
      if (!call.returned) continue
      debug.timeline.seek(call.returned.position)
      const { pc, el, x } = debug.timeline.machine.cpu.state
      expect({ pc, el, x0: x[0] }).toEqual({ pc: call.pc + 4n, el: 0, x0: call.returned.x0 })
    }
  })

  it('can be a part of the trace', async () => {
    const [from, to] = [2_400_000, 2_500_000]
    const part = await observe(reader, { calls: true, from, to })
    const inside = ({ kind, position }: Happening): boolean => kind !== 'batch' && position >= from && position <= to
    const plain = (happening: Happening): unknown => ({ ...happening, returned: undefined })
    expect(part.happenings.filter(inside).map(plain)).toEqual(seen.happenings.filter(inside).map(plain))
    expect(part.happenings.some(({ kind }) => kind === 'syscall')).toBe(true)
    for (const { kind, position } of part.happenings)
      if (kind !== 'batch') expect(inside({ kind, position } as Happening)).toBe(true)
  })

  it('includes input, interrupts and idle time of a guest that waits', async () => {
    const { path } = await record({ kernel: 'bench/guests/prebuilt/echo.elf', input: Uint8Array.of(72, 105, 4) })
    const echo = TraceReader.open(path)
    const observation = await observe(echo, { calls: true })
    expect(of('input', observation).map(({ position, payload }) => ({ position, payload: [...payload] }))).toEqual(
      Array.from(echo.inputs(), ({ icount, payload }) => ({ position: icount, payload: [...payload] })),
    )
    echo.close()
    const idle = of('batch').reduce((sum, batch) => sum + batch.idle, 0)
    const skips = of('batch').filter(({ ended }) => ended === 'idle').length
    expect(skips).toBeGreaterThan(0)
    expect(idle).toBeGreaterThan(0)
  })

  it('refuses a trace that replays otherwise', async () => {
    const wrong = Object.create(reader) as TraceReader
    wrong.batchCursor = () => {
      const cursor = reader.batchCursor()
      const next = cursor.next.bind(cursor)
      cursor.next = () => {
        const more = next()
        if (cursor.n === 3) cursor.digestLo ^= 1
        return more
      }
      return cursor
    }
    await expect(observe(wrong)).rejects.toThrow(/the replay differs in batch 3; kaal replay says more/)
  })
})

/** Slices by track, checked to nest: of each, name, begin and end. */
type Slice = { readonly track: number; readonly name: string; readonly begin: number; readonly end: number }

function expectSlices(slices: readonly Slice[]): void {
  for (const { begin, end } of slices) expect(end).toBeGreaterThanOrEqual(begin)
  const batches = of('batch').filter(({ end, time }) => end > time)
  const inTrack = slices.filter(({ name }) => name.startsWith('batch '))
  expect(inTrack.map(({ name, begin, end }) => [name, begin, end])).toEqual(
    batches.map(({ n, time, end }) => [`batch ${n}`, time, end]),
  )
  const calls = slices.filter(({ name }) => name.startsWith('SVC'))
  expect(calls.length).toBe(of('syscall').length)
  const ended = (call: SyscallHappening): number | undefined => call.returned?.time
  for (const call of of('syscall')) {
    const slice = calls.find(({ track, begin }) => track === 10 + call.thread && begin === call.time)
    expect(slice?.end).toBe(ended(call) ?? slice?.end)
  }
}

describe("Chrome's trace event format", () => {
  interface Event {
    readonly ph: string
    readonly ts: number
    readonly pid: number
    readonly tid: number
    readonly name: string
    readonly cat?: string
    readonly s?: string
    readonly args: Record<string, unknown>
  }

  it('has valid events: phases that match, times that never fall, names for all', () => {
    const json = JSON.parse([...chromeTrace(layOut(seen), 'the boot')].join('')) as {
      traceEvents: Event[]
      displayTimeUnit: string
    }
    expect(json.displayTimeUnit).toBe('ns')
    const events = json.traceEvents
    let last = 0
    const named = new Map<number, unknown>()
    const open = new Map<number, Event[]>()
    const slices: Slice[] = []
    for (const event of events) {
      expect(event).toMatchObject({ ph: expect.stringMatching(/^[MBEi]$/), pid: 1, name: expect.any(String) })
      expect(Number.isInteger(event.tid)).toBe(true)
      expect(Number.isFinite(event.ts) && event.ts >= last).toBe(true)
      last = event.ts
      const stack = open.get(event.tid) ?? []
      open.set(event.tid, stack)
      switch (event.ph) {
        case 'M':
          expect(['process_name', 'thread_name', 'thread_sort_index']).toContain(event.name)
          if (event.name === 'thread_name') named.set(event.tid, event.args['name'])
          if (event.name === 'process_name') expect(event.args['name']).toBe('the boot')
          break
        case 'B':
          stack.push(event)
          break
        case 'E': {
          const begin = stack.pop()
          expect(begin?.name).toBe(event.name)
          slices.push({
            track: event.tid,
            name: event.name,
            begin: Math.round((begin?.ts ?? 0) * 1000),
            end: Math.round(event.ts * 1000),
          })
          break
        }
        default:
          expect(event.s).toBe('t')
      }
      if (event.ph !== 'M') {
        expect(named.has(event.tid), `track ${event.tid}`).toBe(true)
        expect(event.cat).toMatch(/^(batch|idle|interrupt|exception|uart|input|syscall)$/)
      }
    }
    for (const stack of open.values()) expect(stack).toEqual([])
    expect([...named.values()]).toContain('vCPU 0: interrupts')
    expectSlices(slices.toSorted((a, b) => a.begin - b.begin))
    const count = (category: string): number => events.filter(({ cat, ph }) => cat === category && ph === 'i').length
    expect(count('interrupt')).toBe(of('interrupt').length)
    expect(count('exception')).toBe(of('exception').length)
    const lines = events.filter(({ cat }) => cat === 'uart').map(({ name }) => name)
    expect(lines[0]).toBe('Hello from KaaL Kernel!')
    expect(lines).toContain('System powering off.')
  })
})

describe("Perfetto's format", () => {
  it('has tracks and events that a decoder finds by the numbers of its messages', () => {
    const pieces = [...perfettoTrace(layOut(seen), 'the boot')]
    const packets = fields(Uint8Array.from(Buffer.concat(pieces)))
    expect(packets.length).toBe(pieces.length)
    const tracks = new Map<number, string>()
    const open = new Map<number, { name: string; begin: number }[]>()
    const slices: Slice[] = []
    let last = 0
    const kinds = { instant: 0, packets: 0 }
    for (const [field, bytes] of packets) {
      expect(field).toBe(1)
      const packet = fields(bytes as Uint8Array)
      expect(integer(packet, 10)).toBe(1)
      if (kinds.packets++ === 0) expect(integer(packet, 13)).toBe(1)
      const descriptor = inner(packet, 60)
      if (descriptor) {
        const process = inner(descriptor, 3)
        const uuid = integer(descriptor, 1) ?? 0
        if (process) expect([integer(process, 1), text(process, 6)]).toEqual([1, 'the boot'])
        else expect(tracks.has(integer(descriptor, 5) ?? 0)).toBe(true)
        tracks.set(uuid, process ? 'process' : (text(descriptor, 2) ?? ''))
        continue
      }
      const event = inner(packet, 11) ?? []
      const time = integer(packet, 8) ?? -1
      expect(time).toBeGreaterThanOrEqual(last)
      last = time
      const track = integer(event, 11) ?? 0
      expect(tracks.has(track)).toBe(true)
      const stack = open.get(track) ?? []
      open.set(track, stack)
      const type = integer(event, 9)
      for (const annotation of all(event, 4)) expect(text(fields(annotation as Uint8Array), 10)).toMatch(/^\w+$/)
      if (type === 1) stack.push({ name: text(event, 23) ?? '', begin: time })
      else if (type === 2) {
        const begun = stack.pop()
        expect(begun).toBeDefined()
        if (begun) slices.push({ ...begun, track: track - 1000, end: time })
      } else {
        expect(type).toBe(3)
        expect(text(event, 22)).toMatch(/^(batch|interrupt|exception|uart|input)$/)
        kinds.instant++
      }
    }
    for (const stack of open.values()) expect(stack).toEqual([])
    expect(kinds.instant).toBeGreaterThan(of('interrupt').length + of('exception').length)
    expectSlices(slices.toSorted((a, b) => a.begin - b.begin))
    expect([...tracks.values()]).toContain('UART')
  })

  it('writes integers of every length', () => {
    for (const value of [0n, 1n, 127n, 128n, 300n, 2n ** 53n, 2n ** 64n - 1n]) {
      expect(fields(new ProtoWriter().uint(5, value).finish())).toEqual([[5, value]])
    }
    const long = 'ä'.repeat(1000)
    const outer = new ProtoWriter().text(1, long).message(2, new ProtoWriter().uint(3, 4))
    expect(text(fields(outer.finish()), 1)).toBe(long)
    expect(inner(fields(outer.finish()), 2)).toEqual([[3, 4n]])
  })
})

describe('an asciicast', () => {
  it('plays what the guest has printed, at the times of the guest', () => {
    const lines = [...asciicast(seen.happenings, { title: 'boot', timestamp: 5 })].join('').trimEnd().split('\n')
    const [header, ...events] = lines.map((line) => JSON.parse(line) as unknown)
    expect(header).toEqual({ version: 2, width: 100, height: 30, title: 'boot', timestamp: 5 })
    let last = 0
    let played = ''
    for (const [time, type, data] of events as [number, string, string][]) {
      expect(time).toBeGreaterThanOrEqual(last)
      last = time
      expect(type).toBe('o')
      played += data
    }
    expect(played).toBe(output())
    expect(last * 1e9).toBeLessThanOrEqual(seen.endTime)
    expect(events.length).toBeGreaterThan(2)
  })

  it('keeps characters whole, and tells what was typed from what was printed', () => {
    const byte = (time: number, direction: 0 | 1, value: number): Happening => ({
      kind: 'uart',
      position: 0,
      time,
      direction,
      byte: value,
    })
    const list = [byte(0, 0, 0xc3), byte(5e6, 0, 0xa4), byte(6e6, 1, 0x78), byte(7e6, 0, 0x79), byte(2e9, 0, 0xff)]
    const [, ...events] = [...asciicast(list, { title: '', timestamp: 0 })].join('').trimEnd().split('\n')
    expect(events.map((line) => JSON.parse(line) as unknown)).toEqual([
      [0.005, 'o', 'ä'],
      [0.006, 'i', 'x'],
      [0.007, 'o', 'y'],
      [2, 'o', '\ufffd'],
    ])
  })
})

const output = (): string => Buffer.from(of('uart').map(({ byte }) => byte)).toString()

describe('CSV', () => {
  const rows = (table?: string): string[][] => {
    const written = [...csv(seen, table)].join('')
    expect(written.endsWith('\r\n')).toBe(true)
    // Quotes hold commas and quotes here, but no ends of lines.
    return written
      .trimEnd()
      .split('\r\n')
      .map((line) =>
        [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
          ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain,
        ),
      )
  }

  it('has every event in one list', () => {
    const [header, ...list] = rows()
    expect(header).toEqual(['position', 'time_ns', 'event', 'details'])
    expect(list.length).toBe(seen.happenings.length)
    for (const row of list) expect(row.length).toBe(4)
  })

  it.each(CSV_TABLES)('has a table %s with as many cells in each row as names', (name) => {
    const [header, ...list] = rows(name)
    expect(header.slice(0, 2)).toEqual(['position', 'time_ns'])
    const kind = ({ batches: 'batch', inputs: 'input' } as Record<string, string>)[name] ?? name.replace(/s$/, '')
    expect(list.length).toBe(seen.happenings.filter((each) => each.kind === kind).length)
    for (const row of list) expect(row.length).toBe(header.length)
  })
})
