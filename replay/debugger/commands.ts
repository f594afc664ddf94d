/** The debugger's commands: names, arguments and meaning. rr's and gdb's, where they have them. */
import type { Debugger } from './debugger.js'
import { DebuggerError } from './error.js'
import { DEFAULT_FORMAT, examine, instructions, parseFormat } from './examine.js'
import { grouped, hex64, parseCount } from './numbers.js'
import { registerLines } from './registers.js'

/** What a command gives: the lines to print. */
type Lines = readonly string[]

/** A command. */
export interface Command {
  readonly name: string
  readonly aliases: readonly string[]
  readonly usage: string
  readonly help: string
  /** What can be completed behind it. */
  readonly completes?: 'symbol' | 'command' | 'info'
  run(debug: Debugger, argument: string): Lines | Promise<Lines>
}

const LINES = 10

export const COMMANDS: readonly Command[] = [
  {
    name: 'step',
    aliases: ['s', 'si', 'stepi'],
    usage: 'step [N]',
    help: 'execute N instructions, 1 if not said',
    run: (debug, argument) => debug.stopLines(debug.timeline.step(count('step', argument))),
  },
  {
    name: 'reverse-step',
    aliases: ['rs', 'rsi', 'reverse-stepi'],
    usage: 'reverse-step [N]',
    help: 'go back N instructions, 1 if not said',
    run: (debug, argument) => debug.stopLines(debug.timeline.reverseStep(count('reverse-step', argument))),
  },
  {
    name: 'continue',
    aliases: ['c'],
    usage: 'continue',
    help: 'run to the next breakpoint, or the end',
    run: async (debug, argument) => {
      none('continue', argument)
      return debug.stopLines(await debug.timeline.continue())
    },
  },
  {
    name: 'reverse-continue',
    aliases: ['rc'],
    usage: 'reverse-continue',
    help: 'go back to the last breakpoint, or the start',
    run: async (debug, argument) => {
      none('reverse-continue', argument)
      return debug.stopLines(await debug.timeline.reverseContinue())
    },
  },
  {
    name: 'break',
    aliases: ['b'],
    usage: 'break ADDR|SYMBOL[+OFF]',
    help: 'stop in front of the instruction there',
    completes: 'symbol',
    run: (debug, argument) => {
      const address = debug.evaluate(argument)
      if (address % 4n !== 0n) throw new DebuggerError(`break ${argument}: ${hex64(address)} is no multiple of 4`)
      const id = debug.timeline.breakpoints.add(address)
      return [`breakpoint ${id} at ${debug.place(address)}`]
    },
  },
  {
    name: 'delete',
    aliases: ['d'],
    usage: 'delete [N]',
    help: 'remove breakpoint N, or all',
    run: (debug, argument) => {
      const { breakpoints } = debug.timeline
      if (argument === '') for (const { id } of breakpoints.list()) breakpoints.delete(id)
      else if (!breakpoints.delete(parseCount(argument) ?? -1)) {
        const ids = breakpoints.list().map(({ id }) => id)
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
  {
    name: 'goto',
    aliases: ['g'],
    usage: 'goto POSITION|start|end',
    help: 'go to a position, forwards or backwards',
    run: (debug, argument) => {
      const { timeline } = debug
      const position = argument === 'end' ? timeline.end : argument === 'start' ? 0 : parseCount(argument)
      if (position === undefined || position > timeline.end)
        throw new DebuggerError(`goto ${argument}: give a position of 0 to ${grouped(timeline.end)}, or end`)
      timeline.seek(position)
      return [debug.here()]
    },
  },
  {
    name: 'when',
    aliases: [],
    usage: 'when',
    help: 'the position',
    run: ({ timeline }, argument) => {
      none('when', argument)
      return [`${grouped(timeline.position)} of ${grouped(timeline.end)}`]
    },
  },
  {
    name: 'regs',
    aliases: ['r', 'registers'],
    usage: 'regs [REGISTER…]',
    help: 'the registers, or those named ($x0 or x0)',
    run: (debug, argument) => registers(debug, argument),
  },
  {
    name: 'x',
    aliases: [],
    usage: 'x/NFU ADDR',
    help: 'N units of memory; F: x d u o t a c s i; U: b h w g',
    completes: 'symbol',
    run: (debug, argument) => examineMemory(debug, argument),
  },
  {
    name: 'disas',
    aliases: ['disassemble'],
    usage: 'disas [ADDR|SYMBOL]',
    help: 'ten instructions from there, or around this one',
    completes: 'symbol',
    run: (debug, argument) => disas(debug, argument),
  },
  {
    name: 'uart',
    aliases: [],
    usage: 'uart [LINES]',
    help: 'the last lines that the guest has printed by now, 20 if not said',
    run: (debug, argument) => debug.uartLines(argument === '' ? 20 : count('uart', argument)),
  },
  {
    name: 'help',
    aliases: ['h', '?'],
    usage: 'help [COMMAND]',
    help: 'explain the commands, or one of them',
    completes: 'command',
    run: (_, argument) => help(argument),
  },
  {
    name: 'quit',
    aliases: ['q', 'exit'],
    usage: 'quit',
    help: 'leave',
    run: (debug) => {
      debug.finished = true
      return []
    },
  },
]

/** What `info` knows of. */
export const INFO = ['breakpoints', 'registers', 'trace'] as const

/**
 * The command of a name, an alias, or the beginning of one name only.
 *
 * @throws {DebuggerError} naming the candidates.
 */
export function findCommand(word: string): Command {
  const exact = COMMANDS.find(({ name, aliases }) => name === word || aliases.includes(word))
  if (exact) return exact
  const found = COMMANDS.filter(({ name }) => name.startsWith(word))
  if (found.length === 1) return found[0]
  if (found.length > 1) throw new DebuggerError(`${word}: could be ${found.map(({ name }) => name).join(' or ')}`)
  throw new DebuggerError(`${word}: no such command; there are ${COMMANDS.map(({ name }) => name).join(', ')}`)
}

function count(command: string, argument: string): number {
  if (argument === '') return 1
  const value = parseCount(argument)
  if (value === undefined || value < 1) throw new DebuggerError(`${command} ${argument}: give a number of at least 1`)
  return value
}

function none(command: string, argument: string): void {
  if (argument !== '') throw new DebuggerError(`${command} ${argument}: ${command} takes no argument`)
}

function info(debug: Debugger, argument: string): Lines {
  const found = INFO.filter((subject) => subject.startsWith(argument))
  if (argument === '' || found.length !== 1) throw new DebuggerError(`info ${argument}: give one of ${INFO.join(', ')}`)
  const { timeline, names } = debug
  if (found[0] === 'registers') return registerLines(timeline.machine.cpu.state, names)
  if (found[0] === 'trace') return [`positions 0 to ${grouped(timeline.end)}, ${grouped(names.count)} symbols`]
  const points = timeline.breakpoints.list()
  return points.length > 0 ? points.map(({ id, address }) => `${id}  ${debug.place(address)}`) : ['no breakpoints']
}

function registers(debug: Debugger, argument: string): Lines {
  const { names } = debug
  if (argument === '') return registerLines(debug.timeline.machine.cpu.state, names)
  return argument.split(/[\s,]+/).map((word) => {
    const name = word.startsWith('$') ? word : `$${word}`
    const value = debug.evaluate(name)
    return `${name.slice(1).padEnd(4)}${debug.place(value)}`
  })
}

function examineMemory(debug: Debugger, argument: string): Lines {
  const match = /^(?:\/(\S*))?\s*(.*)$/.exec(argument)
  const format = parseFormat(match?.[1] ?? '', debug.lastFormat ?? DEFAULT_FORMAT)
  const address = match?.[2] ? debug.evaluate(match[2]) : debug.nextExamined
  if (address === undefined) throw new DebuggerError('x: give an address, register or symbol')
  const { lines, next } = examine(address, format, debug.read, debug.names)
  debug.lastFormat = format
  debug.nextExamined = next
  return lines
}

function disas(debug: Debugger, argument: string): Lines {
  const { pc } = debug.timeline.machine.cpu.state
  const start = argument === '' ? around(debug, pc) : debug.evaluate(argument) & ~3n
  return instructions(start, LINES, debug.read, debug.names, pc).lines
}

/** A few instructions before `pc`, but not before its function. */
function around(debug: Debugger, pc: bigint): bigint {
  const start = pc - 4n * 4n
  const symbol = debug.names.find(pc)
  if (symbol && symbol.address > start) return symbol.address
  return start >= 0n && debug.read(start, 4) ? start : pc
}

function help(argument: string): Lines {
  if (argument !== '') {
    const { usage, help: text, aliases } = findCommand(argument)
    return [`${usage}: ${text}${aliases.length > 0 ? ` (${aliases.join(', ')})` : ''}`]
  }
  const width = Math.max(...COMMANDS.map(({ usage }) => usage.length)) + 2
  return COMMANDS.map(({ usage, aliases, help: text }) => {
    const short = aliases.length > 0 ? ` (${aliases[0]})` : ''
    return `${usage.padEnd(width)}${text}${short}`
  })
}
