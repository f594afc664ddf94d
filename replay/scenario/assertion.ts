/** Assertions over a trace: at every arrival at a symbol, a comparison of registers, numbers, symbols and words of memory holds. */
import type { TraceReader } from '../../trace/reader.js'
import { DebuggerError } from '../debugger/error.js'
import { evaluate } from '../debugger/expressions.js'
import { Names } from '../debugger/names.js'
import { hex64 } from '../debugger/numbers.js'
import { Timeline } from '../timeline.js'

const COMPARISONS = {
  '==': (a: bigint, b: bigint) => a === b,
  '!=': (a: bigint, b: bigint) => a !== b,
  '<=': (a: bigint, b: bigint) => a <= b,
  '>=': (a: bigint, b: bigint) => a >= b,
  '<': (a: bigint, b: bigint) => a < b,
  '>': (a: bigint, b: bigint) => a > b,
} as const

/** A sum of terms, or the word of 64 bits at the address that it gives. */
interface Operand {
  readonly sum: string
  readonly memory: boolean
}

/** At every arrival at `symbol`, the comparison of two values of 64 bits, without sign, holds. */
export interface Assertion {
  /** Where: a sum of terms too. */
  readonly symbol: string
  readonly left: Operand
  readonly operator: keyof typeof COMPARISONS
  readonly right: Operand
}

/** What became of an assertion. */
export type AssertionOutcome =
  | { readonly kind: 'holds'; readonly arrivals: number }
  | { readonly kind: 'violated'; readonly position: number; readonly message: string }
  /** This build lacks a symbol of the assertion. */
  | { readonly kind: 'unknown'; readonly message: string }

const USAGE =
  'give SYMBOL:EXPRESSION, where the expression compares two sums by ==, !=, <, <=, > or >=, as in schedule:$x0+8 <= [stack_top]'

/**
 * Reads `SYMBOL:EXPRESSION`; a symbol may hold `::`.
 *
 * @throws {Error} saying what is wrong.
 */
export function parseAssertion(text: string): Assertion {
  const [, symbol, expression] = /^((?:[^:]|::)+):(?!:)([^]+)$/.exec(text) ?? []
  if (symbol === undefined || expression === undefined) throw new Error(USAGE)
  const [, left, operator, right] = /^([^=!<>]+)(==|!=|<=|>=|<|>)([^=!<>]+)$/.exec(expression) ?? []
  if (left === undefined || right === undefined) throw new Error(USAGE)
  const assertion = {
    symbol: symbol.trim(),
    left: operandOf(left),
    operator: operator as Assertion['operator'],
    right: operandOf(right),
  }
  for (const sum of [assertion.symbol, assertion.left.sum, assertion.right.sum]) checkSum(sum)
  return assertion
}

function operandOf(text: string): Operand {
  const inside = /^\s*\[([^[\]]*)\]\s*$/.exec(text)?.[1]
  return { sum: (inside ?? text).trim(), memory: inside !== undefined }
}

/** Every term but a symbol must mean something before anything runs. */
function checkSum(sum: string): void {
  const anything = { addressOf: () => 0n, like: () => [] } as unknown as Names
  try {
    evaluate(sum, { x: new BigUint64Array(31), sp: 0n, pc: 0n }, anything)
  } catch (error) {
    throw new Error(`${(error as Error).message}; ${USAGE}`, { cause: error })
  }
}

/** Checks an assertion over a whole trace. */
export async function checkAssertion(
  reader: TraceReader,
  assertion: Assertion,
  onProgress: (icount: number) => void,
): Promise<AssertionOutcome> {
  const timeline = new Timeline(reader)
  const names = new Names(timeline.symbols)
  const { state } = timeline.machine.cpu
  const valueOf = ({ sum, memory }: Operand): bigint | undefined => {
    const value = evaluate(sum, state, names)
    if (!memory) return value
    const bytes = timeline.readMemory(value, 8)
    return bytes && new DataView(bytes.buffer).getBigUint64(0, true)
  }
  const { left, operator, right } = assertion
  let arrivals = 0
  let seen: readonly (bigint | undefined)[] = []
  try {
    const address = evaluate(assertion.symbol, state, names)
    for (const { sum } of [left, right]) evaluate(sum, state, names)
    timeline.breakpoints.add(address, () => {
      arrivals++
      onProgress(timeline.position)
      const [a, b] = (seen = [valueOf(left), valueOf(right)])
      return a === undefined || b === undefined || !COMPARISONS[operator](a, b)
    })
  } catch (error) {
    if (error instanceof DebuggerError) return { kind: 'unknown', message: error.message }
    throw error
  }
  const stop = await timeline.continue()
  if (stop.reason !== 'breakpoint') return { kind: 'holds', arrivals }
  const [a, b] = seen.map((value) => (value === undefined ? 'nothing, since that address leads nowhere' : hex64(value)))
  const message = `at arrival ${arrivals} at ${assertion.symbol}, ${textOf(left)} is ${a}, and ${textOf(right)} is ${b}`
  return { kind: 'violated', position: stop.position, message }
}

const textOf = ({ sum, memory }: Operand): string => (memory ? `[${sum}]` : sum)
