/** Generated guests give the same state at every stop, whichever engine runs them. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ExceptionClass } from '../../cpu/exceptions.js'
import { type Case, Comparison } from './comparison.js'

const number = fc.noBias(fc.nat({ max: 0xffff_ffff }))
const numbers = (minLength: number, maxLength: number) => fc.array(number, { minLength, maxLength, size: 'max' })

interface Size {
  /** The most blocks, and how long they are. */
  readonly blocks: number
  readonly body: number
  /** The most changes of the page tables. */
  readonly pages: number
}

function cases(flavour: Case['flavour'], actions: Case['actions'], { blocks, body, pages }: Size): fc.Arbitrary<Case> {
  return fc.record({
    flavour: fc.constant(flavour),
    actions: fc.constant(actions),
    seed: number,
    engine: fc.constantFrom('translator', 'hybrid'),
    threshold: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 24 })),
    blocks: fc.array(fc.record({ at: number, body: numbers(0, body), end: number }), {
      minLength: Math.ceil(blocks / (actions === 'moves' ? 2 : 4)),
      maxLength: blocks,
      size: 'max',
    }),
    pages: numbers(0, pages),
    stops: numbers(6, actions === 'moves' ? 400 : 24),
  })
}

const comparison = new Comparison()
const { tested } = comparison

describe.each([
  { flavour: 'calm', actions: 'few', numRuns: 350, blocks: 14, body: 6, pages: 0 },
  { flavour: 'flags', actions: 'few', numRuns: 500, blocks: 10, body: 3, pages: 0 },
  { flavour: 'jumping', actions: 'few', numRuns: 400, blocks: 16, body: 4, pages: 1 },
  { flavour: 'faults', actions: 'few', numRuns: 450, blocks: 12, body: 8, pages: 8 },
  { flavour: 'spaces', actions: 'few', numRuns: 450, blocks: 12, body: 6, pages: 4 },
  { flavour: 'modifying', actions: 'few', numRuns: 450, blocks: 10, body: 6, pages: 1 },
  { flavour: 'all', actions: 'debugger', numRuns: 500, blocks: 10, body: 6, pages: 4 },
  { flavour: 'all', actions: 'moves', numRuns: 12, blocks: 200, body: 3, pages: 4 },
] as const)('$flavour, $actions, up to $blocks blocks', ({ flavour, actions, numRuns, ...size }) => {
  test('generated guests', () => {
    const before = tested.cpu.translations.translated
    fc.assert(
      fc.property(cases(flavour, actions, size), (each) => comparison.run(each)),
      // Guests this long shrink for minutes; the seed in the report repeats the failure as it is.
      { numRuns, endOnFailure: true },
    )
    expect(tested.cpu.translations.translated - before).toBeGreaterThan(numRuns)
  })
})

test('there was something to compare', () => {
  expect(comparison.programs).toBeGreaterThanOrEqual(3000)
  expect(comparison.instructions).toBeGreaterThan(1000 * comparison.programs)
  expect(comparison.unsupported).toBeLessThan(comparison.programs / 100)
  const { UNKNOWN, FP_ACCESS, ILLEGAL_STATE, SYSTEM_REGISTER, PC_ALIGNMENT } = ExceptionClass
  const { INSTRUCTION_ABORT, INSTRUCTION_ABORT_LOWER, DATA_ABORT, DATA_ABORT_LOWER } = ExceptionClass
  const aborts = [INSTRUCTION_ABORT, INSTRUCTION_ABORT_LOWER, DATA_ABORT, DATA_ABORT_LOWER]
  for (const each of [UNKNOWN, FP_ACCESS, ILLEGAL_STATE, SYSTEM_REGISTER, PC_ALIGNMENT, ...aborts])
    expect(tested.faults.get(each) ?? 0, `faults of class ${each}`).toBeGreaterThan(0)
})
