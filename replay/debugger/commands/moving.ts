/** Commands that move along the trace, and the one that says where it is. */
import { type Command, count, none } from '../command.js'
import { DebuggerError } from '../error.js'
import { grouped, parseCount } from '../numbers.js'

export const movingCommands: readonly Command[] = [
  {
    name: 'step',
    aliases: ['s', 'si', 'stepi'],
    usage: 'step [N]',
    help: 'execute N instructions, 1 if not said',
    run: (debug, argument) => debug.stopped(debug.timeline.step(count('step', argument))),
  },
  {
    name: 'reverse-step',
    aliases: ['rs', 'rsi', 'reverse-stepi'],
    usage: 'reverse-step [N]',
    help: 'go back N instructions, 1 if not said',
    run: (debug, argument) => debug.stopped(debug.timeline.reverseStep(count('reverse-step', argument))),
  },
  {
    name: 'continue',
    aliases: ['c'],
    usage: 'continue',
    help: 'run to the next breakpoint, or the end',
    run: async (debug, argument) => {
      none('continue', argument)
      return debug.stopped(await debug.timeline.continue())
    },
  },
  {
    name: 'reverse-continue',
    aliases: ['rc'],
    usage: 'reverse-continue',
    help: 'go back to the last breakpoint, or the start',
    run: async (debug, argument) => {
      none('reverse-continue', argument)
      return debug.stopped(await debug.timeline.reverseContinue())
    },
  },
  {
    name: 'goto',
    aliases: ['g'],
    usage: 'goto POSITION|start|end',
    help: 'go to a position, forwards or backwards',
    details: ['A position is the number of instructions executed before it: 2_150_769, or 2150769.'],
    run: (debug, argument) => {
      const { timeline } = debug
      const position = argument === 'end' ? timeline.end : argument === 'start' ? 0 : parseCount(argument)
      if (position === undefined || position > timeline.end)
        throw new DebuggerError(`goto ${argument}: give a position of 0 to ${grouped(timeline.end)}, or end`)
      timeline.seek(position)
      return debug.here()
    },
  },
  {
    name: 'when',
    aliases: [],
    usage: 'when',
    help: 'the position',
    run: ({ timeline }, argument) => {
      none('when', argument)
      return {
        lines: [`${grouped(timeline.position)} of ${grouped(timeline.end)}`],
        data: { position: timeline.position, end: timeline.end },
      }
    },
  },
]
