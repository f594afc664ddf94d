/** Expressions of the debugger's commands: numbers, `$x0`, `$pc`, symbols, and sums of these. */
import type { Timeline } from '../timeline.js'

/** A command that cannot be carried out; the message says why. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

const MASK = (1n << 64n) - 1n

/**
 * Computes an expression.
 *
 * @returns 64 bits, unsigned.
 * @throws {CommandError} naming the part that is not understood.
 */
export function evaluate(text: string, timeline: Timeline): bigint {
  const parts = text.replaceAll(/\s/g, '').match(/[+-]|[^+-]+/g)
  if (!parts) throw new CommandError('an expression is missing: give an address, a symbol or $register')
  let value = 0n
  let sign: 1n | -1n = 1n
  let expectOperand = true
  for (const part of parts) {
    if (part === '+' || part === '-') {
      if (expectOperand) throw new CommandError(`'${text}': a number, symbol or register is missing at '${part}'`)
      sign = part === '-' ? -1n : 1n
      expectOperand = true
      continue
    }
    value += sign * operand(part, timeline)
    expectOperand = false
  }
  if (expectOperand) throw new CommandError(`'${text}' ends with an operator`)
  return value & MASK
}

function operand(part: string, timeline: Timeline): bigint {
  if (/^0x[\da-f]+(_[\da-f]+)*$/i.test(part) || /^\d+(_\d+)*$/.test(part)) return BigInt(part.replaceAll('_', ''))
  const { state } = timeline.machine.cpu
  const register = /^\$(\w+)$/.exec(part)?.[1]
  if (register !== undefined) {
    if (register === 'pc') return state.pc
    if (register === 'sp') return state.sp
    const number = /^([xw])(\d+)$/.exec(register)
    if (number && Number(number[2]) < 31)
      return number[1] === 'x' ? state.x[Number(number[2])] : state.x[Number(number[2])] & 0xffff_ffffn
    if (register === 'lr') return state.x[30]
    throw new CommandError(`there is no register $${register}: give $x0 to $x30, $w0 to $w30, $sp, $lr or $pc`)
  }
  const address = timeline.symbols.addressOf(part)
  if (address === undefined) throw new CommandError(`there is no symbol '${part}', and it is no number`)
  return address
}
