/** The one error of the debugger's command language. */

/** A command that cannot be carried out. The message is one line for people: the command or value, and what to do. */
export class DebuggerError extends Error {
  override readonly name = 'DebuggerError'
}
