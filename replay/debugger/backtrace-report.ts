/** A backtrace as people and programs read it: with symbols, source lines and inlined functions. */
import { type Frame, backtrace } from './backtrace.js'
import type { Report } from './command.js'
import type { Debugger } from './debugger.js'
import { demangle } from './demangle.js'
import { describePlace } from './sources.js'

/** Frames in a row with one pc that are shown; the others are counted. */
const ALIKE = 3

const label = (number: number): string => `#${number} `.padEnd(4)

/** The backtrace at the debugger's position. */
export function backtraceReport(debug: Debugger): Report {
  const { names, timeline } = debug
  const frames = backtrace({
    state: timeline.machine.cpu.state,
    read: debug.read,
    startOf: (address) => names.find(address)?.address,
    recorded: (elr) => debug.recordedException(elr),
  })
  const lines: string[] = []
  let number = 0
  let [pc, same] = [-1n, 0]
  for (const frame of frames) {
    // A function that calls itself a hundred times shall not hide who called it first.
    if (frame.kind === 'code' && frame.pc === pc && ++same >= ALIKE) {
      number++
      continue
    }
    if (same > ALIKE) lines.push(`    (${same - ALIKE + 1} more with this pc)`)
    if (frame.kind === 'code' && frame.pc !== pc) [pc, same] = [frame.pc, 0]
    else if (frame.kind !== 'code') [pc, same] = [-1n, 0]
    if (frame.kind === 'code') lines.push(...codeLines(debug, frame, number++))
    else if (frame.kind === 'exception') lines.push(`    <exception: ${frame.what}>`)
    else if (frame.kind === 'gap') lines.push(`${label(number++)}(its caller: ${frame.why})`)
    else lines.push(`    (${frame.why})`)
  }
  return { lines, data: { frames: frames.map((frame) => frameData(debug, frame)) } }
}

/** A frame, after a line for each function that is inlined into it there. */
function codeLines({ sources, place }: Debugger, frame: Frame & { kind: 'code' }, number: number): string[] {
  const functions = sources.frames(frame.at)
  const where = (n: number): string => {
    const known = functions[n]
    return known && known.line > 0 ? ` at ${describePlace(known)}` : ''
  }
  const inlined = functions.slice(0, -1).map(({ name }, n) => {
    const text = name === undefined ? 'a function' : demangle(name)
    return `${n === 0 ? label(number) : '    '}${text}${where(n)} (inlined)`
  })
  const own = `${inlined.length === 0 ? label(number) : '    '}${place(frame.pc)}${where(functions.length - 1)}`
  return [...inlined, own]
}

function frameData({ names, sources }: Debugger, frame: Frame): Record<string, unknown> {
  if (frame.kind !== 'code') return { ...frame }
  const { at, ...rest } = frame
  const functions = sources.frames(at).map(({ name, ...place }) => ({ function: name && demangle(name), ...place }))
  return { ...rest, symbol: names.describe(frame.pc), ...(functions.length > 0 && { source: functions }) }
}
