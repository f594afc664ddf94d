/** The one error that the trace library throws. */

/**
 * Something is wrong with a trace, with a file in its place, or with the disk under it.
 *
 * The message is one line for a person: it starts with the path and names the field and its value. {@link kind} is for code.
 */
export class TraceError extends Error {
  override readonly name = 'TraceError'
  readonly path: string
  readonly kind: TraceErrorKind
  /** What is wrong, without the path. */
  readonly reason: string

  constructor(path: string, kind: TraceErrorKind, reason: string, cause?: unknown) {
    super(`${path}: ${reason}`, cause === undefined ? undefined : { cause })
    this.path = path
    this.kind = kind
    this.reason = reason
  }
}

/**
 * - `missing`: no such file
 * - `exists`: the file to create is there already
 * - `access`: it cannot be read or written at all (permissions, a directory, locked by a recorder)
 * - `foreign`: not a kaal trace
 * - `newer`: a format this kaal does not know
 * - `damaged`: a kaal trace that is cut short, flipped or inconsistent
 * - `full`: no room on the disk
 * - `write`: any other failure to write
 * - `misuse`: the caller broke the library's rules: a defect of kaal
 */
export type TraceErrorKind =
  'missing' | 'exists' | 'access' | 'foreign' | 'newer' | 'damaged' | 'full' | 'write' | 'misuse'
