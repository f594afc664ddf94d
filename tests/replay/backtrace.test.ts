/** Backtraces against what really happened: calls and returns counted one by one, and frames that lie. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BacktraceView, type Frame, MOST_FRAMES, backtrace } from '../../replay/debugger/backtrace.js'
import { Debugger } from '../../replay/debugger/debugger.js'
import { isCall } from '../../replay/debugger/frame-state.js'
import { TraceReader } from '../../trace/reader.js'
import { KAAL, record } from './recording.js'

let reader: TraceReader
let debug: Debugger

beforeAll(async () => {
  const { path } = await record({ kernel: KAAL, config: { append: 'fault=null' } })
  reader = TraceReader.open(path)
  debug = new Debugger(reader)
})
afterAll(() => reader.close())

const view = (): BacktraceView => ({
  state: debug.timeline.machine.cpu.state,
  read: debug.read,
  startOf: (address) => debug.names.find(address)?.address,
  recorded: (elr) => debug.recordedException(elr),
})

/** Program counters of the frames, exceptions as -1. */
const chain = (frames: readonly Frame[]): bigint[] =>
  frames.flatMap((frame) => (frame.kind === 'code' ? [frame.pc] : frame.kind === 'exception' ? [-1n] : []))

const instruction = (address: bigint): number => {
  const bytes = debug.read(address, 4)
  return bytes ? new DataView(bytes.buffer).getUint32(0, true) : 0
}
const isReturn = (word: number): boolean => word === 0xd65f03c0
const isEret = (word: number): boolean => word === 0xd69f03e0

/**
 * Steps through a stretch and counts calls and returns; at each instruction the backtrace must be what was counted.
 *
 * @returns at how many instructions it was compared.
 */
function compare(from: number, steps: number): number {
  const { timeline } = debug
  timeline.seek(from)
  let stack: bigint[] | undefined
  let compared = 0
  for (let n = 0; n < steps; n++) {
    const { pc, el } = timeline.machine.cpu.state
    const word = instruction(pc)
    // resume_user is a label in the middle of assembly, jumped to with a stale X30: no code tells where it came from.
    if (el !== 1 || debug.names.find(pc)?.name === 'resume_user') stack = undefined
    else {
      const shown = chain(backtrace(view()))
      // What was there at the start of the stretch, or after a program, is taken from the first backtrace.
      stack ??= shown.slice(1)
      expect({ at: timeline.position, chain: shown.map(debug.place) }).toEqual({
        at: timeline.position,
        chain: [pc, ...stack].map(debug.place),
      })
      compared++
    }
    timeline.step()
    const next = timeline.machine.cpu.state.pc
    if (stack && next !== pc + 4n) {
      if (isCall(word)) stack = [pc + 4n, ...stack]
      else if (isReturn(word)) stack = stack.slice(1)
      else if (isEret(word)) stack = undefined
      else if (debug.names.find(next)?.name === 'vectors') stack = undefined
    }
  }
  return compared
}

describe('the chain of calls', () => {
  it('is at each instruction what calls and returns have made it', () => {
    const starts = [200_000, 1_000_000, 1_500_000, 2_060_000, 2_150_700, 2_300_000, 3_000_000, 3_640_000]
    const compared = starts.map((from) => compare(from, 1_500))
    expect(compared.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(8_000)
  })

  it('goes on behind a fault, and on behind the panic that reports it', async () => {
    const { timeline } = debug
    const [fault] = [...reader.exceptions({ from: timeline.end - 100_000 })].slice(-1)
    timeline.seek(fault.icount + 1)
    const inVector = await debug.execute('backtrace')
    expect(inVector[0]).toMatch(/^#0 {2}0x[0-9a-f]{16} <vectors\+0x200>$/)
    expect(inVector[1]).toBe('    <exception: Data Abort from EL1h>')
    expect(inVector.slice(2).join('\n')).toContain('<kaal::debug::faults::run+')
    timeline.seek(timeline.end)
    const atEnd = (await debug.execute('bt')).join('\n')
    expect(atEnd).toMatch(
      /system_off.*\n(.*\n)*.*<el1_trap\+.*\n {4}<exception: Data Abort from EL1h>\n.*crash\.rs:8 \(inlined\)\n/,
    )
    expect(atEnd).toMatch(/<kernel_main\+.*\n#\d+ +0x[0-9a-f]{16} <upper_half\+0x28>\n {4}\(the outermost frame/)
  })

  it('goes on in a program behind its system call and its interrupt', async () => {
    const lines = await debug.execute('first syscall')
    expect(lines[0]).toMatch(/^syscall: SVC #0, pc 0x00000000004/)
    expect((await debug.execute('bt')).slice(0, 3).join('\n')).toMatch(
      /^#0 .*<vectors\+0x400>\n {4}<exception: SVC #0 from EL0t>\n#1 {2}0x00000000004/,
    )
    debug.timeline.step(200)
    const [program] = (await debug.execute('bt')).slice(-2)
    expect(program).toMatch(/^#\d+ +0x00000000004/)
    const interrupt = [...reader.interrupts()].find(({ el }) => el === 0)
    if (!interrupt) throw new Error('no program was interrupted')
    debug.timeline.seek(interrupt.icount)
    expect((await debug.execute('bt'))[1]).toBe(`    <exception: interrupt, INTID ${interrupt.intid} from EL0t>`)
  })
})

describe('a chain that lies', () => {
  const frameRecord = (fp: bigint, lr: bigint): Uint8Array => new Uint8Array(BigUint64Array.of(fp, lr).buffer)
  const CALL = 0xffff_0000_4020_c020n

  /** The backtrace in kernel_main's callee with other bytes where its frame record is. */
  function lying(bytes: (at: bigint) => Uint8Array): Frame[] {
    debug.timeline.seek(1_500_000)
    const real = view()
    const at = real.state.x[29]
    return backtrace({
      ...real,
      read: (address, length) => (address === at && length === 16 ? bytes(at) : real.read(address, length)),
    })
  }
  const why = (frames: Frame[]): string => {
    const last = frames[frames.length - 1]
    return last.kind === 'end' ? last.why : last.kind
  }

  it('ends with the reason', () => {
    expect(why(lying((at) => frameRecord(at, CALL)))).toMatch(/^the frame record at 0x[0-9a-f]{16} points to itself$/)
    expect(why(lying((at) => frameRecord(at - 64n, CALL)))).toMatch(/points to 0x[0-9a-f]{16}, which is no older one$/)
    expect(why(lying(() => frameRecord(0xffff_0000_4041_7003n, CALL)))).toMatch(/is no multiple of 8$/)
    expect(why(lying(() => frameRecord(0xffff_ffff_ffff_fff0n, CALL)))).toMatch(
      /^there is no memory at the frame pointer/,
    )
    expect(why(lying((at) => frameRecord(at + 16n, 0x1234n)))).toMatch(
      /has the return address 0x0000000000001234, which is no code$/,
    )
    expect(why(lying(() => frameRecord(0n, CALL)))).toBe('the outermost frame: its frame pointer is 0')
    expect(why(lying((at) => frameRecord(at + 16n, 0n)))).toBe('the outermost frame: its return address is 0')
  })

  it('ends whatever memory holds', () => {
    debug.timeline.seek(1_500_000)
    const real = view()
    const kernel = fc.bigInt(0xffff_0000_4020_1000n, 0xffff_0000_4021_2000n)
    const stack = fc.bigInt(0xffff_0000_4041_4000n, 0xffff_0000_4041_8000n)
    const word = fc.oneof(kernel, stack, fc.bigInt(0n, 2n ** 64n - 1n))
    fc.assert(
      fc.property(fc.array(word, { minLength: 2, maxLength: 400 }), fc.integer({ min: 0, max: 63 }), (words, shift) => {
        const memory = new Uint8Array(BigUint64Array.from(words.map((value) => BigInt.asUintN(64, value))).buffer)
        const frames = backtrace({
          ...real,
          read: (address, length) => {
            if (address >> 16n !== 0xffff_0000_4041n) return real.read(address, length)
            return Uint8Array.from(
              { length },
              (_, n) => memory[(Number(address & 0xffffn) + n + shift) % memory.length],
            )
          },
        })
        expect(frames.length).toBeLessThan(MOST_FRAMES + 5)
        expect(frames[frames.length - 1].kind).toBe('end')
      }),
      { numRuns: 300 },
    )
  })
})
