/** Addresses and values as people type them: `kmain+0x10`, `$sp-16`, `0xffff_0000`, `12_345`. */
import type { Names } from './names.js'
import { DebuggerError } from './error.js'
import { parseCount } from './numbers.js'

/** The registers of the machine as it stands. */
export interface Registers {
  readonly x: BigUint64Array
  readonly sp: bigint
  readonly pc: bigint
}

const TERM = /\s*([+-]?)\s*(\$\w+|0[xX][0-9a-fA-F_]+|\d[\d_]*|[A-Za-z_.][\w.$:]*|<[^+]*>[\w:{}]*)\s*/y

/**
 * Works out an expression: terms joined by + and -, each a number, a register ($x0 to $x30, $w0 to $w30, $sp, $lr, $pc) or a symbol.
 *
 * @returns a value of 64 bits.
 * @throws {DebuggerError} naming the term that means nothing.
 */
export function evaluate(text: string, registers: Registers, names: Names): bigint {
  let value = 0n
  // gdb's users write *0x40080000 for an address.
  const source = text.trim().replace(/^\*\s*/, '')
  if (source === '') throw new DebuggerError('give an address, register or symbol')
  TERM.lastIndex = 0
  while (TERM.lastIndex < source.length) {
    const at = TERM.lastIndex
    const match = TERM.exec(source)
    if (!match || (at > 0 && match[1] === '')) {
      throw new DebuggerError(
        `${source}: cannot read '${source.slice(at)}'; join numbers, $registers and symbols by + and -`,
      )
    }
    const term = evaluateTerm(match[2], registers, names)
    value += match[1] === '-' ? -term : term
  }
  return BigInt.asUintN(64, value)
}

function evaluateTerm(term: string, registers: Registers, names: Names): bigint {
  if (term.startsWith('$')) return register(term, registers)
  if (/^0[xX]/.test(term)) {
    const digits = term.slice(2).replaceAll('_', '')
    if (digits.length === 0 || digits.length > 16) throw new DebuggerError(`${term}: not a number of 64 bits`)
    return BigInt(`0x${digits}`)
  }
  if (/^\d/.test(term)) {
    const value = parseCount(term)
    if (value === undefined) throw new DebuggerError(`${term}: not a number`)
    return BigInt(value)
  }
  const address = names.addressOf(term)
  if (address !== undefined) return address
  const like = names.like(term)
  // The end of a path will do for the whole, if it is the end of only one.
  if (like.length === 1 && like[0].endsWith(`::${term}`)) return names.addressOf(like[0]) ?? 0n
  const hint = like.length > 0 ? `; there are ${like.slice(0, 5).join(', ')}${like.length > 5 ? ', …' : ''}` : ''
  throw new DebuggerError(`${term}: no such symbol${hint}`)
}

function register(name: string, { x, sp, pc }: Registers): bigint {
  if (name === '$sp') return sp
  if (name === '$pc') return pc
  if (name === '$lr') return x[30]
  if (name === '$xzr') return 0n
  const match = /^\$([xw])(\d+)$/.exec(name)
  const index = Number(match?.[2] ?? 99)
  if (!match || index > 30) throw new DebuggerError(`${name}: no such register; give $x0 to $x30, $sp, $lr or $pc`)
  return match[1] === 'w' ? BigInt.asUintN(32, x[index]) : x[index]
}
