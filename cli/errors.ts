/** Errors as a person sees them: one line on stderr, and an exit code that scripts can trust. */
import { CommanderError } from 'commander'
import { ConfigError } from '../devices/config.js'
import { LoadError } from '../devices/loader/load-error.js'
import { DebuggerError } from '../replay/debugger/error.js'
import { TraceError } from '../trace/errors.js'

/** What kaal's exit status says; no others exist. */
export const Exit = {
  GOOD: 0,
  /** Diverged, damaged, or the guest reported failure. */
  BAD: 1,
  /** `git bisect run` skips the commit. */
  CANNOT_TELL: 125,
  /** Usage errors and faults of our own: `git bisect run` stops. */
  FAULT: 255,
} as const

export type ExitCode = (typeof Exit)[keyof typeof Exit]

/** Something that the person who runs kaal can put right. The message is one line, without `kaal: `. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The line for stderr. A stack is added for defects of kaal alone, and only if KAAL_DEBUG is set. */
export function explainError(error: unknown): string {
  if (error instanceof CommanderError) return line(error.message.replace(/^error: /, ''))
  if (isForPeople(error)) return line(error.message)
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  const stack = process.env['KAAL_DEBUG'] === '1' && error instanceof Error ? `\n${error.stack}` : ''
  return `${line(text)}; this is a bug in kaal (KAAL_DEBUG=1 shows where)${stack}`
}

function isForPeople(error: unknown): error is Error {
  if (error instanceof TraceError) return error.kind !== 'misuse'
  return [UsageError, ConfigError, LoadError, DebuggerError].some((kind) => error instanceof kind)
}

const line = (message: string): string => `kaal: ${message.trim().replaceAll(/\s*\n\s*/g, ' ')}`
