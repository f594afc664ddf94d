/** Commands for breakpoints, and `info`. */
import { type Command, type Report, count } from '../command.js'
import type { Debugger } from '../debugger.js'
import { DebuggerError } from '../error.js'
import { grouped, hex64, parseCount } from '../numbers.js'
import { registerReport } from '../registers.js'
import { describePlace } from '../sources.js'

/** What `info` knows of. */
export const INFO = ['breakpoints', 'registers', 'trace'] as const

export const breakpointCommands: readonly Command[] = [
  {
    name: 'break',
    aliases: ['b'],
    usage: 'break ADDR|SYMBOL[+OFF]|FILE:LINE',
    help: 'stop in front of the instruction there',
    details: [
      'break kernel_main, break 0x40200000, break $pc+8, break src/debug/faults.rs:76',
      'A line that has no code of its own means the next one that has. Where a line is inlined or compiled more than once, there is a',
      'breakpoint for each copy. FILE may be the end of a path, if it is the end of only one.',
    ],
    completes: 'place',
    run: (debug, argument) => setBreakpoint(debug, argument),
  },
  watch('watch', 'write', 'stop at each write there; 8 bytes, if not said'),
  watch('rwatch', 'read', 'stop at each read'),
  watch('awatch', 'access', 'stop at each read and write'),
  {
    name: 'delete',
    aliases: ['d'],
    usage: 'delete [N]',
    help: 'remove breakpoint or watchpoint N, or all',
    run: (debug, argument) => {
      const { breakpoints, watchpoints } = debug.timeline
      const ids = [...breakpoints.list(), ...watchpoints.list()].map(({ id }) => id)
      const n = parseCount(argument) ?? -1
      if (argument === '') for (const id of ids) void (breakpoints.delete(id) || watchpoints.delete(id))
      else if (!breakpoints.delete(n) && !watchpoints.delete(n)) {
        const known = ids.length > 0 ? `there are ${ids.join(', ')}` : 'there are none'
        throw new DebuggerError(`delete ${argument}: no such breakpoint; ${known}`)
      }
      return []
    },
  },
  {
    name: 'info',
    aliases: ['i'],
    usage: 'info breakpoints|registers|trace',
    help: 'what is known of them',
    completes: 'info',
    run: (debug, argument) => info(debug, argument),
  },
]

function watch(name: string, kind: 'read' | 'write' | 'access', help: string): Command {
  return {
    name,
    aliases: [],
    usage: `${name} ADDR|SYMBOL [BYTES]`,
    help,
    details: ['Going forwards it stops behind the instruction, going backwards in front of it. Addresses are virtual.'],
    completes: 'symbol',
    run: (debug, argument) => {
      const [, text, bytes] = /^(.*?)(?:\s+(\d[\d_]*))?$/.exec(argument) ?? ['', argument, undefined]
      const address = debug.evaluate(text)
      const length = count(`${name} ${text}`, bytes ?? '', 8)
      try {
        const id = debug.timeline.watchpoints.add({ address, length, kind }, debug.notSearching)
        return {
          lines: [`watchpoint ${id}: ${kind} of ${bytesText(length)} at ${debug.place(address)}`],
          data: { watchpoint: { id, address, length, kind } },
        }
      } catch (error) {
        if (error instanceof RangeError) throw new DebuggerError(`${name} ${argument}: ${error.message}`)
        throw error
      }
    },
  }
}

function setBreakpoint(debug: Debugger, argument: string): Report {
  const line = debug.sourceLine(argument)
  const set = (address: bigint, where: string) => {
    if (address % 4n !== 0n) throw new DebuggerError(`break ${argument}: ${hex64(address)} is no multiple of 4`)
    const id = debug.timeline.breakpoints.add(address, debug.notSearching)
    return { line: `breakpoint ${id} at ${debug.place(address)}${where}`, data: { id, address } }
  }
  const points = line
    ? debug.sources
        .locations(line.file, line.line)
        .map(({ address, place }) => set(address, ` ${describePlace(place)}`))
    : [set(debug.evaluate(argument), '')]
  return { lines: points.map((point) => point.line), data: { breakpoints: points.map(({ data }) => data) } }
}

function info(debug: Debugger, argument: string): Report {
  const found = INFO.filter((subject) => subject.startsWith(argument))
  if (argument === '' || found.length !== 1) throw new DebuggerError(`info ${argument}: give one of ${INFO.join(', ')}`)
  const { timeline, names } = debug
  if (found[0] === 'registers') return registerReport(timeline.machine.cpu.state, names)
  if (found[0] === 'trace') {
    const lines = [`positions 0 to ${grouped(timeline.end)}, ${grouped(names.count)} symbols`]
    return { lines, data: { end: timeline.end, symbols: names.count } }
  }
  const points = timeline.breakpoints.list()
  const watches = timeline.watchpoints.list()
  const lines = [
    ...points.map(({ id, address }) => `${id}  ${debug.place(address)}`),
    ...watches.map(
      ({ id, address, length, kind }) => `${id}  ${kind} of ${bytesText(length)} at ${debug.place(address)}`,
    ),
  ]
  return {
    lines: lines.length > 0 ? lines : ['no breakpoints'],
    data: {
      breakpoints: points.map(({ id, address }) => ({ id, address, symbol: names.describe(address) })),
      watchpoints: watches.map(({ id, address, length, kind }) => ({
        id,
        address,
        length,
        kind,
        symbol: names.describe(address),
      })),
    },
  }
}

const bytesText = (length: number): string => `${length} byte${length === 1 ? '' : 's'}`
