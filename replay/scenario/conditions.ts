/** What makes a build bad: the conditions of `--fail-if`, read from their text. */
import { parseCount } from '../debugger/numbers.js'
import { type Assertion, parseAssertion } from './assertion.js'

/** A condition that a run is judged by. */
export type Condition = { readonly text: string } & (
  | { readonly kind: 'uart' | 'no-uart'; readonly pattern: RegExp }
  | { readonly kind: 'panic' | 'fault' | 'exit' }
  /** No output for so many instructions; by default as many as {@link silence} says. */
  | { readonly kind: 'hang'; readonly instructions: number | undefined }
  /** More instructions than that, or than so many times the recorded run's. */
  | { readonly kind: 'budget'; readonly instructions?: number; readonly factor?: number }
  | { readonly kind: 'assert'; readonly assertion: Assertion }
)

/** What a run is judged by if nobody says. */
export const DEFAULT_CONDITIONS: readonly string[] = ['panic', 'fault', 'exit', 'hang']
const GRAMMAR =
  'uart:REGEX, no-uart:REGEX, panic, fault, exit, hang, hang:N, budget:N, budget:1.5x or assert:SYMBOL:EXPRESSION'
const LEAST_SILENCE = 2 ** 27

/** A condition that means nothing. The message is one line: the condition, and what to give. */
export class ConditionError extends Error {
  override readonly name = 'ConditionError'
}

/** Instructions without output that are a hang, for a recorded run of so many. */
export const silence = (recorded: number): number => Math.max(LEAST_SILENCE, 2 * recorded)

/**
 * Reads a condition.
 *
 * @throws {ConditionError} naming what is wrong with it.
 */
export function parseCondition(text: string): Condition {
  const [, kind, value] = /^([a-z-]+)(?::([^]*))?$/.exec(text) ?? []
  const wrong = (what: string): ConditionError => new ConditionError(`${text}: ${what}`)
  switch (kind) {
    case 'panic':
    case 'fault':
    case 'exit':
      if (value !== undefined) throw wrong(`${kind} has no value`)
      return { text, kind }
    case 'uart':
    case 'no-uart':
      if (!value) throw wrong(`give a regular expression, as in ${kind}:Segmentation`)
      return { text, kind, pattern: patternOf(text, value) }
    case 'hang': {
      const instructions = value === undefined ? undefined : parseCount(value)
      if (value !== undefined && !instructions) throw wrong('give instructions without output, as in hang:100_000_000')
      return { text, kind, instructions }
    }
    case 'budget': {
      const factor = /^\d+(\.\d+)?x$/.test(value ?? '') ? Number(value?.slice(0, -1)) : undefined
      if (factor !== undefined && factor > 0) return { text, kind, factor }
      const instructions = parseCount(value ?? '')
      if (!instructions) throw wrong('give instructions, or a multiple of the recorded ones, as in budget:1.5x')
      return { text, kind, instructions }
    }
    case 'assert':
      try {
        return { text, kind, assertion: parseAssertion(value ?? '') }
      } catch (error) {
        throw wrong((error as Error).message)
      }
    default:
      throw wrong(`give ${GRAMMAR}`)
  }
}

function patternOf(text: string, source: string): RegExp {
  try {
    return new RegExp(source, 'm')
  } catch (error) {
    throw new ConditionError(
      `${text}: ${(error as Error).message.replace(/^Invalid regular expression: /, 'no regular expression: ')}`,
    )
  }
}
