/** What can follow in a line that is being typed: commands, and by command symbols, registers, files, events. */
import type { Completion } from './command.js'
import { COMMANDS } from './commands.js'
import { EVENTS } from './commands/events.js'
import { INFO } from './commands/breakpoints.js'
import type { Names } from './names.js'
import type { Sources } from './sources.js'
import { SYSTEM_REGISTERS } from './system-registers.js'

const REGISTERS = [
  ...Array.from({ length: 31 }, (_, n) => `x${n}`),
  'sp',
  'pc',
  'lr',
  'system',
  ...SYSTEM_REGISTERS.map((name) => name.toLowerCase()),
]

/** The candidates, and the part of the line that they replace. */
export function complete(line: string, names: Names, sources: Sources): [string[], string] {
  const [, word, argument] = /^\s*(\S*)(?:\s+(.*))?$/s.exec(line) ?? ['', '', undefined]
  const commands = COMMANDS.map(({ name }) => name)
  if (argument === undefined) return [commands.filter((name) => name.startsWith(word)), word]
  const kind = COMMANDS.find(({ name, aliases }) => name === word.split('/')[0] || aliases.includes(word))?.completes
  if (kind === undefined) return [[], argument]
  if (kind === 'register') {
    const last = argument.split(/[\s,]+/).at(-1) ?? ''
    const dollar = last.startsWith('$') ? '$' : ''
    const found = REGISTERS.filter((name) => name.startsWith(last.slice(dollar.length).toLowerCase()))
    return [found.map((name) => dollar + name), last]
  }
  const found = candidates(kind, argument, commands, names)
  // A name is a symbol first; a path, or what is no symbol, a file.
  if (kind === 'place' && (/[/.]/.test(argument) || found.length === 0))
    found.push(...sources.filesFrom(argument).map((file) => `${file}:`))
  return [found, argument]
}

function candidates(kind: Completion, argument: string, commands: readonly string[], names: Names): string[] {
  switch (kind) {
    case 'command':
      return commands.filter((name) => name.startsWith(argument))
    case 'info':
      return INFO.filter((name) => name.startsWith(argument))
    case 'event':
      return EVENTS.filter((name) => name.startsWith(argument))
    default:
      return names.startingWith(argument)
  }
}
