/** What a debugger command is, and what it gives. */
import type { Debugger } from './debugger.js'
import { DebuggerError } from './error.js'
import { parseCount } from './numbers.js'

/** What a command gives: lines to print and, where it makes sense, the same for programs. */
export interface Report {
  readonly lines: readonly string[]
  /** Becomes JSON; bigints are written in hexadecimal. */
  readonly data?: Readonly<Record<string, unknown>>
}

/** What can be completed behind a command. */
export type Completion = 'symbol' | 'place' | 'command' | 'info' | 'register' | 'event'

/** A command. */
export interface Command {
  readonly name: string
  readonly aliases: readonly string[]
  readonly usage: string
  /** One line, for the list of all commands. */
  readonly help: string
  /** More lines, for `help COMMAND`. */
  readonly details?: readonly string[]
  readonly completes?: Completion
  run(debug: Debugger, argument: string): Report | readonly string[] | Promise<Report | readonly string[]>
}

/**
 * Reads how many, 1 if it is not said.
 *
 * @throws {DebuggerError} for what is no number of at least 1.
 */
export function count(command: string, argument: string, otherwise = 1): number {
  if (argument === '') return otherwise
  const value = parseCount(argument)
  if (value === undefined || value < 1) throw new DebuggerError(`${command} ${argument}: give a number of at least 1`)
  return value
}

/** @throws {DebuggerError} if there is an argument. */
export function none(command: string, argument: string): void {
  if (argument !== '') throw new DebuggerError(`${command} ${argument}: ${command} takes no argument`)
}
