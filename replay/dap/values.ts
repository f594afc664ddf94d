/** The value of what a client shows or a person types: registers by their plain names too. */
import type { Debugger } from '../debugger/debugger.js'
import { isSystemRegister, readSystemRegister } from '../debugger/system-registers.js'

/**
 * The value of an expression, or of a register as the views name it: `x0`, `pc`, `ESR_EL1`.
 *
 * @throws {DebuggerError} if it means nothing.
 */
export function valueOf(debug: Debugger, text: string): bigint {
  const name = text.trim()
  if (/^([xw]\d{1,2}|sp|pc|lr)$/i.test(name)) return debug.evaluate(`$${name.toLowerCase()}`)
  if (isSystemRegister(name)) return readSystemRegister(debug.timeline.machine, name).value
  return debug.evaluate(name)
}
