/** The debugger's commands in one table: names, arguments and meaning. rr's and gdb's, where they have them. */
import { breakpointCommands } from './commands/breakpoints.js'
import { eventCommands } from './commands/events.js'
import { lookingCommands } from './commands/looking.js'
import { movingCommands } from './commands/moving.js'
import { stateCommands } from './commands/state.js'
import type { Command } from './command.js'
import { DebuggerError } from './error.js'

export const COMMANDS: readonly Command[] = [
  ...movingCommands,
  ...breakpointCommands,
  ...eventCommands,
  ...stateCommands,
  ...lookingCommands,
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

function help(argument: string): string[] {
  if (argument !== '') {
    const { usage, help: text, aliases, details = [] } = findCommand(argument)
    return [
      `${usage}: ${text}${aliases.length > 0 ? ` (${aliases.join(', ')})` : ''}`,
      ...details.map((line) => `  ${line}`),
    ]
  }
  const width = Math.max(...COMMANDS.map(({ usage }) => usage.length)) + 2
  return COMMANDS.map(({ usage, aliases, help: text }) => {
    const short = aliases.length > 0 ? ` (${aliases[0]})` : ''
    return `${usage.padEnd(width)}${text}${short}`
  })
}
