/** Commands that show the processor: registers, threads, the calls it is in, its translation tables. */
import { type Command, type Report, none } from '../command.js'
import { backtraceReport } from '../backtrace-report.js'
import type { Debugger } from '../debugger.js'
import { DebuggerError } from '../error.js'
import { registerReport } from '../registers.js'
import { SYSTEM_REGISTERS, describeSystemRegister, isSystemRegister, readSystemRegister } from '../system-registers.js'
import { walk } from '../table-walk.js'
import { threads } from '../threads.js'

export const stateCommands: readonly Command[] = [
  {
    name: 'regs',
    aliases: ['r', 'registers'],
    usage: 'regs [REGISTER…|system]',
    help: 'the registers, or those named; system registers by field',
    details: [
      'regs x0 sp, regs esr_el1, regs spsr_el1 sctlr_el1 tcr_el1 mair_el1',
      'regs system: all system registers, a line each',
    ],
    completes: 'register',
    run: (debug, argument) => registers(debug, argument),
  },
  {
    name: 'backtrace',
    aliases: ['bt', 'where'],
    usage: 'backtrace',
    help: 'the calls that have led here, through frame pointers and exceptions',
    details: [
      'Callers are found by the chain of frame records that X29 begins (AAPCS64). A kernel built without frame pointers has none.',
      'With line tables a frame shows its source line, and functions inlined into it get a line of their own.',
    ],
    run: (debug, argument) => {
      none('backtrace', argument)
      return backtraceReport(debug)
    },
  },
  {
    name: 'walk',
    aliases: [],
    usage: 'walk ADDR [el0|el1|el2]',
    help: 'the walk of the translation tables for an address, level by level',
    details: ['As seen from the current exception level, if none is said. Nothing is changed: no TLB is filled.'],
    completes: 'symbol',
    run: (debug, argument) => {
      const [, address, level] = /^(.*?)(?:\s+el([0-2]))?$/i.exec(argument) ?? ['', argument, undefined]
      const { machine } = debug.timeline
      const el = level === undefined ? machine.cpu.state.el : Number(level)
      if (el === 2 && !machine.config.virtualization)
        throw new DebuggerError(`walk ${argument}: this machine has no EL2 (it was recorded without --virtualization)`)
      return walk(machine, debug.evaluate(address), el as 0 | 1 | 2)
    },
  },
  {
    name: 'threads',
    aliases: [],
    usage: 'threads',
    help: 'the processors, and what the kernel says of its threads',
    run: (debug, argument) => {
      none('threads', argument)
      return threads(debug)
    },
  },
]

function registers(debug: Debugger, argument: string): Report {
  const { names } = debug
  const { machine } = debug.timeline
  if (argument === '') return registerReport(machine.cpu.state, names)
  if (argument.toLowerCase() === 'system') {
    const all = SYSTEM_REGISTERS.map((name) => readSystemRegister(machine, name))
    const width = Math.max(...all.map(({ name }) => name.length)) + 2
    return {
      lines: all.map(({ name, value }) => `${name.toLowerCase().padEnd(width)}${debug.place(value)}`),
      data: { registers: Object.fromEntries(all.map(({ name, value }) => [name, value])) },
    }
  }
  const lines: string[] = []
  const shown: Record<string, unknown>[] = []
  for (const word of argument.split(/[\s,]+/)) {
    const plain = word.replace(/^\$/, '')
    if (isSystemRegister(plain)) {
      const { lines: fields, data } = describeSystemRegister(readSystemRegister(machine, plain), names)
      lines.push(...fields)
      shown.push(data)
    } else {
      const value = debug.evaluate(`$${plain}`)
      lines.push(`${plain.padEnd(4)}${debug.place(value)}`)
      shown.push({ register: plain, value })
    }
  }
  return { lines, data: { registers: shown } }
}
