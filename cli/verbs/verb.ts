/** What all verbs share. */
import type { Command } from 'commander'
import type { TraceReader } from '../../trace/reader.js'
import type { ExitCode } from '../errors.js'
import { say } from '../output.js'
import { grouped } from '../positions.js'

/** Adds a verb to the program; its action tells `done` how it ended. */
export type AddVerb = (program: Command, done: (code: ExitCode) => void) => void

/** Says so if a trace's recorder did not come to its end. */
export function warnUnfinished(reader: TraceReader): void {
  const { finished, instructions } = reader.meta
  if (finished) return
  say(`kaal: ${reader.path}: its recorder was ended early; the trace goes up to its last whole batch, at ${grouped(instructions)}`)
}
