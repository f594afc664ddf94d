/** How a command ends: exit codes, and errors as one line for people. */
import { ConfigError } from '../devices/config.js'
import { LoadError } from '../devices/loader/load-error.js'
import { DebuggerError } from '../replay/debugger/error.js'
import { Stopped } from '../replay/scenario/stopped.js'
import { TraceError } from '../trace/errors.js'

/** The exit codes, and no others: good, bad (diverged, damaged, guest failed), cannot tell, usage errors and faults of our own. */
export const Exit = { GOOD: 0, BAD: 1, CANNOT_TELL: 125, TROUBLE: 255 } as const

/** A mistake in a command line or script: the message says what was wrong, with which value, and what to do. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The one line that a person gets for an error, and whether the error is a bug of kaal's own. */
export function explain(error: unknown): { readonly line: string; readonly bug: boolean } {
  if (
    error instanceof UsageError ||
    error instanceof DebuggerError ||
    error instanceof ConfigError ||
    error instanceof LoadError ||
    error instanceof Stopped ||
    error instanceof TraceError
  ) {
    return { line: oneLine(error.message), bug: false }
  }
  const { code, path, message } = error as NodeJS.ErrnoException
  const known = code === undefined ? undefined : HOST_ERRORS[code]
  if (known !== undefined) return { line: oneLine(path === undefined ? known : `${path}: ${known}`), bug: false }
  if (error instanceof RangeError && /Memory|Array buffer/i.test(message)) {
    return { line: 'this host has no room for that much guest RAM: give less with -m', bug: false }
  }
  return { line: `${oneLine(message ?? String(error))} (this is a bug in kaal; KAAL_DEBUG=1 shows where)`, bug: true }
}

const HOST_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'no permission',
  EPERM: 'no permission',
  EISDIR: 'is a directory: give the name of a file',
  ENOSPC: 'no space left on the disk',
  EMFILE: 'too many open files',
  ENOTDIR: 'a part of the path is not a directory',
}

const oneLine = (text: string): string => text.replaceAll(/\s*\n\s*/g, '; ')
