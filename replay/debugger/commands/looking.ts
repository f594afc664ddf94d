/** Commands that show memory, code, sources and output. */
import { type Command, type Report, count } from '../command.js'
import type { Debugger } from '../debugger.js'
import { DebuggerError } from '../error.js'
import { DEFAULT_FORMAT, examine, instructions, parseFormat } from '../examine.js'
import { describePlace } from '../sources.js'

const INSTRUCTIONS = 10
const LINES = 11

export const lookingCommands: readonly Command[] = [
  {
    name: 'x',
    aliases: [],
    usage: 'x/NFU ADDR',
    help: 'N units of memory; F: x d u o t a c s i; U: b h w g',
    details: ['x/4xg $sp, x/s __rodata_start, x/3i $pc; x alone goes on behind what was shown last'],
    completes: 'symbol',
    run: (debug, argument) => examineMemory(debug, argument),
  },
  {
    name: 'disas',
    aliases: ['disassemble'],
    usage: 'disas [ADDR|SYMBOL|FILE:LINE]',
    help: 'ten instructions from there, or around this one',
    completes: 'place',
    run: (debug, argument) => disas(debug, argument),
  },
  {
    name: 'list',
    aliases: ['l'],
    usage: 'list [FILE:LINE|ADDR|SYMBOL]',
    help: 'the source lines around there, or around this instruction',
    details: ['Sources are looked for below the folders that --source names, here, and where kaal itself is.'],
    completes: 'place',
    run: (debug, argument) => list(debug, argument),
  },
  {
    name: 'uart',
    aliases: [],
    usage: 'uart [LINES]',
    help: 'the last lines that the guest has printed by now, 20 if not said',
    run: (debug, argument) => {
      const lines = debug.uartLines(count('uart', argument, 20))
      return { lines, data: { lines } }
    },
  },
]

function examineMemory(debug: Debugger, argument: string): Report {
  const match = /^(?:\/(\S*))?\s*(.*)$/.exec(argument)
  const format = parseFormat(match?.[1] ?? '', debug.lastFormat ?? DEFAULT_FORMAT)
  const address = match?.[2] ? debug.evaluate(match[2]) : debug.nextExamined
  if (address === undefined) throw new DebuggerError('x: give an address, register or symbol')
  const { lines, next } = examine(address, format, debug.read, debug.names)
  debug.lastFormat = format
  debug.nextExamined = next
  return { lines, data: { address, lines } }
}

function disas(debug: Debugger, argument: string): Report {
  const { pc } = debug.timeline.machine.cpu.state
  const start = argument === '' ? around(debug, pc) : debug.location(argument) & ~3n
  const { lines } = instructions(start, INSTRUCTIONS, debug.read, debug.names, pc)
  return { lines, data: { address: start, lines } }
}

/** A few instructions before `pc`, but not before its function. */
function around(debug: Debugger, pc: bigint): bigint {
  const start = pc - 4n * 4n
  const symbol = debug.names.find(pc)
  if (symbol && symbol.address > start) return symbol.address
  return start >= 0n && debug.read(start, 4) ? start : pc
}

function list(debug: Debugger, argument: string): Report {
  const { sources } = debug
  const named = argument === '' ? undefined : debug.sourceLine(argument)
  const address = named ? undefined : argument === '' ? debug.timeline.machine.cpu.state.pc : debug.evaluate(argument)
  const place = named
    ? { file: sources.file(named.file), line: named.line, column: 0 }
    : address !== undefined && sources.at(address)
  if (!place) {
    const where = argument === '' ? 'this instruction' : argument
    throw new DebuggerError(
      `list: no source line is known for ${where}${sources.any ? '' : '; name an executable with line tables with --symbols'}`,
    )
  }
  const text = sources.lines(place.file)
  if (!text) throw new DebuggerError(`list: ${place.file} is not at hand; say with --source where the sources are`)
  if (place.line > text.length)
    throw new DebuggerError(`list: ${place.file} has ${text.length} lines, not ${place.line}: is it another version?`)
  const first = Math.max(1, place.line - Math.floor(LINES / 2))
  const last = Math.min(text.length, first + LINES - 1)
  const width = String(last).length
  const shown = Array.from({ length: last - first + 1 }, (_, n) => {
    const line = first + n
    return `${line === place.line ? '=> ' : '   '}${String(line).padStart(width)}  ${sources.text({ ...place, line }) ?? ''}`.trimEnd()
  })
  return { lines: [describePlace(place), ...shown], data: { ...place, lines: text.slice(first - 1, last), first } }
}
